package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/uniomq/unio/broker/internal/netio"
	"github.com/uniomq/unio/broker/internal/session"
	"github.com/uniomq/unio/mqtt"
)

// conn is one network connection. Its read loop owns in, and the Inbound half of
// sess; it ends when the socket closes, whoever closes it.
type conn struct {
	b      *Broker
	nc     net.Conn
	raw    syscall.RawConn // nil: not a socket, or not known yet; see write.go
	layer  *netio.Layer    // nil: MQTT lies directly on the socket
	event  *netio.Socket   // nil: not a socket of the engine; see engine.go
	ln     *listener
	lo     *ListenerOptions // of ln, when the connection was accepted
	client *Client          // for hooks and events; complete when sub is set
	sub    *subscriber
	sess   *session.Session
	extra  *extra // nil: none of that; it is made before the connection is known to others

	keepAlive time.Duration // silence after which the connection is closed; 0: never
	slot      wheelSlot
	lastSeen  atomic.Int64 // unix nanoseconds; kept coarse, once per read
	in        []byte       // the beginning of a packet whose end has not arrived

	maxPacket      uint32       // the client's Maximum Packet Size
	expiry         uint32       // Session Expiry Interval, seconds
	owed           atomic.Int32 // PUBACKs that wait for a commit
	accepted       atomic.Bool  // CONNACK was sent with success
	fenced         atomic.Bool  // the read loop must handle nothing more
	allowance      atomic.Int32 // bytes that it may still read, see hearOut; 0: no bound
	receiveMaximum uint16       // the client's
	aliasMaximum   uint16       // the client's
	version        mqtt.Version
	terse          bool // the client wants no reason strings [MQTT-3.1.2-29]
	unread         bool // in has packets that were not handled, because of throttle, or are for goOn
	again          bool // the first of them was looked at, and told of, in the event loop
	placed         bool // takes one of MaxConnections: in ln.count and counters.connections
	waiting        bool // has said nothing yet, and an event loop owns it
	lingering      bool // nothing but its socket is left, and an event loop owns it

	// mu guards what follows, and the Outbound half of sess.
	phase   session.Phase
	dirty   bool // some batch will flush this connection
	writing bool // somebody writes; it will look at out again
	told    bool // why it ends, so that it lingers
	lingers bool // the socket is left to linger
	// parked says that no loop watches its socket, and that unpause resumes it, farewell that its layer
	// has said goodbye.
	parked, farewell bool

	held   bool // something waits for the buffer, which was full, and no acknowledgement will come for it
	doom   mqtt.ReasonCode
	mu     sync.Mutex
	out    *netio.Output // to be written; nil: nothing
	cause  error         // why it was closed
	cursor uint64        // ordinal of the newest delivery pulled from the store
	waits  *waits        // nil: nothing of that yet
}

// extra is what few clients bring along.
type extra struct {
	identifyErr error // of ListenerOptions.Identify, told behind CONNECT
	will        *will
	lease       *time.Timer // ends the connection at client.Expires; nil: never

	authMethod string
	stepping   atomic.Bool // a step of reauth runs, and owns it
	reauth     Exchange    // the enhanced re-authentication under way
}

// withExtra returns extra, which there is from now on.
func (c *conn) withExtra() *extra {
	if c.extra == nil {
		c.extra = new(extra)
	}
	return c.extra
}

// will is nil if the client has none.
func (c *conn) will() *will {
	if c.extra == nil {
		return nil
	}
	return c.extra.will
}

// waits is what has to wait on a connection, and who waits for it. conn.mu guards it.
type waits struct {
	pending []*commit     // commits whose acknowledgements are not released, in order
	backlog *backlog      // nil: nothing of that
	resumed chan struct{} // closed to let a paused read loop go on; nil: it is not paused
	ended   chan struct{} // closed when done; nil: nobody waits for that
}

// withWaits returns waits, which there are from now on. mu is held.
func (c *conn) withWaits() *waits {
	if c.waits == nil {
		c.waits = new(waits)
	}
	return c.waits
}

// pending is how many commits are under way. mu is held.
func (c *conn) pending() int {
	if c.waits == nil {
		return 0
	}
	return len(c.waits.pending)
}

func newConn(b *Broker, nc net.Conn, ln *listener) *conn {
	c := &conn{b: b, nc: nc, ln: ln, lo: ln.options.Load(), maxPacket: mqtt.MaxPacketSize}
	if c.client = clientOf(nc); c.client == nil {
		c.client = &Client{RemoteAddr: nc.RemoteAddr(), LocalAddr: nc.LocalAddr()}
	}
	c.client.LocalAddr, c.client.Listener = ln.localAddr(c.client.LocalAddr), c.lo.Name
	return c
}

// loop feeds what arrives to data, until an error. It is called once for life.
func (c *conn) loop(rest []byte) (err error) {
	defer c.contain(&err, nil)
	if len(rest) > 0 {
		if err := c.consume(rest); err != nil {
			return err
		}
	}
	if c.raw != nil {
		return c.loopRaw()
	}
	return c.loopWaiting()
}

