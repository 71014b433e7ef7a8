package broker

import (
	"sync"
	"syscall"
	"time"
)

// The write path has no writer goroutine and no channel. Whoever has something for
// a connection appends it to out under mu and puts the connection into its batch,
// once; the batch flushes at its end. A flush makes one attempt that does not block.
// If the socket is full, one goroutine, drain, waits for it with a deadline.
//
// A connection that is not a socket (raw is nil) is always written by drain, since its
// Write may block. An idle connection holds no buffer.

// writeState is the non-blocking write in progress; writing guards it.
type writeState struct {
	p     []byte
	n     int
	err   error
	write func(fd uintptr) bool // bound once, so that a write does not allocate
}

func (w *writeState) init(*conn) {
	w.write = func(fd uintptr) bool {
		w.n, w.err = sysWrite(fd, w.p)
		return true
	}
}

// maxPooledBuffer is the size in bytes above which an output buffer is left to the garbage collector.
const maxPooledBuffer = 256 << 10

var writeBuffers = sync.Pool{New: func() any {
	p := make([]byte, 0, 2048)
	return &p
}}

// buffer makes sure that out has memory to append to. mu is held.
func (c *conn) buffer() {
	if c.out == nil {
		c.out = (*writeBuffers.Get().(*[]byte))[:0]
	}
}

func releaseBuffer(p []byte) {
	if cap(p) > 0 && cap(p) <= maxPooledBuffer {
		p = p[:0]
		writeBuffers.Put(&p)
	}
}

// flush writes what is in out, as far as the socket takes it; last closes the socket behind it.
func (c *conn) flush(last bool) {
	c.mu.Lock()
	c.dirty = false
	if c.writing { // whoever writes takes this along, and closes if closed
		c.mu.Unlock()
		return
	}
	if len(c.out) == 0 {
		c.mu.Unlock()
		if last {
			_ = c.nc.Close()
		}
		return
	}
	c.writing = true
	p := c.out
	c.out = nil
	c.mu.Unlock()

	n := 0
	if c.raw != nil {
		n = c.tryWrite(p)
	}
	if n == len(p) {
		releaseBuffer(p)
		p = nil
	}
	c.mu.Lock()
	if p == nil && len(c.out) == 0 {
		c.writing = false
		closed := c.closed
		c.mu.Unlock()
		if closed {
			_ = c.nc.Close()
		}
		return
	}
	c.mu.Unlock()
	c.b.wg.Add(1) // the caller, or the read loop that it waits for, is counted itself
	go c.drain(p, n)
}

// tryWrite makes one attempt and returns how much the socket took. An error shows
// again in drain, which handles it.
func (c *conn) tryWrite(p []byte) int {
	w := &c.spare
	w.p = p
	if err := c.raw.Write(w.write); err != nil || w.err != nil {
		w.n = 0
	}
	w.p = nil
	return max(w.n, 0)
}

// drain writes p[n:] and then whatever has come since, waiting for the socket, and
// gives up after WriteTimeout.
func (c *conn) drain(p []byte, n int) {
	defer c.b.wg.Done()
	for {
		if len(p) > n {
			_ = c.nc.SetWriteDeadline(time.Now().Add(c.b.limits.WriteTimeout))
			if _, err := c.nc.Write(p[n:]); err != nil {
				c.abort()
				return
			}
			_ = c.nc.SetWriteDeadline(time.Time{})
		}
		releaseBuffer(p)
		p, n = c.more()
		if p == nil {
			return
		}
	}
}

// more takes what drain is to write next; nil ends it.
func (c *conn) more() ([]byte, int) {
	bt := c.b.newBatch()
	defer bt.free()
	c.mu.Lock()
	if len(c.out) == 0 && c.live && !c.closed {
		c.pump(bt) // there is room again
	}
	p, closed := c.out, c.closed
	c.out = nil
	if len(p) == 0 {
		c.writing = false
		c.mu.Unlock()
		if closed {
			_ = c.nc.Close()
		}
		bt.finish(nil)
		return nil, 0
	}
	c.mu.Unlock()
	bt.finish(nil)
	return p, 0
}

// abort ends a connection whose socket takes nothing. The read loop sees the close.
func (c *conn) abort() {
	c.mu.Lock()
	c.writing = false
	c.out = nil
	if !c.closed {
		c.closed, c.cause = true, errWriteTimeout
	}
	c.mu.Unlock()
	_ = c.nc.Close()
}

var errWriteTimeout error = syscall.ETIMEDOUT
