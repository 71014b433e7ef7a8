package broker

import (
	"errors"
	"os"
	"sync"
	"time"
)

// The write path has no writer goroutine and no channel. Whoever has something for
// a connection appends it to out under mu and puts the connection into its batch,
// once; the batch, or the round of an event loop, flushes at its end. A flush makes attempts that do not block.
// If the socket is full, one goroutine, drain, waits for it with a deadline.
//
// A connection that is not a socket (raw is nil) is always written by drain, since its
// Write may block. An idle connection holds no buffer.

// buffer is an output buffer; it is pooled.
type buffer struct {
	p     []byte
	n     int                   // what write has written
	write func(fd uintptr) bool // makes one attempt to write p. Bound once, so that a write does not allocate
}

func newBuffer() *buffer {
	b := &buffer{p: make([]byte, 0, 2048)}
	b.write = func(fd uintptr) bool {
		n, err := sysWrite(fd, b.p)
		if err != nil {
			n = 0 // full, or broken: drain finds out
		}
		b.n = n
		return true
	}
	return b
}

// maxPooledBuffer is the size in bytes above which a buffer is left to the garbage collector.
const maxPooledBuffer = 256 << 10

var buffers = sync.Pool{New: func() any { return newBuffer() }}

// buffer returns what to append output to. mu is held.
func (c *conn) buffer() *buffer {
	if c.out == nil {
		c.out = buffers.Get().(*buffer)
	}
	return c.out
}

// take removes the output that waits; nil: none. mu is held.
func (c *conn) take() *buffer {
	out := c.out
	c.out = nil
	if out != nil && len(out.p) == 0 && c.layer == nil {
		out.release()
		return nil
	}
	return out
}

// buffered is how many bytes wait, besides those being written. mu is held.
func (c *conn) buffered() int {
	if c.out == nil {
		return 0
	}
	return len(c.out.p)
}

func (b *buffer) release() {
	if cap(b.p) <= maxPooledBuffer {
		b.p = b.p[:0]
		buffers.Put(b)
	}
}

// tryWrite makes one attempt and returns how much was taken, and whether there is more to be done, if not to be taken.
func (c *conn) tryWrite(out *buffer) (n int, more bool) {
	switch {
	case c.raw == nil:
		return 0, true
	case c.layer != nil:
		return c.layer.tryWrite(c.raw, out.p)
	}
	out.n = 0
	err := c.raw.Write(out.write)
	return out.n, err != nil || out.n < len(out.p)
}

// flush writes what is in out, as far as the socket takes it; last closes the socket behind it.
func (c *conn) flush(last bool) {
	c.mu.Lock()
	c.dirty = false
	if c.writing { // whoever writes takes this along, and closes the socket of a closed connection
		c.mu.Unlock()
		return
	}
	out := c.take()
	c.writing = out != nil
	c.mu.Unlock()
	for round := 1; out != nil; round++ {
		n, more := c.tryWrite(out)
		c.mu.Lock()
		busy := round >= flushRounds && c.buffered() > 0 // others go on appending: this may be an event loop, which has more to do
		if more || busy || c.held && !c.closed {         // drain also takes what waited for the buffer
			c.mu.Unlock()
			c.b.wg.Add(1)
			go c.drain(out, n)
			return
		}
		out.release()
		out = c.take()
		c.writing = out != nil
		c.unpause() // it may have seen the buffer before it was taken
		last = c.closed
		c.mu.Unlock()
	}
	if last {
		c.hangUp()
	}
}

// flushRounds is how often flush writes what has come meanwhile.
const flushRounds = 8

// hangUp ends the connection behind the last write. A socket is only closed when its read loop has ended: Close
// waits for whoever uses the descriptor, and the loop uses it while it runs the protocol, so that two
// connections that close each other would wait for ever.
func (c *conn) hangUp() {
	c.goodbye()
	c.mu.Lock()
	over := c.over && !c.writing || c.raw == nil
	c.mu.Unlock()
	if over {
		_ = c.nc.Close()
		return
	}
	_ = c.raw.Control(sysShutdown)
}

// drain writes out from n on, and then whatever has come since, waiting for the socket, and
// gives up after WriteTimeout without progress.
func (c *conn) drain(out *buffer, n int) {
	defer c.b.wg.Done()
	for out != nil {
		for first := c.layer != nil; first || n < len(out.p); first = false {
			_ = c.nc.SetWriteDeadline(time.Now().Add(c.b.options.Load().WriteTimeout))
			m, err := c.nc.Write(out.p[n:min(n+drainChunk, len(out.p))])
			n += m
			if err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					err = errWriteTimeout
				}
				c.abort(err)
				return
			}
		}
		out.release()
		out, n = c.more(), 0
	}
}

// drainChunk is how many bytes a client must at least take within WriteTimeout.
const drainChunk = 64 << 10

// more takes what drain is to write next; nil ends drain.
func (c *conn) more() *buffer {
	bt := c.b.newBatch()
	defer bt.finish(nil)
	c.mu.Lock()
	c.held = false
	if c.buffered() == 0 && c.live && !c.closed {
		c.pump(bt) // there is room again
	}
	out := c.take()
	c.writing = out != nil
	if out == nil {
		_ = c.nc.SetWriteDeadline(time.Time{}) // it would fail the next write that does not wait
	}
	c.unpause()
	closed := c.closed
	c.mu.Unlock()
	if out == nil && closed {
		c.hangUp()
	}
	return out
}

// abort ends a connection whose socket takes nothing. The read loop sees the close.
func (c *conn) abort(cause error) {
	c.mu.Lock()
	c.writing = false
	c.out = nil
	c.unpause()
	if !c.closed {
		c.closed, c.cause = true, cause
	}
	c.mu.Unlock()
	c.hangUp()
}

var errWriteTimeout = errors.New("it has taken no data for too long")
