package psk

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"
)

// buffers are held only while something is being written: room for one record.
var buffers = sync.Pool{New: func() any {
	p := make([]byte, 0, headerLen+maxPlaintext+512)
	return &p
}}

// seal adds a record to what is to be written. writeMu is held, or the handshake runs.
func (c *Conn) seal(typ recordType, p []byte) {
	if c.buffer == nil {
		c.buffer = buffers.Get().(*[]byte)
		c.sealed = (*c.buffer)[:0]
	}
	version := uint16(version12)
	if c.client != nil && c.out == nil && typ == recordHandshake && !c.greeted {
		version = 0x0301 // RFC 5246, E.1: old servers look for it in the first record
	}
	start := len(c.sealed)
	c.sealed = append(c.sealed, byte(typ), byte(version>>8), byte(version), 0, 0)
	if c.out == nil {
		c.sealed = append(c.sealed, p...)
	} else {
		c.sealed = c.out.seal(c.sealed, typ, p)
	}
	binary.BigEndian.PutUint16(c.sealed[start+3:], uint16(len(c.sealed)-start-headerLen))
}

// flush writes what is sealed, as far as w takes it.
func (c *Conn) flush(w io.Writer) error {
	for len(c.sealed) > 0 {
		n, err := w.Write(c.sealed)
		c.sealed = c.sealed[n:]
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrShortWrite
		}
	}
	if c.buffer != nil {
		buffers.Put(c.buffer)
		c.buffer, c.sealed = nil, nil
	}
	return nil
}

// sealOwed seals the alert that the read half wants sent. It is small, and there are few of them.
func (c *Conn) sealOwed() {
	owed := c.owed.Swap(0)
	if owed == 0 || c.goodbye {
		return
	}
	c.seal(recordAlert, []byte{byte(owed >> 8), byte(owed)})
	c.goodbye = owed>>8 == levelFatal
}

// deliver sends the alert that is owed, unless somebody writes: who does will find it. An alert that ends the connection waits
// for a blocking socket no longer than alertTimeout.
func (c *Conn) deliver(w io.Writer) {
	for c.owed.Load() != 0 && c.writeMu.TryLock() {
		if c.owed.Load()>>8 == levelFatal {
			_ = c.inner.SetWriteDeadline(time.Now().Add(alertTimeout))
		}
		c.sealOwed()
		err := c.flush(w)
		c.writeMu.Unlock()
		if err != nil {
			return
		}
	}
}

// Write writes p, after what an earlier TryWrite or Write has left. On an error some of p may have been consumed; of what was,
// a part may still wait for the next Write.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.HandshakeContext(context.Background()); err != nil {
		return 0, err
	}
	n, err := c.write(c.inner, p)
	c.deliver(c.inner)
	return n, err
}

// TryWrite writes p as far as sock takes it without waiting: sock's Write gives a short count and syscall.EAGAIN when the socket is full. (n,
// syscall.EAGAIN) says that n bytes were consumed, of which some may wait here: call Write(p[n:]), even if that is empty. An empty p
// writes what waits.
func (c *Conn) TryWrite(sock io.Writer, p []byte) (int, error) {
	if !c.done.Load() {
		return 0, errNoHandshake
	}
	n, err := c.write(sock, p)
	if err == nil {
		c.deliver(sock)
	}
	return n, err
}

func (c *Conn) write(w io.Writer, p []byte) (n int, err error) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	for {
		if err := c.flush(w); err != nil {
			return n, err
		}
		c.sealOwed()
		if c.goodbye && n < len(p) {
			_ = c.flush(w)
			return n, errClosed
		}
		if n == len(p) && len(c.sealed) == 0 {
			return n, nil
		}
		if n < len(p) {
			chunk := p[n:min(n+maxPlaintext, len(p))]
			c.seal(recordApplicationData, chunk)
			n += len(chunk)
		}
	}
}

// TryClose says goodbye with close_notify, or with the alert that is owed, if the socket takes it without waiting. Nothing can be
// written afterwards. It does not close the socket.
func (c *Conn) TryClose(sock io.Writer) {
	if !c.done.Load() || !c.writeMu.TryLock() {
		return // whoever writes finds a closed socket
	}
	defer c.writeMu.Unlock()
	c.sealGoodbye()
	if err := c.flush(sock); err != nil && !errors.Is(err, syscall.EAGAIN) {
		c.sealed = nil
	}
}

// sealGoodbye is once for all.
func (c *Conn) sealGoodbye() {
	c.sealOwed()
	if !c.goodbye {
		c.seal(recordAlert, []byte{levelWarning, byte(alertCloseNotify)})
		c.goodbye = true
	}
}

// Close says goodbye, if that can be done soon, and closes the connection underneath.
func (c *Conn) Close() error {
	if c.done.Load() && c.writeMu.TryLock() {
		if !c.goodbye && len(c.sealed) == 0 { // else the peer does not read, or was told
			_ = c.inner.SetWriteDeadline(time.Now().Add(alertTimeout))
			c.sealGoodbye()
			_ = c.flush(c.inner)
		}
		c.writeMu.Unlock()
	}
	return c.inner.Close()
}