// waitingRead is the size of the buffer that a connection keeps while it waits for its client.
const waitingRead = 256

// loopWaiting reads from what cannot be asked whether there is something to read. It waits with a small buffer, and with a large one as long as
// more comes than fits.
func (c *conn) loopWaiting() error {
	small := make([]byte, waitingRead)
	for {
		full, err := c.readInto(small)
		for full && err == nil {
			rb := netio.Buffers.Get().(*[]byte)
			full, err = c.readInto(*rb)
			netio.Buffers.Put(rb)
		}
		if err != nil {
			return err
		}
	}
}

// readInto reads once, handles that, and reports whether it filled the buffer.
func (c *conn) readInto(p []byte) (full bool, err error) {
	n, err := c.nc.Read(p)
	if n > 0 {
		if err := c.consume(p[:n]); err != nil {
			return false, err
		}
	}
	return n == len(p), err
}

// consume runs the protocol on bytes that arrived, and flushes what that caused.
func (c *conn) consume(p []byte) error {
	err := c.consumeBatch(p, nil)
	if err == nil {
		c.pause(c.behind)
	}
	return err
}

// consumeBatch runs the protocol on bytes that arrived, and leaves the flush of what that caused to a round, if there is one.
func (c *conn) consumeBatch(p []byte, r *round) (err error) {
	defer c.contain(&err, nil) // of finish: an event loop has nothing behind it that would
	bt := c.b.newBatch()
	if bt.round = r; r != nil {
		r.bytes += len(p)
	}
	defer bt.finish(c) // also after a panic: others wait for this batch's flush
	defer c.contain(&err, &bt.handling)
	if err := c.data(p, bt); err != nil {
		return err
	}
	return c.heard(len(p))
}

// maxPending is how many commits a connection may have under way.
const maxPending = 1024

// behind says that the store is far behind with what this client sent, or that the client takes none of the answers. mu is held.
func (c *conn) behind() bool {
	return c.pending() > maxPending || c.buffered() > 2*c.b.options.Load().MaxBufferedBytes
}

// pause holds the read loop up while a condition lasts that depends on what mu guards. TCP then holds up the client.
func (c *conn) pause(while func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.phase < session.Closing && while() {
		resumed := make(chan struct{})
		c.withWaits().resumed = resumed
		c.mu.Unlock()
		<-resumed
		c.mu.Lock()
	}
}

// unpause lets a paused read loop look again. mu is held.
func (c *conn) unpause() {
	if c.parked {
		c.parked = false
		go c.goOn()
	}
	if w := c.waits; w != nil && w.resumed != nil {
		close(w.resumed)
		w.resumed = nil
	}
}

// data handles the packets in p, behind what was left over from earlier reads.
func (c *conn) data(p []byte, bt *batch) error {
	c.lastSeen.Store(bt.now.UnixNano())
	received := len(p)
	bt.bytesReceived += int64(received)
	if len(c.in) > 0 {
		c.in = append(c.in, p...)
		p = c.in
	}
	for len(p) > 0 {
		frame, rest, err := c.version.Split(p, bt.o.MaxPacketSize)
		if err != nil {
			return err
		}
		if frame == nil {
			break
		}
		if c.fenced.Load() {
			return net.ErrClosed
		}
		if hold, err := c.throttle(frame, bt); err != nil {
			return err
		} else if hold || bt.round != nil && heavy(frame) {
			c.unread = true // goOn handles it
			break
		}
		bt.packetsReceived++
		bt.handling = frame
		if err := c.handle(frame, bt); err != nil {
			if errors.Is(err, errElsewhere) {
				bt.packetsReceived--
				c.unread = true // goOn handles it
				break
			}
			return err
		}
		p = rest
	}
	c.keep(p)
	if len(c.in) > largePartial && !c.unread {
		bt.grown += int64(received)
		if c.b.cramped() {
			return errNoRoomForPacket
		}
	}
	return nil
}

// largePartial is how many bytes of an incomplete packet a connection may hold while there is no room.
const largePartial = 64 << 10

var errNoRoomForPacket = fmt.Errorf("no room for a large packet: memory is short: %w", mqtt.QuotaExceeded)

// heavySize is the size in bytes of a SUBSCRIBE or UNSUBSCRIBE that an event loop does not handle: some hundred filters.
const heavySize = 2 << 10

// heavy reports whether a packet is so much work that the other clients of an event loop would
// notice. The connection then leaves its loop, and a goroutine of its own handles the packet.
func heavy(frame []byte) bool {
	kind := mqtt.Type(frame[0] >> 4)
	return (kind == mqtt.SUBSCRIBE || kind == mqtt.UNSUBSCRIBE) && len(frame) > heavySize
}

