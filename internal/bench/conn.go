package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// conn is a client's connection: packets in from a buffer that large reads fill, packets out in one write.
type conn struct {
	net.Conn
	version mqtt.Version
	buf     []byte
	r, w    int // buf[r:w] is read and not yet consumed
	// out is what the reader has to send, acknowledgements above all.
	out            []byte
	sessionPresent bool
	receiveMaximum int // what the broker lets this client have in flight
}

// client says who connects.
type client struct {
	id     string
	clean  bool // begin a new session
	stored bool // let it outlive the connection
	buffer int  // bytes to read with; it grows for a packet that needs more
}

const (
	smallBuffer   = 512
	largeBuffer   = 256 << 10
	storedSeconds = 3600 // that a v5 session of ours is kept for, should the run end before it removes it
)

// connect opens a connection and waits for a CONNACK that accepts.
func (r *runner) connect(ctx context.Context, who client) (*conn, error) {
	nc, err := r.dialer.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, version: r.o.Version, buf: make([]byte, who.buffer)}
	if err := c.shakeHands(&r.o, who); err != nil {
		nc.Close()
		return nil, fmt.Errorf("connect as %s: %w", who.id, err)
	}
	return c, nil
}

func (c *conn) shakeHands(o *Options, who client) error {
	if err := c.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	connect := mqtt.Connect{
		Version: c.version, CleanStart: who.clean, ClientID: who.id,
		HasUsername: o.Username != "", Username: o.Username, HasPassword: o.Password != "", Password: []byte(o.Password),
	}
	if who.stored && c.version == mqtt.V5 {
		connect.Properties.SetSessionExpiry(storedSeconds)
	}
	if c.version != mqtt.V5 {
		connect.CleanStart = !who.stored // before 5.0 the flag says how long the session lives, too
	}
	if err := c.write(connect.Append(nil, c.version)); err != nil {
		return err
	}
	frame, err := c.next()
	if err != nil {
		return fmt.Errorf("wait for CONNACK: %w", err)
	}
	var connack mqtt.Connack
	if err := connack.Decode(c.version, frame); err != nil {
		if connack.Decode(mqtt.V311, frame) == nil && connack.Reason == mqtt.UnsupportedProtocolVersion {
			return fmt.Errorf("the broker does not speak MQTT %v", c.version) // which it said in an older version
		}
		return err
	}
	if connack.Reason != 0 {
		return fmt.Errorf("the broker refused: %w", connack.Reason)
	}
	c.sessionPresent = connack.SessionPresent
	c.receiveMaximum = maxWindow
	if connack.Properties.Has(mqtt.PropReceiveMaximum) {
		c.receiveMaximum = int(connack.Properties.ReceiveMaximum)
	}
	return c.SetDeadline(time.Time{})
}

// subscribe subscribes to one filter and waits for the SUBACK. What else arrives before it is left in the buffer: retained
// messages may.
func (c *conn) subscribe(filter string, qos int) error {
	s := mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: filter, Options: mqtt.SubscribeOptions(qos)}}}
	if err := c.write(s.Append(nil, c.version)); err != nil {
		return err
	}
	frame, err := c.next()
	if err != nil {
		return fmt.Errorf("wait for SUBACK: %w", err)
	}
	return granted(c.version, frame, qos)
}

// granted checks a SUBACK for one filter.
func granted(v mqtt.Version, frame []byte, qos int) error {
	var suback mqtt.Suback
	if err := suback.Decode(v, frame); err != nil {
		return fmt.Errorf("SUBACK: %w", err)
	}
	if len(suback.Reasons) != 1 || int(suback.Reasons[0]) != qos {
		return fmt.Errorf("subscribe at QoS %d: the broker answered %v", qos, suback.Reasons)
	}
	return nil
}

// ping checks that the broker still answers.
func (c *conn) ping() error {
	if err := c.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	if err := c.write((*mqtt.Pingreq)(nil).Append(nil, c.version)); err != nil {
		return err
	}
	frame, err := c.next()
	if err != nil {
		return fmt.Errorf("wait for PINGRESP: %w", err)
	}
	if t := mqtt.Type(frame[0] >> 4); t != mqtt.PINGRESP {
		return fmt.Errorf("%v came, expected PINGRESP", t)
	}
	return nil
}

// disconnect says goodbye and waits until the broker has closed. Then the broker's side holds the address for the usual minutes,
// and this side can use its port again.
func (c *conn) disconnect() {
	defer c.Close()
	if c.write((&mqtt.Disconnect{}).Append(nil, c.version)) != nil {
		return
	}
	const wait = time.Second
	if c.SetReadDeadline(time.Now().Add(wait)) != nil {
		return
	}
	var rest [64]byte
	for {
		if _, err := c.Read(rest[:]); err != nil {
			break
		}
	}
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a matter of ports only
	}
}

func (c *conn) write(p []byte) error {
	_, err := c.Write(p)
	return err
}

// flush writes what is in out.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	err := c.write(c.out)
	c.out = c.out[:0]
	return err
}

// frame returns the next packet that is there, nil if none is whole. It is valid until the next fill.
func (c *conn) frame() ([]byte, error) {
	frame, _, err := mqtt.Split(c.buf[c.r:c.w], 0)
	c.r += len(frame)
	return frame, err
}

// next waits for the next packet.
func (c *conn) next() ([]byte, error) {
	for {
		if frame, err := c.frame(); frame != nil || err != nil {
			return frame, err
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads once.
func (c *conn) fill() error {
	copy(c.buf, c.buf[c.r:c.w])
	c.r, c.w = 0, c.w-c.r
	if c.w == len(c.buf) { // one packet is larger than the buffer
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	}
	n, err := c.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil // an error will come again
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the broker closed the connection")
	}
	return err
}

// serve handles what arrives until the connection ends: each packet, then, when there is no whole one left, the end of the batch.
// It returns why it ended.
func (c *conn) serve(handle func(frame []byte) error, batch func() error) error {
	for {
		frame, err := c.frame()
		switch {
		case err != nil:
			return err
		case frame != nil:
			if err := handle(frame); err != nil {
				return err
			}
			continue
		}
		if err := c.flush(); err != nil {
			return err
		}
		if err := batch(); err != nil {
			return err
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}
