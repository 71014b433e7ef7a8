package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// patience bounds the wait for the broker's next bytes.
const patience = 20 * time.Second

// conn is a client's connection: packets in from a buffer that is filled by large reads, packets out by one write.
type conn struct {
	net.Conn
	version mqtt.Version
	buf     []byte
	r, w    int // buf[r:w] is read and not yet consumed
	out     []byte
}

// dial connects and waits for a CONNACK that accepts. buffer is the size of the read buffer in bytes.
func dial(o options, id string, buffer int) (*conn, error) { return dialSession(o, id, buffer, false) }

// dialSession is dial with a session that outlives the connection, if it is to be stored.
func dialSession(o options, id string, buffer int, stored bool) (*conn, error) {
	nc, err := open(o)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, version: o.version, buf: make([]byte, buffer)}
	connect := mqtt.Connect{Version: o.version, CleanStart: !stored, ClientID: id}
	if stored && o.version == mqtt.V5 {
		connect.Properties.SetSessionExpiry(0xFFFFFFFF)
	}
	if err := c.write(connect.Append(nil, o.version)); err != nil {
		return nil, err
	}
	frame, err := c.next()
	if err != nil {
		return nil, fmt.Errorf("wait for CONNACK: %w", err)
	}
	var connack mqtt.Connack
	if err := connack.Decode(o.version, frame); err != nil {
		return nil, err
	}
	if connack.Reason != 0 {
		return nil, fmt.Errorf("connect: refused with %#x", byte(connack.Reason))
	}
	return c, nil
}

// subscribe subscribes to one filter and waits for the SUBACK.
func (c *conn) subscribe(filter string, qos int) error {
	s := mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{
		{Filter: filter, Options: mqtt.SubscribeOptions(qos)},
	}}
	if err := c.write(s.Append(nil, c.version)); err != nil {
		return err
	}
	frame, err := c.next()
	if err != nil {
		return fmt.Errorf("wait for SUBACK: %w", err)
	}
	var suback mqtt.Suback
	if err := suback.Decode(c.version, frame); err != nil {
		return err
	}
	if len(suback.Reasons) != 1 || int(suback.Reasons[0]) != qos {
		return fmt.Errorf("subscribe at QoS %d: answered %v", qos, suback.Reasons)
	}
	return nil
}

func (c *conn) write(p []byte) error {
	_, err := c.Write(p)
	return err
}

// flush writes what was put into out.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	err := c.write(c.out)
	c.out = c.out[:0]
	return err
}

// next returns the next packet, valid until the call after. Before it waits for bytes it flushes.
func (c *conn) next() ([]byte, error) {
	for {
		frame, _, err := mqtt.Split(c.buf[c.r:c.w], 0)
		if err != nil {
			return nil, err
		}
		if frame != nil {
			c.r += len(frame)
			return frame, nil
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

func (c *conn) fill() error {
	if err := c.flush(); err != nil {
		return err
	}
	copy(c.buf, c.buf[c.r:c.w])
	c.r, c.w = 0, c.w-c.r
	if c.w == len(c.buf) { // one packet is larger than the buffer
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	n, err := c.Read(c.buf[c.w:])
	c.w += n
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
