// Package client is a small MQTT client for the versions 3.1, 3.1.1 and 5.0, made for
// bridges and for the command line. A [Client] is one connection, from CONNECT to its
// end; a [Session] is what outlives it: packet identifiers and the messages that are
// not acknowledged. Reconnecting, with what delay and which version, is the caller's.
//
//	conn, err := (&client.Dialer{Address: "localhost:1883"}).Dial(ctx)
//	c, err := client.Connect(ctx, conn, client.Options{Connect: mqtt.Connect{CleanStart: true}})
//	d, err := c.Publish(ctx, &mqtt.Publish{QoS: 1, Topic: []byte("a/b"), Payload: []byte("hi")})
//	<-d.Done()
//	err = c.Disconnect(ctx, nil)
//
// What it deliberately does not do: enhanced authentication, choosing topic aliases,
// keeping a session on a disk.
//
// # Goroutines
//
// A Client has two. readLoop owns the reading half: it decodes, calls OnPublish and
// settles acknowledgements. writeLoop owns the writing half: it sends what others
// appended to the outgoing buffer, many packets with one write, and keeps the connection
// alive. Neither blocks on the other. Both have ended when Close or Disconnect returns.
//
// # Bounds
//
// Messages that are accepted and not yet acknowledged: Options.Queue. Those of them that
// were sent: Options.Inflight and the server's receive maximum. Bytes waiting to be
// written: MaxBuffered, then Publish waits. Incoming messages are not queued at all:
// a slow OnPublish slows down the server, through TCP.
package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// The defaults of Options.
const (
	DefaultInflight = 20
	DefaultQueue    = 1000
	DefaultTimeout  = 20 * time.Second
)

// MaxBuffered is the number of bytes that wait to be written before Publish waits.
const MaxBuffered = 1 << 20

// farewell is how long Disconnect waits for the server to close the connection.
const farewell = time.Second

// What ends a connection or refuses a message.
var (
	ErrClosed           = errors.New("client: the connection is closed")
	ErrLost             = errors.New("client: the connection was lost")
	ErrKeepAlive        = errors.New("client: the server does not answer PINGREQ")
	ErrQueueFull        = errors.New("client: the queue is full")
	ErrQoSNotSupported  = errors.New("client: the server does not support this QoS")
	ErrRetainNotAllowed = errors.New("client: the server does not support retained messages")
	ErrPacketTooLarge   = errors.New("client: the packet is larger than the server accepts")
	ErrNoPacketID       = errors.New("client: all packet identifiers are in use")
)

// RefusedError is a CONNACK that refuses the connection.
type RefusedError struct {
	Connack mqtt.Connack
	Version mqtt.Version // in which CONNECT was sent
}

// Error returns the reason.
func (e *RefusedError) Error() string {
	return "client: the connection was refused: " + e.Connack.Reason.String()
}

// Unwrap returns the reason code.
func (e *RefusedError) Unwrap() error { return e.Connack.Reason }

// DisconnectedError is a DISCONNECT that the server sent.
type DisconnectedError struct{ Packet mqtt.Disconnect }

// Error returns the reason.
func (e *DisconnectedError) Error() string {
	return "client: the server disconnected: " + e.Packet.Reason.String()
}

// Unwrap returns the reason code.
func (e *DisconnectedError) Unwrap() error { return e.Packet.Reason }

// Direction says who sent a packet.
type Direction bool

// The directions.
const (
	Sent     Direction = false
	Received Direction = true
)

