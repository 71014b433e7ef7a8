package broker_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// fickle is an Authenticator that lets everybody in until it has changed its mind.
type fickle struct {
	changed atomic.Bool
	held    chan struct{} // nil: it answers at once
}

func (f *fickle) Authenticate(ctx context.Context, c *broker.Client, _ []byte) error {
	err := f.Revalidate(ctx, c)
	if f.held != nil {
		<-f.held // this is the answer that it will give
	}
	return err
}

func (f *fickle) Exchange(context.Context, *broker.Client, string) (broker.Exchange, error) {
	return nil, mqtt.BadAuthenticationMethod
}

func (f *fickle) Revalidate(context.Context, *broker.Client) error {
	if f.changed.Load() {
		return mqtt.NotAuthorized
	}
	return nil
}

// TestALoginThatSpansAChangeIsJudgedAgain changes the mind of each that judges a login, after it
// was asked.
func TestALoginThatSpansAChangeIsJudgedAgain(t *testing.T) {
	for _, who := range []string{"nobody", "authenticator", "transport", "rules"} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, r, gone := &fickle{held: make(chan struct{})}, &rules{}, false
				b, _ := serve(t, broker.Options{Authenticator: f, Authorizer: r})
				l := listenWith(t, b, broker.ListenerOptions{Verify: func(net.Conn) error {
					if gone {
						return fmt.Errorf("the certificate was revoked: %w", mqtt.NotAuthorized)
					}
					return nil
				}})
				c := dial(t, l, mqtt.V5)
				p := clean("c")
				c.send(&p)
				synctest.Wait()
				want := mqtt.NotAuthorized
				switch who {
				case "authenticator":
					f.changed.Store(true)
				case "transport":
					gone = true
				case "rules":
					r.set(broker.ActionConnect, "c ")
				default:
					want = mqtt.Success
				}
				b.RejudgeLogins()
				if len(b.Clients()) > 0 {
					t.Fatal("it is connected already")
				}
				close(f.held)
				if a, ok := c.read().(*mqtt.Connack); !ok || a.Reason != want {
					t.Errorf("got %+v, want %v", a, want)
				}
			})
		})
	}
}

// TestAChangeAtTheLastMomentOfALogin comes when all have judged, and Clients does not have the
// client yet.
func TestAChangeAtTheLastMomentOfALogin(t *testing.T) {
	f := &fickle{}
	var b *broker.Broker
	o := broker.Options{Authenticator: f, Events: broker.Events{Connected: func(*broker.Client) {
		f.changed.Store(true)
		b.RejudgeLogins()
		if len(b.Clients()) > 0 {
			t.Error("it is connected already")
		}
	}}}
	b, l := serve(t, o)
	c, ack := connect(t, l, clean("c"))
	if ack.Reason == mqtt.Success { // as one that was connected before
		_ = c.nc.SetReadDeadline(time.Now().Add(10 * time.Second))
		if d, ok := c.read().(*mqtt.Disconnect); !ok || d.Reason != mqtt.NotAuthorized {
			t.Errorf("after CONNACK came %+v", d)
		}
	}
}

// TestAJudgedLoginIsNotJudgedAgain holds that nobody is asked twice without a change.
func TestAJudgedLoginIsNotJudgedAgain(t *testing.T) {
	f := &fickle{}
	b, _ := serve(t, broker.Options{Authenticator: f})
	l := listenWith(t, b, broker.ListenerOptions{Verify: func(net.Conn) error { return mqtt.NotAuthorized }})
	b.RejudgeLogins()
	if _, ack := connect(t, l, clean("c")); ack.Reason != mqtt.Success {
		t.Errorf("got %v", ack.Reason)
	}
}
