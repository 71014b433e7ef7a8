package client

import (
	"fmt"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// send appends a packet to the outgoing buffer. The caller holds mu.
func (c *Client) send(p mqtt.Packet) {
	c.opts.Trace(Sent, p)
	c.out = p.Append(c.out, c.version)
	c.signal(c.wake)
}

// answer sends an acknowledgement, unless we said good-bye already.
func (c *Client) answer(a *mqtt.Ack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && !c.leaving {
		c.send(a)
	}
}

// signal makes a channel of capacity 1 ready.
func (*Client) signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// writeLoop owns the writing half: it writes the outgoing buffer whenever there is
// something in it, everything at once, and sends PINGREQ.
func (c *Client) writeLoop() {
	idle := time.NewTimer(c.keepAlive)
	defer idle.Stop()
	if c.keepAlive == 0 {
		idle.Stop()
	}
	var spare []byte
	for {
		c.mu.Lock()
		p, leaving := c.out, c.leaving
		c.out = spare[:0]
		c.mu.Unlock()
		spare = p
		if len(p) > 0 {
			if err := c.flush(p); err != nil {
				c.fail(fmt.Errorf("%w: %w", ErrLost, err))
				return
			}
			c.signal(c.room)
			if c.keepAlive > 0 {
				idle.Reset(c.keepAlive)
			}
			if cap(spare) > MaxBuffered { // one large message is no reason to keep it
				spare = nil
			}
			continue
		}
		if leaving {
			c.bye()
			return
		}
		select {
		case <-c.wake:
		case <-idle.C:
			if !c.ping() {
				c.fail(ErrKeepAlive)
				return
			}
			idle.Reset(c.keepAlive)
		case <-c.done:
			return
		}
	}
}

// flush writes p within the timeout.
func (c *Client) flush(p []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.opts.Timeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(p)
	return err
}

// ping appends a PINGREQ after a keep alive interval without a packet sent
// [MQTT-3.1.2-20]. It reports false if the last one was not answered, nor anything else
// received, for a whole interval.
func (c *Client) ping() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pinged && !c.heard {
		return false
	}
	c.pinged, c.heard = true, false
	c.send(&mqtt.Pingreq{})
	return true
}

// bye runs when DISCONNECT was written: nothing follows, and the server has a moment
// to close the connection, which ends readLoop.
func (c *Client) bye() {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // a failure shows in readLoop
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(farewell)); err != nil {
		c.fail(ErrClosed)
	}
}
