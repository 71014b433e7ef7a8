//go:build !linux

package listening

import (
	"errors"
	"syscall"
)

// bindTo returns a function that fails: binding to a network interface is for Linux.
func bindTo(string) func(_, _ string, c syscall.RawConn) error {
	return func(_, _ string, _ syscall.RawConn) error {
		return errors.New("bind_interface is available on Linux alone")
	}
}
