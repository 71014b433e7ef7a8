package listening

import (
	"fmt"
	"os"
	"syscall"
)

// bindTo returns the function that binds a socket to a network interface before it gets
// its address.
func bindTo(device string) func(_, _ string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = os.NewSyscallError("setsockopt", syscall.BindToDevice(int(fd), device))
		})
		if err == nil && failed != nil {
			err = fmt.Errorf("bind to the interface %s: %w", device, failed)
		}
		return err
	}
}
