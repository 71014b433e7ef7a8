package broker

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/uniomq/unio/broker/internal/netio"
	"github.com/uniomq/unio/broker/internal/session"
)

// The life of a connection whose socket an event loop reads (netio.Engine). A bare socket that the
// broker has accepted itself (SocketListener) waits there for CONNECT: the first event starts the
// goroutine that reads it. Other bare sockets come after CONNECT (adopt). Connections with a layer keep
// their goroutine.
//
// A connection is owned by its loop while that watches it, by goOn's goroutine while it does not, and
// by depart's at its end.

// newcomer is the owner of a socket that was just accepted, until the connection is: it has nothing but
// addresses.
type newcomer Client

// Addrs implements netio.Owner.
func (n *newcomer) Addrs() (local, remote net.Addr) { return n.LocalAddr, n.RemoteAddr }

// Event implements netio.Owner. No loop knows the socket yet.
func (n *newcomer) Event(int, netio.Round) {}

// Called implements netio.Owner.
func (n *newcomer) Called() bool { return false }

// SocketListener returns a listener for ServeListener that takes the clients of l, bare sockets, past Go's poller: what would be
// registered there would be taken out again after CONNECT. noDelay says whether Nagle's algorithm is to be off for
// a new connection; TCP keep-alive is as l's socket has it. On other systems than Linux it is l, with what Go decides of both.
func SocketListener(l *net.TCPListener, noDelay func() bool) (net.Listener, error) {
	return netio.Listen(l, noDelay, func(local, remote net.Addr) netio.Owner {
		return (*newcomer)(&Client{LocalAddr: local, RemoteAddr: remote})
	})
}

// clientOf returns the Client that a connection of a SocketListener has already.
func clientOf(nc net.Conn) *Client {
	if s, ok := nc.(*netio.Socket); ok {
		if n, ok := s.Owner().(*newcomer); ok {
			return (*Client)(n)
		}
	}
	return nil
}

// Addrs implements netio.Owner.
func (c *conn) Addrs() (local, remote net.Addr) { return c.client.LocalAddr, c.client.RemoteAddr }

// Called implements netio.Owner.
func (c *conn) Called() bool { return c.fenced.Load() || c.allowance.Load() != 0 }

// claim makes the socket of a new connection of a SocketListener one of the engine's; adopt does so for
// others, later. Without a loop for it, it is read and written as any net.Conn.
func (c *conn) claim() {
	s, ok := c.nc.(*netio.Socket)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Claim(&c.b.engine, c) && c.phase < session.Closing { // Shutdown may have closed it
		c.event, c.raw = s, s.Raw()
	}
}

// await has the engine wait for the first bytes of a connection, if it has it already.
func (c *conn) await() bool {
	if c.event == nil {
		return false
	}
	c.lastSeen.Store(time.Now().UnixNano())
	c.keepAlive = c.b.options.Load().ConnectTimeout
	c.waiting = true
	c.b.wheel.add(c, c.keepAlive)
	if c.event.Await() != nil {
		c.waiting = false // Read can wait as well
		return false
	}
	return true
}

// unwatch has the engine forget a connection that nobody else owns.
func (c *conn) unwatch() {
	if c.event != nil {
		c.event.Unwatch()
	}
}

// adopt makes the connection's socket one of the engine's: a descriptor of its own that Go's poller does not know, which would else
// be woken for each packet, too. It comes before anybody else knows the connection.
func (c *conn) adopt() {
	if c.event != nil || c.raw == nil || c.layer != nil || c.b.options.Load().GoroutinePerConnection {
		return
	}
	s := c.b.engine.Adopt(c.raw, c)
	if s == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase >= session.Closing || c.writing { // drain may still write what the authentication has said: it keeps the net.Conn
		_ = s.Close()
		return
	}
	_ = c.nc.Close() // the socket stays open
	c.nc, c.raw, c.event = s, s.Raw(), s
}

