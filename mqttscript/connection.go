package mqttscript

import (
	"errors"
	"io"
	"net"
	"sync"

	"github.com/uniomq/unio/mqtt"
)

// maxInbox bounds what a connection holds unread: packets and their bytes. A
// broker that sends more is not read any further.
const (
	maxInboxPackets = 1 << 16
	maxInboxBytes   = 64 << 20
)

var errInboxFull = errors.New("the broker sent more than a script can hold")

// connection is a network connection and the packets that came over it. Its one
// goroutine, receive, ends when the connection does; the run waits for it.
type connection struct {
	net.Conn
	arrived chan<- struct{} // capacity 1: the inbox or err changed

	mu    sync.Mutex
	inbox [][]byte
	size  int   // bytes in inbox
	err   error // why nothing more will come; io.EOF for an orderly end
}

// receive fills the inbox until the connection ends.
func (c *connection) receive() {
	var buf []byte
	part := make([]byte, 16<<10)
	for {
		n, err := c.Read(part)
		buf = append(buf, part[:n]...)
		for {
			frame, rest, splitErr := mqtt.Split(buf, 0)
			if splitErr != nil {
				err = splitErr
				break
			}
			if frame == nil {
				break
			}
			buf = append([]byte(nil), rest...) // the frame keeps its memory
			if !c.push(frame) {
				err = errInboxFull
				break
			}
		}
		if err != nil {
			c.end(err, len(buf))
			return
		}
	}
}

// push adds a packet to the inbox, false if it is full.
func (c *connection) push(frame []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inbox) >= maxInboxPackets || c.size+len(frame) > maxInboxBytes {
		return false
	}
	c.inbox = append(c.inbox, frame)
	c.size += len(frame)
	c.wake()
	return true
}

func (c *connection) end(err error, torn int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(err, io.EOF) && torn > 0 {
		err = io.ErrUnexpectedEOF
	}
	c.err = err
	c.wake()
}

func (c *connection) wake() {
	select {
	case c.arrived <- struct{}{}:
	default: // a wake-up is pending
	}
}

// peek returns the oldest unread packet without removing it; nil if there is none,
// with the reason if none will come.
func (c *connection) peek() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inbox) > 0 {
		return c.inbox[0], nil
	}
	return nil, c.err
}

// pop removes the packet that peek returned.
func (c *connection) pop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size -= len(c.inbox[0])
	c.inbox = c.inbox[1:]
}

// closeWrite ends the writing half, as the end of a client's process does, and
// leaves the reading half open to see the broker's close. A connection that has
// no halves, a TLS one, is closed.
func (c *connection) closeWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// client is a client of a script. Only the run's goroutine uses it.
type client struct {
	name         string
	version      mqtt.Version
	conn         *connection // nil: not connected
	accepted     bool        // CONNACK with rc=0 came
	disconnected bool        // it sent DISCONNECT
}
