//go:build unix

package websocket

import (
	"io"
	"syscall"
)

// socket is the socket below a connection, for writing without waiting.
type socket struct{ raw syscall.RawConn }

// socket returns the socket below; nil: there is none.
func (c *Conn) socket() io.Writer {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	return socket{raw}
}

// Write writes what the socket takes at once.
func (s socket) Write(p []byte) (n int, err error) {
	rawErr := s.raw.Write(func(fd uintptr) bool {
		for {
			if n, err = syscall.Write(int(fd), p); err != syscall.EINTR { //nolint:errorlint // a system call's own value
				return true
			}
		}
	})
	if err == nil {
		err = rawErr
	}
	if err != nil {
		return 0, err
	}
	if n < len(p) {
		err = syscall.EAGAIN
	}
	return n, err
}
