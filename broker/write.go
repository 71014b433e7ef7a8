package broker

import (
	"errors"
	"os"
	"runtime"
	"time"

	"github.com/uniomq/unio/broker/internal/netio"
	"github.com/uniomq/unio/broker/internal/session"
)

// The write path has no writer goroutine and no channel. Whoever has something for
// a connection appends it to out under mu and puts the connection into its batch,
// once; the batch, or the round of an event loop, flushes at its end. A flush makes attempts that do not block.
// If the socket is full, one goroutine, drain, waits for it with a deadline.
//
// A connection that is not a socket (raw is nil) is always written by drain, since its
// Write may block. An idle connection holds no output.

// output returns what to append to. mu is held.
func (c *conn) output() *netio.Output {
	if c.out == nil {
		c.out = netio.NewOutput()
	}
	return c.out
}

// ready returns the output if something of it is to be written. mu is held.
func (c *conn) ready() *netio.Output {
	out := c.out
	if out != nil && !out.Ready() {
		c.out, out = nil, nil
	}
	return out
}

// attempt is what tryWrite is to write: for a bare socket what out has prepared, else p.
type attempt struct {
	out *netio.Output // nil: nothing is to be written
	p   []byte
}

// attempt returns what the writer is to try next. mu is held.
func (c *conn) attempt() attempt {
	out := c.ready()
	switch {
	case out == nil:
		return attempt{}
	case c.raw != nil && c.layer == nil:
		out.Prepare()
		return attempt{out: out}
	default:
		return attempt{out, out.Next()}
	}
}

// written takes n bytes of out away, unless abort has taken all. mu is held.
func (c *conn) written(out *netio.Output, n int) {
	if out != nil && c.out == out {
		out.Advance(n)
	}
}

// buffered is how many bytes wait. mu is held.
func (c *conn) buffered() int {
	if c.out == nil {
		return 0
	}
	return c.out.Size()
}

// tryWrite makes one attempt and returns how much was taken, and whether there is more to be done, if not to be taken.
func (c *conn) tryWrite(a attempt) (n int, more bool) {
	switch {
	case c.raw == nil:
		return 0, true
	case c.layer != nil:
		return c.layer.Write(c.raw, a.p)
	}
	return a.out.Write(c.raw)
}

// flush writes what is in out, as far as the socket takes it; last closes the socket behind it.
func (c *conn) flush(last bool) {
	c.mu.Lock()
	c.dirty = false
	if c.writing || c.phase == session.Gone { // whoever writes takes this along, and closes the socket of a closed connection
		c.mu.Unlock()
		return
	}
	next := c.attempt()
	search := next.out == nil && c.held && c.phase < session.Closing
	c.writing = next.out != nil || search
	if search {
		c.b.wg.Add(1)
		c.mu.Unlock()
		go c.drain(nil, nil)
		return
	}
	c.mu.Unlock()
	for round := 1; next.out != nil; round++ {
		n, more := c.tryWrite(next)
		c.mu.Lock()
		if c.out != next.out { // abort came meanwhile
			c.mu.Unlock()
			return
		}
		c.out.Advance(n)
		busy := round >= flushRounds && c.buffered() > 0         // others go on appending: this may be an event loop, which has more to do
		if more || busy || c.held && c.phase < session.Closing { // drain also takes what waited for room
			p := next.out.Next()
			c.b.wg.Add(1)
			c.mu.Unlock()
			go c.drain(next.out, p)
			return
		}
		next = c.attempt()
		c.writing = next.out != nil
		c.unpause() // it may have seen the output before it was written
		last = c.phase >= session.Closing
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
	defer c.leave()
	c.goodbye()
	c.mu.Lock()
	over, told, lingers := c.phase >= session.Over && !c.writing || c.raw == nil, c.told && c.raw != nil, c.lingers
	c.mu.Unlock()
	switch {
	case lingers: // the socket is not this connection's any more
	case told:
		_ = c.raw.Control(netio.CloseWrite)
		c.linger() // if release came before the last write
	case over:
		_ = c.nc.Close()
	default:
		_ = c.raw.Control(netio.Shutdown)
	}
}

// drain writes p, and then whatever waits behind it, waiting for the socket, and gives up after
// WriteTimeout without progress. A layer may have something left even if p is empty.
func (c *conn) drain(out *netio.Output, p []byte) {
	defer c.b.wg.Done()
	c.b.slow.enter(c)
	defer c.b.slow.leave(c)
	for again, search := true, false; again; {
		n := 0
		if len(p) > 0 || out != nil && c.layer != nil {
			_ = c.nc.SetWriteDeadline(time.Now().Add(c.b.options.Load().WriteTimeout))
			m, err := c.nc.Write(p[:min(len(p), drainChunk)])
			if err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					err = errWriteTimeout
				}
				c.abort(err)
				return
			}
			n = m
		}
		if search {
			c.b.searches <- struct{}{}
		}
		was := search
		out, p, search = c.more(out, n)
		if was {
			<-c.b.searches
			runtime.Gosched() // this may go on for long
		}
		again = out != nil || search
	}
}

// drainChunk is how many bytes a client must at least take within WriteTimeout.
const drainChunk = 64 << 10

// more takes n bytes away, which drain has written, and returns what it is to write next; nil: this
// is its end, unless it is to search on. Where there is room again, what waited for it is added.
func (c *conn) more(was *netio.Output, n int) (out *netio.Output, p []byte, search bool) {
	bt := c.b.newBatch()
	defer bt.finish(nil)
	c.mu.Lock()
	c.written(was, n)
	if c.held && c.buffered() <= bt.o.MaxBufferedBytes/2 {
		c.held = false
		if bl := c.backlog(); bl != nil {
			bl.search, bt.steps = false, drainSteps
		}
		c.pump(bt)
	}
	out = c.ready()
	search = c.held && out == nil && c.phase < session.Closing
	c.writing = out != nil || search
	if out != nil {
		p = out.Next()
	} else if !search {
		_ = c.nc.SetWriteDeadline(time.Time{}) // it would fail the next write that does not wait
	}
	c.unpause()
	closed := c.phase >= session.Closing
	c.mu.Unlock()
	if out == nil && closed {
		c.hangUp()
	}
	return out, p, search
}

// abort ends a connection whose socket takes nothing. The read loop sees the close.
func (c *conn) abort(cause error) {
	c.mu.Lock()
	c.writing, c.told = false, false
	c.out = nil
	c.owesNothing()
	c.unpause()
	if c.phase.Enter(session.Closing) < session.Closing {
		c.cause = cause
	}
	c.mu.Unlock()
	c.hangUp()
}

var errWriteTimeout = errors.New("it has taken no data for too long")
