//go:build unix

package broker

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/uniomq/unio/mqtt"
)

// sockets are the doorways whose connections are sockets.
var sockets = doorways[:3]

// TestClientInTheMiddleOfSendingReadsWhy has clients that send much at once, and only then look
// what the broker has said.
func TestClientInTheMiddleOfSendingReadsWhy(t *testing.T) {
	t.Parallel()
	large := (&mqtt.Publish{Topic: []byte("t"), Payload: make([]byte, 1<<20)}).Append(nil, mqtt.V5)
	small := slices.Repeat((&mqtt.Publish{Topic: []byte("t"), Payload: make([]byte, 1000)}).Append(nil, mqtt.V5), 1000)
	connect := (&mqtt.Connect{ClientID: "c", CleanStart: true}).Append(nil, mqtt.V5)
	for _, d := range sockets {
		for _, k := range []struct {
			name string
			send []byte
			want mqtt.ReasonCode
		}{
			{"packet too large", append(slices.Clone(connect), large...), mqtt.PacketTooLarge},
			{"refused", append((&mqtt.Connect{ClientID: "refused", CleanStart: true}).Append(nil, mqtt.V5), small...), mqtt.Banned},
			{"ended from outside", append(slices.Clone(connect), small...), mqtt.AdministrativeAction},
		} {
			t.Run(d.name+", "+k.name, func(t *testing.T) {
				o := d.o
				o.MaxPacketSize = 2000
				o.Authenticator = banning{}
				b, connect := d.open(t, o)
				nc := connect()
				if k.want == mqtt.AdministrativeAction {
					if _, err := nc.Write(k.send[:2000]); err != nil {
						t.Fatal(err)
					}
					for !b.Disconnect("c", mqtt.AdministrativeAction) {
						runtime.Gosched()
					}
					k.send = k.send[2000:]
				}
				for p := range slices.Chunk(k.send, 64<<10) {
					if _, err := nc.Write(p); err != nil {
						t.Errorf("sending ended with %v", err)
						break
					}
				}
				if got := lastReason(t, nc); got != k.want {
					t.Errorf("got %v, want %v", got, k.want)
				}
				_ = nc.Close()
				waitLingering(b, 0)
			})
		}
	}
}

// lastReason reads up to the end, and returns what the broker said last.
func lastReason(t *testing.T, nc net.Conn) (code mqtt.ReasonCode) {
	t.Helper()
	p, err := io.ReadAll(nc)
	if err != nil {
		t.Errorf("reading ended with %v", err)
	}
	for len(p) > 0 {
		frame, rest, err := mqtt.Split(p, 0)
		if err != nil || frame == nil {
			t.Fatalf("%x: %v", p, err)
		}
		packet, err := mqtt.Decode(mqtt.V5, frame)
		if err != nil {
			t.Fatal(err)
		}
		switch packet := packet.(type) {
		case *mqtt.Connack:
			code = packet.Reason
		case *mqtt.Disconnect:
			code = packet.Reason
		}
		p = rest
	}
	return code
}

func waitLingering(b *Broker, n int) {
	for {
		b.mu.Lock()
		now := len(b.lingering)
		b.mu.Unlock()
		if now == n {
			return
		}
		runtime.Gosched()
	}
}

// TestLingeringEnds: a client that goes on sending, or does not close, is waited for no longer than
// the bounds say.
func TestLingeringEnds(t *testing.T) {
	t.Parallel()
	for _, d := range sockets {
		for _, floods := range []bool{false, true} {
			name := d.name + ", silent"
			if floods {
				name = d.name + ", flooding"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b, connect := d.open(t, d.o)
				nc := connect()
				exchange(t, nc, &mqtt.Connect{ClientID: "c", CleanStart: true})
				b.Disconnect("c", mqtt.AdministrativeAction)
				waitLingering(b, 1)
				if n := b.Stats().Connections; n != 0 || len(b.Clients()) != 0 {
					t.Errorf("%d clients are connected, %d known", n, len(b.Clients()))
				}
				chunk := make([]byte, 64<<10)
				for floods {
					if _, err := nc.Write(chunk); err != nil {
						if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
							t.Error(err)
						}
						break
					}
				}
				waitLingering(b, 0)
			})
		}
	}
}

// TestLingeringEndsWithTheBroker: whoever does not close is not waited for by Shutdown.
func TestLingeringEndsWithTheBroker(t *testing.T) {
	t.Parallel()
	for _, d := range sockets {
		t.Run(d.name, func(t *testing.T) {
			b, connect := d.open(t, d.o)
			nc := connect()
			exchange(t, nc, &mqtt.Connect{ClientID: "c", CleanStart: true})
			b.Disconnect("c", mqtt.AdministrativeAction)
			waitLingering(b, 1)
			if err := b.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if got := lastReason(t, nc); got != mqtt.AdministrativeAction {
				t.Errorf("got %v", got)
			}
		})
	}
}

// TestOnlySoManyLinger fills the room for those that linger.
func TestOnlySoManyLinger(t *testing.T) {
	t.Parallel()
	for _, d := range sockets {
		t.Run(d.name, func(t *testing.T) {
			b, connect := d.open(t, d.o)
			b.mu.Lock()
			others := make([]*conn, maxLingering)
			for i := range others {
				others[i] = new(conn)
				b.lingering[others[i]] = struct{}{}
			}
			b.mu.Unlock()
			nc := connect()
			exchange(t, nc, &mqtt.Connect{ClientID: "c", CleanStart: true})
			b.Disconnect("c", mqtt.AdministrativeAction)
			if got := lastReason(t, nc); got != mqtt.AdministrativeAction {
				t.Errorf("got %v", got)
			}
			for {
				if _, err := nc.Write([]byte{0xc0, 0}); err != nil {
					if errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error("the socket stays open")
					}
					break
				}
			}
			b.mu.Lock()
			if n := len(b.lingering); n != maxLingering {
				t.Errorf("%d linger", n)
			}
			clear(b.lingering)
			b.mu.Unlock()
		})
	}
}

// banning is an Authenticator that lets all in but one.
type banning struct{ Authenticator }

func (banning) Authenticate(_ context.Context, c *Client, _ []byte) error {
	if c.ID == "refused" {
		return mqtt.Banned
	}
	return nil
}
