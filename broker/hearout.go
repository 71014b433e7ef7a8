package broker

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/uniomq/unio/broker/internal/netio"
	"github.com/uniomq/unio/mqtt"
)

// A connection whose session is taken over is heard out: what its client had sent when the newer
// CONNECT came is handled first, above all DISCONNECT, which discards the will, and messages at QoS
// 0, which nobody sends again. That ends with what the socket has, or before, with one of these.
const (
	hearOutTime  = 200 * time.Millisecond
	hearOutBytes = 64 << 10
)

// hearOutGrace is how long a connection is waited for that cannot be asked whether there is
// something to read.
const hearOutGrace = 10 * time.Millisecond

// hearOut has the read loop handle what there is to read, and then end. It returns when it has, or
// when that takes too long.
func (c *conn) hearOut(ctx context.Context) {
	c.allowance.Store(hearOutBytes - netio.ReadSize + 1) // one read more may come when a byte is left of it
	c.rouse(hearOutGrace)
	ctx, cancel := context.WithTimeout(ctx, hearOutTime)
	defer cancel()
	_ = c.awaitEnd(ctx)
}

// heard takes n bytes that were read off what a connection that is heard out may still say.
func (c *conn) heard(n int) error {
	if c.allowance.Load() > 0 && c.allowance.Add(-int32(n)) <= 0 {
		return mqtt.SessionTakenOver
	}
	return nil
}

// rouse has the owner of the read loop look at fenced and allowance. Where it cannot be told
// whether there is something to read, that takes grace at most. A connection that lingers already
// has a deadline of its own.
func (c *conn) rouse(grace time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.lingers:
	case c.event != nil && c.accepted.Load():
		c.event.Call()
	case c.raw == nil && grace > 0:
		_ = c.nc.SetReadDeadline(time.Now().Add(grace))
	default:
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// endOf is the cause of an end that the read loop has seen.
func (c *conn) endOf(cause error) error {
	switch {
	case c.allowance.Load() != 0 && (errors.Is(cause, io.EOF) || errors.Is(cause, os.ErrDeadlineExceeded)):
		return mqtt.SessionTakenOver
	case errors.Is(cause, net.ErrClosed):
		return io.EOF
	default:
		return cause
	}
}