// keep holds on to what was not handled: an incomplete packet or, if unread, more. p is the end of
// in, unless that is empty. Memory grows with what arrives, never with what is announced; and what
// stays is moved at most once behind a packet, however small the segments are that follow.
func (c *conn) keep(p []byte) {
	switch {
	case len(p) == 0:
		c.in = nil
	case len(p) == len(c.in): // all of it is there already
	case c.unread && len(c.in) > 0:
		c.in = p // goOn goes on with it at once
	case cap(c.in) <= 2*netio.ReadSize:
		c.in = append(c.in[:0], p...)
	default:
		c.in = append([]byte(nil), p...) // what was handled is not held any longer
	}
}

// contain turns a panic of this connection's goroutine into an error that closes only it. handling is the packet that
// was being handled, nil in the handshake: CONNECT and AUTH hold secrets, and are told to nobody.
func (c *conn) contain(err *error, handling *[]byte) {
	v := recover()
	if v == nil {
		return
	}
	var packet []byte
	if handling != nil && len(*handling) > 0 && mqtt.Type((*handling)[0]>>4) != mqtt.AUTH {
		packet = *handling
	}
	c.b.panicked(c.client, v, packet)
	*err = fmt.Errorf("panic: %v: %w", v, mqtt.ImplementationSpecificError)
}

// panicked counts and tells of a panic that was contained.
func (b *Broker) panicked(c *Client, v any, packet []byte) {
	b.counters.panics.Add(1)
	if event := b.options.Load().Events.Panicked; event != nil {
		event(c, v, packet, debug.Stack())
	}
}

// finish ends a connection that had a session.
func (c *conn) finish(cause error) {
	c.b.wheel.remove(c)
	if c.extra != nil && c.extra.lease != nil {
		c.extra.lease.Stop()
	}
	c.end(cause)
	c.b.detach(c)
	if event := c.b.options.Load().Events.Disconnected; event != nil {
		cause = c.closeCause()
		if errors.Is(cause, errDisconnect) || errors.Is(cause, errDisconnectWithWill) {
			cause = nil
		}
		event(c.client, cause)
	}
}

// end is the end of the read loop.
// [MQTT-3.14.4-2]
func (c *conn) end(cause error) {
	c.shut(cause, session.Over)
	c.flush(true) // whoever has shut it may not have come to write why; who writes hangs up
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase.Enter(session.Ended)
	if c.waits != nil && c.waits.ended != nil {
		close(c.waits.ended)
	}
}

// awaitEnd waits for the end of the read loop, but no longer than ctx.
func (c *conn) awaitEnd(ctx context.Context) error {
	c.mu.Lock()
	if c.phase >= session.Ended {
		c.mu.Unlock()
		return nil
	}
	w := c.withWaits()
	if w.ended == nil {
		w.ended = make(chan struct{})
	}
	ended := w.ended
	c.mu.Unlock()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *conn) closeCause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// shut fences the connection and closes it: nothing is appended any more except,
// for a v5 client and a cause with a reason code, a DISCONNECT. The first cause counts. It does
// not wait for the read loop, which it fences, too, unless that has ended by itself (session.Over): not
// before, since the loop would then see an end, and shut the connection for that.
// [MQTT-3.14.0-1, MQTT-3.14.2-2, MQTT-4.8.0-1, MQTT-4.13.1-1, MQTT-4.13.2-1]
func (c *conn) shut(cause error, to session.Phase) {
	c.mu.Lock()
	if to == session.Closing {
		c.fenced.Store(true)
	}
	was := c.phase.Enter(to)
	if was >= session.Closing {
		if errors.Is(cause, errDisconnect) && !c.fenced.Load() { // abort came before, from who writes
			c.cause = cause // [MQTT-3.1.2-10] the client had said goodbye all the same
		}
		c.mu.Unlock()
		return
	}
	cause = c.endOf(cause)
	c.cause = cause
	c.owesNothing()
	c.unpause()
	var code mqtt.ReasonCode
	if was == session.Live && c.version == mqtt.V5 && errors.As(cause, &code) && code >= 0x80 {
		d := mqtt.Disconnect{Reason: code.In(mqtt.DISCONNECT)}
		setReason(&d.Properties, cause, c.maxPacket)
		if p := d.Append(nil, mqtt.V5); len(p) <= int(c.maxPacket) { // [MQTT-3.1.2-24]
			c.output().Add(p)
			c.told = true
			c.tell(&d)
		}
	}
	c.mu.Unlock()
	c.flush(true)
}

// interrupt is shut from outside the read loop, which it wakes even if the socket stays open for a while
// because its client reads slowly.
func (c *conn) interrupt(cause error) {
	c.shut(cause, session.Closing)
	c.rouse(0) // after that: from there on adopt leaves nc
}

// tell reports a packet that was appended to the Sent event.
func (c *conn) tell(p mqtt.Packet) {
	event := c.b.options.Load().Events.Sent
	if event == nil {
		return
	}
	defer func() { // mu is held, by any goroutine, which has others to serve
		if v := recover(); v != nil {
			c.b.panicked(c.client, v, nil)
			c.b.wg.Go(func() { c.interrupt(mqtt.ImplementationSpecificError) })
		}
	}()
	event(c.client, p)
}
