//go:build unix

package websocket

import (
	"io"
	"sync"
	"syscall"
	"time"
)

// rawFD is a socket whose reads and writes do not wait.
type rawFD uintptr

func (fd rawFD) Read(p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func (fd rawFD) Write(p []byte) (int, error) {
	n, err := syscall.Write(int(fd), p)
	n = max(n, 0)
	if err == nil && n < len(p) {
		err = syscall.EAGAIN
	}
	return n, err
}

var readBuffers = sync.Pool{New: func() any {
	p := make([]byte, 16<<10)
	return &p
}}

// echoParked echoes as the broker's engine would: parked in one RawConn.Read for life, without a buffer while idle.
func echoParked(c *Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var end error
	parkErr := raw.Read(func(fd uintptr) bool {
		p := readBuffers.Get().(*[]byte)
		defer readBuffers.Put(p)
		for {
			n, err := c.TryRead(rawFD(fd), *p)
			if err == syscall.EAGAIN {
				return false
			}
			if end = err; err != nil {
				c.TryClose(rawFD(fd))
				return true
			}
			m, err := c.TryWrite(rawFD(fd), (*p)[:n])
			if err == syscall.EAGAIN {
				_ = c.SetWriteDeadline(time.Now().Add(patience))
				_, err = c.Write((*p)[m:n])
			}
			if end = err; err != nil {
				return true
			}
		}
	})
	if end == nil {
		end = parkErr
	}
	return end
}