// Options are those of one connection. The zero value connects with MQTT 3.1.1.
type Options struct {
	// Connect is the CONNECT packet. Its zero Version stands for 3.1.1. Its receive
	// maximum, maximum packet size and topic alias maximum are enforced.
	Connect mqtt.Connect

	// Session carries the state of earlier connections; nil begins with a new one.
	Session *Session

	// OnPublish is called for each message, one after the other, from the goroutine
	// that reads; p is valid until it returns, and the message is acknowledged then.
	// It may call TryPublish, nothing else of the Client. A QoS 2 message is given to
	// it once, when it arrives.
	OnPublish func(p *mqtt.Publish)

	// Trace is called for each packet before it is handled or written, in order. The
	// client is locked meanwhile for packets sent: Trace must not call the client. p is
	// valid until it returns.
	Trace func(dir Direction, p mqtt.Packet)

	Inflight int           // messages sent and not acknowledged; 0: DefaultInflight
	Queue    int           // messages accepted and not acknowledged; 0: DefaultQueue
	Timeout  time.Duration // for CONNACK and for each write; 0: DefaultTimeout
}

func (o *Options) complete() {
	if o.Connect.Version == 0 {
		o.Connect.Version = mqtt.V311
	}
	if o.Session == nil {
		o.Session = new(Session)
	}
	if o.OnPublish == nil {
		o.OnPublish = func(*mqtt.Publish) {}
	}
	if o.Trace == nil {
		o.Trace = func(Direction, mqtt.Packet) {}
	}
	if o.Inflight <= 0 {
		o.Inflight = DefaultInflight
	}
	if o.Queue <= 0 {
		o.Queue = DefaultQueue
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
}

// Client is one connection. Its methods may be called from several goroutines.
type Client struct {
	conn      net.Conn
	opts      Options
	version   mqtt.Version
	connack   mqtt.Connack
	window    int           // messages that may be sent and not acknowledged
	keepAlive time.Duration // 0: none
	in        reader        // readLoop's
	incoming  mqtt.Publish  // readLoop's
	aliases   map[uint16][]byte
	wake      chan struct{} // writeLoop has something to do
	room      chan struct{} // a message may be accepted that was refused before
	done      chan struct{} // closed with err set
	loops     sync.WaitGroup

	mu       sync.Mutex
	session  *Session
	out      []byte
	requests map[uint16]chan mqtt.Packet // who waits for a SUBACK or UNSUBACK
	pinged   bool                        // a PINGREQ has no answer yet
	heard    bool                        // something was received since the last check
	leaving  bool                        // DISCONNECT is the last thing in out
	farewell *mqtt.Disconnect            // is to be it, when the message at hand is acknowledged
	handling bool                        // a message is at hand
	cause    error                       // why it is, other than ErrClosed
	err      error
}

// Connect sends CONNECT over conn and waits for CONNACK, until ctx ends or
// Options.Timeout is over. It owns conn from now on: it is closed after an error. A
// refusal is a *RefusedError. The messages of the session that were not acknowledged
// are sent again [MQTT-4.4.0-1].
func Connect(ctx context.Context, conn net.Conn, o Options) (*Client, error) {
	o.complete()
	c := &Client{
		conn: conn, opts: o, version: o.Connect.Version, session: o.Session,
		in:       reader{conn: conn, limit: mqtt.MaxPacketSize},
		wake:     make(chan struct{}, 1),
		room:     make(chan struct{}, 1),
		done:     make(chan struct{}),
		requests: map[uint16]chan mqtt.Packet{},
		aliases:  map[uint16][]byte{},
	}
	if p := &o.Connect.Properties; c.version == mqtt.V5 && p.Has(mqtt.PropMaximumPacketSize) {
		c.in.limit = p.MaximumPacketSize
	}
	if err := c.handshake(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	c.mu.Lock()
	c.session.resume(c.connack.SessionPresent)
	c.pump()
	c.mu.Unlock()
	c.loops.Go(c.readLoop)
	c.loops.Go(c.writeLoop)
	return c, nil
}

// handshake exchanges CONNECT and CONNACK.
func (c *Client) handshake(ctx context.Context) error {
	if err := c.conn.SetDeadline(time.Now().Add(c.opts.Timeout)); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	// A context that ends makes reading and writing fail at once.
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c.opts.Trace(Sent, &c.opts.Connect)
	if _, err := c.conn.Write(c.opts.Connect.Append(nil, c.version)); err != nil {
		return c.handshakeFailed(ctx, err)
	}
	frame, err := c.in.next()
	if err != nil {
		return c.handshakeFailed(ctx, err)
	}
	if t := mqtt.Type(frame[0] >> 4); t != mqtt.CONNACK {
		return &mqtt.Error{Reason: mqtt.ProtocolError, Detail: t.String() + " instead of CONNACK"}
	}
	// The properties point into the frame, which the next packet overwrites.
	if err := c.connack.Decode(c.version, append([]byte(nil), frame...)); err != nil {
		return err
	}
	c.opts.Trace(Received, &c.connack)
	if c.connack.Reason != mqtt.Success {
		return &RefusedError{c.connack, c.version}
	}
	if !stop() { // the context ended meanwhile, and the deadline stays in the past
		return ctx.Err()
	}
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	c.negotiate()
	return nil
}

func (c *Client) handshakeFailed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, ok := errors.AsType[*mqtt.Error](err); ok {
		return err
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// negotiate takes over what CONNACK says.
func (c *Client) negotiate() {
	p := &c.connack.Properties
	c.window = c.opts.Inflight
	if p.Has(mqtt.PropReceiveMaximum) { // [MQTT-3.3.4-7]
		c.window = min(c.window, int(p.ReceiveMaximum))
	}
	seconds := c.opts.Connect.KeepAlive
	if p.Has(mqtt.PropServerKeepAlive) { // [MQTT-3.2.2-21]
		seconds = p.ServerKeepAlive
	}
	c.keepAlive = time.Duration(seconds) * time.Second
}

// Connack returns the server's CONNACK, which must not be changed.
func (c *Client) Connack() *mqtt.Connack { return &c.connack }

// ClientID returns the client identifier, the assigned one if the server chose it.
func (c *Client) ClientID() string {
	if p := &c.connack.Properties; p.Has(mqtt.PropAssignedClientID) {
		return string(p.AssignedClientID)
	}
	return c.opts.Connect.ClientID
}

// Done returns a channel that is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the connection ended: ErrClosed if the caller did it, otherwise a
// *DisconnectedError, a *mqtt.Error for what the server did wrong, ErrKeepAlive or
// ErrLost; nil if it has not ended.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// fail ends the connection for the reason given, unless it has ended already.
func (c *Client) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
		close(c.done)
	}
	c.mu.Unlock()
	_ = c.conn.Close()
}

// Close ends the connection without a DISCONNECT, so that the server publishes the
// will, and waits for the goroutines.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	c.loops.Wait()
	return nil
}

