package broker_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// together is an Authenticator that lets everybody in when the last one of a crowd has come.
type together struct {
	missing atomic.Int32
	all     chan struct{}
}

func waitFor(crowd int32) *together {
	a := &together{all: make(chan struct{})}
	a.missing.Store(crowd)
	return a
}

func (a *together) Authenticate(ctx context.Context, _ *broker.Client, _ []byte) error {
	if a.missing.Add(-1) == 0 {
		close(a.all)
	}
	select {
	case <-a.all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *together) Exchange(context.Context, *broker.Client, string) (broker.Exchange, error) {
	return nil, mqtt.BadAuthenticationMethod
}

// limited is a broker with a limit of clients, in each of the ways that there are.
var limited = map[string]func(int) (broker.Limits, broker.ListenerOptions){
	"broker": func(n int) (broker.Limits, broker.ListenerOptions) {
		return broker.Limits{MaxConnections: n}, broker.ListenerOptions{}
	},
	"listener": func(n int) (broker.Limits, broker.ListenerOptions) {
		return broker.Limits{}, broker.ListenerOptions{MaxConnections: n}
	},
	"sessions": func(n int) (broker.Limits, broker.ListenerOptions) {
		return broker.Limits{MaxSessions: n}, broker.ListenerOptions{}
	},
}

// TestConcurrentLoginsStayWithinTheLimits has clients log in at the same time: each is looked at
// before any of them is let in.
func TestConcurrentLoginsStayWithinTheLimits(t *testing.T) {
	const crowd, limit = 20, 3
	for name, limits := range limited {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, lo := limits(limit)
				b, _ := serve(t, broker.Options{Limits: o, Authenticator: waitFor(crowd)})
				l := listenWith(t, b, lo)
				var clients []*client
				for i := range crowd {
					c := dial(t, l, mqtt.V5)
					p := clean(fmt.Sprint("c", i))
					c.send(&p)
					clients = append(clients, c)
				}
				in := 0
				for _, c := range clients {
					a, ok := c.read().(*mqtt.Connack)
					switch {
					case ok && a.Reason == mqtt.Success:
						in++
					case !ok || a.Reason != mqtt.ServerBusy:
						t.Errorf("a client got %+v", a)
					}
				}
				if n := b.Stats(); in != limit || n.Connections != limit || n.Sessions != limit {
					t.Errorf("%d were let in, %d clients and %d sessions are counted, want %d", in, n.Connections, n.Sessions, limit)
				}
			})
		})
	}
}

// TestTakeoverAtTheLimit has a client come back while its old connection is still there, with and
// without the session, at a limit of one.
func TestTakeoverAtTheLimit(t *testing.T) {
	for name, limits := range limited {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, lo := limits(1)
				b, _ := serve(t, broker.Options{Limits: o})
				l := listenWith(t, b, lo)
				c, _ := connect(t, l, clean("c"))
				for _, p := range []mqtt.Connect{clean("c"), stored("c"), stored("c"), {Version: mqtt.V5, CleanStart: true, ClientID: "c"}} {
					old := c
					var ack *mqtt.Connack
					if c, ack = connect(t, l, p); ack.Reason != mqtt.Success {
						t.Fatalf("the client itself got %v", ack.Reason)
					}
					if d, ok := old.read().(*mqtt.Disconnect); !ok || d.Reason != mqtt.SessionTakenOver {
						t.Errorf("the old connection got %+v", d)
					}
					if _, ack := connect(t, l, clean("other")); ack.Reason != mqtt.ServerBusy {
						t.Errorf("another client got %v", ack.Reason)
					}
					synctest.Wait()
					if n := b.Stats(); n.Connections != 1 || n.Sessions != 1 || n.ConnectionsMax != 1 {
						t.Errorf("%d clients, at most %d, and %d sessions", n.Connections, n.ConnectionsMax, n.Sessions)
					}
				}
				c.send(&mqtt.Disconnect{})
				synctest.Wait()
				if n := b.Stats(); n.Connections != 0 || n.Sessions != 0 {
					t.Errorf("%d clients and %d sessions are left", n.Connections, n.Sessions)
				}
				if _, ack := connect(t, l, clean("other")); ack.Reason != mqtt.Success {
					t.Errorf("when it has gone another client got %v", ack.Reason)
				}
			})
		})
	}
}

// TestTakeoverByAFullListener is refused, and the old connection stays.
func TestTakeoverByAFullListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, first := serve(t, broker.Options{Limits: broker.Limits{MaxConnections: 2}})
		full := listenWith(t, b, broker.ListenerOptions{MaxConnections: 1})
		other, _ := connect(t, full, clean("other"))
		c, _ := connect(t, first, clean("c"))
		if _, ack := connect(t, full, clean("c")); ack.Reason != mqtt.ServerBusy {
			t.Errorf("the full listener said %v", ack.Reason)
		}
		c.subscribe("t") // it is still there
		other.send(&mqtt.Disconnect{})
		synctest.Wait()
		if _, ack := connect(t, full, clean("c")); ack.Reason != mqtt.Success {
			t.Errorf("when there is room it said %v", ack.Reason)
		}
		if _, ack := connect(t, first, clean("other")); ack.Reason != mqtt.Success {
			t.Errorf("a place of the first listener is not free: %v", ack.Reason)
		}
		if n := b.Stats().Connections; n != 2 {
			t.Errorf("%d clients", n)
		}
	})
}

// TestALoginUnderWayTakesNobodysPlace has one client wait for the Authenticator, whose answer does
// not come.
func TestALoginUnderWayTakesNobodysPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := serve(t, broker.Options{Authenticator: waitFor(2), Limits: broker.Limits{MaxConnections: 1}})
		l := listenWith(t, b, broker.ListenerOptions{MaxConnections: 1})
		waits := dial(t, l, mqtt.V5)
		p := clean("waits")
		waits.send(&p)
		synctest.Wait()
		if _, ack := connect(t, l, clean("c")); ack.Reason != mqtt.Success {
			t.Errorf("the second got %v", ack.Reason)
		}
		if a, ok := waits.read().(*mqtt.Connack); !ok || a.Reason != mqtt.ServerBusy {
			t.Errorf("the first got %+v", a)
		}
	})
}
