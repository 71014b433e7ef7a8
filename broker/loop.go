package broker

import (
	"io"
	"syscall"
	"time"

	"github.com/uniomq/unio/broker/internal/netio"
)

// loopRaw parks in one RawConn.Read for the life of the connection. It reads until
// EAGAIN each time: stopping after a short read would lose the end of a connection whose
// last data and FIN arrive together.
func (c *conn) loopRaw() error {
	var err error
	read := c.readable
	if c.layer != nil {
		read = c.readableLayer
	}
	parkErr := c.raw.Read(func(fd uintptr) bool {
		err = read(fd)
		return err != nil
	})
	if err == nil && c.allowance.Load() > 0 { // it was roused, and does not know what has come meanwhile
		_ = c.raw.Control(func(fd uintptr) { err = read(fd) })
	}
	if err != nil {
		return err
	}
	return parkErr
}

// readable handles all there is to read; nil means: wait for more.
func (c *conn) readable(fd uintptr) error {
	rb := netio.Buffers.Get().(*[]byte)
	defer netio.Buffers.Put(rb)
	for {
		n, err := netio.Read(fd, *rb)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return nil
		case err != nil:
			return err
		case n == 0:
			return io.EOF
		}
		if err := c.consume((*rb)[:n]); err != nil {
			return err
		}
	}
}

// discard reads until the other side has closed, or lingerTime is over, or what comes is too much.
func (c *conn) discard() {
	_ = c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	if c.b.isClosed() { // cutLingering may have come before
		return
	}
	left := lingerBytes
	_ = c.raw.Read(func(fd uintptr) bool {
		rb := netio.Buffers.Get().(*[]byte)
		defer netio.Buffers.Put(rb)
		for left > 0 {
			n, err := netio.Read(fd, *rb)
			switch {
			case err == syscall.EINTR:
			case err == syscall.EAGAIN:
				return false
			case err != nil || n == 0:
				return true
			}
			left -= max(n, 0)
		}
		return true
	})
}