// leave sends DISCONNECT as the last packet, for the reason given; if a message is at hand, behind its acknowledgement.
func (c *Client) leave(d *mqtt.Disconnect, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.leaving || c.farewell != nil {
		return
	}
	c.cause = cause
	if c.farewell = d; !c.handling {
		c.bow()
	}
}

// bow sends what leave has left. mu is held.
func (c *Client) bow() {
	if c.err == nil && c.farewell != nil && !c.leaving {
		c.send(c.farewell)
		c.leaving = true
	}
}

// Disconnect sends what was published before and DISCONNECT, d or an ordinary one if
// d is nil, and ends the connection. Messages that arrive meanwhile are dropped,
// without an acknowledgement. It returns an error if DISCONNECT could not be written
// before ctx ended.
func (c *Client) Disconnect(ctx context.Context, d *mqtt.Disconnect) error {
	if d == nil {
		d = &mqtt.Disconnect{}
	}
	c.leave(d, ErrClosed)
	// writeLoop writes it and closes the writing half; the server then closes the
	// connection [MQTT-3.14.4-1] and readLoop ends it. Closing it here could throw away
	// what the server has not read yet.
	var err error
	select {
	case <-c.done:
		if reason := c.Err(); !errors.Is(reason, ErrClosed) {
			err = reason
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = c.Close()
	return err
}