// watch has the engine read from now on. rest is what came behind CONNECT.
func (c *conn) watch(rest []byte) {
	c.in = append(c.in, rest...)
	c.unread = len(rest) > 0
	c.goOn()
}

// goOn goes on with a connection that is not registered: with packets that it has still, and then with its socket.
func (c *conn) goOn() {
	for {
		c.mu.Lock()
		if c.phase >= session.Closing {
			c.mu.Unlock()
			c.unwatch()
			c.depart(io.EOF) // the cause is known
			return
		}
		if c.behind() || c.unread && c.throttled() {
			c.parked = true // unpause comes back to goOn
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		if !c.unread {
			break
		}
		c.unread = false
		if err := c.consumeBatch(nil, nil); err != nil {
			c.unwatch()
			c.depart(err)
			return
		}
	}
	if err := c.event.Watch(); err != nil {
		c.unwatch()
		c.depart(err)
	}
}

// minShare is the least that a read may return.
const minShare = 4 << 10

// share is how much of a buffer one of some connections that are ready reads into: more messages at once cost less each, but those of the
// connections behind it wait for them. Not so the rest of a large packet, whose beginning is there.
func share(buffer, ready, partial int) int {
	if part := max(buffer/ready, minShare); partial < part {
		return part
	}
	return buffer
}

// Event implements netio.Owner. It reads once, and runs the protocol on that; the first event of a
// connection that has waited for CONNECT starts its goroutine.
func (c *conn) Event(ready int, shared netio.Round) {
	if c.waiting {
		c.waiting = false
		go c.run()
		return
	}
	if c.lingering {
		c.discardEvent()
		return
	}
	if c.fenced.Load() {
		c.part(io.EOF) // the cause is known
		return
	}
	rb := netio.Buffers.Get().(*[]byte)
	p := (*rb)[:share(len(*rb), ready, len(c.in))]
	n, err := c.event.TryRead(p)
	switch {
	case err == nil && n == 0:
		err = io.EOF
	case err == nil:
		err = c.consumeBatch(p[:n], shared.(*round))
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		netio.Buffers.Put(rb)
		if c.allowance.Load() > 0 { // it was heard out
			c.part(io.EOF)
		}
		return
	}
	netio.Buffers.Put(rb)
	if err != nil {
		c.part(err)
		return
	}
	c.mu.Lock()
	hold := c.behind()
	c.mu.Unlock()
	switch {
	case hold || c.unread:
		c.unwatch()
		go c.goOn()
	case c.allowance.Load() > 0:
		c.event.Call()
	}
}

// part ends a connection that its loop owns.
func (c *conn) part(cause error) {
	c.unwatch()
	go c.depart(cause) // it may wait
}

// watchLingering has the loop read what still comes, and end that when it is enough. The loop owns
// the connection from then on, and the wheel of keep alive sees to the time.
func (c *conn) watchLingering() bool {
	if c.event == nil {
		return false
	}
	c.allowance.Store(lingerBytes)
	c.lastSeen.Store(time.Now().UnixNano())
	c.keepAlive = lingerTime
	c.lingering = true
	c.b.wheel.add(c, lingerTime)
	if c.event.Watch() != nil {
		c.endLingering()
	}
	return true
}

// discardEvent reads once, and forgets what came.
func (c *conn) discardEvent() {
	rb := netio.Buffers.Get().(*[]byte)
	n, err := c.event.TryRead(*rb)
	netio.Buffers.Put(rb)
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
	case err != nil, n == 0, c.allowance.Add(-int32(n)) <= 0:
		c.endLingering()
	}
}

func (c *conn) endLingering() {
	c.unwatch()
	c.b.wheel.remove(c)
	c.lingered()
}

// depart is the end of a connection of the engine.
func (c *conn) depart(cause error) {
	defer c.release()
	defer c.b.forget(c)
	defer c.contain(&cause, nil) // hooks
	c.finish(cause)
}
