package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/client"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
)

var versions = []mqtt.Version{mqtt.V31, mqtt.V311, mqtt.V5}

// inbox collects what OnPublish is given.
type inbox struct {
	mu   sync.Mutex
	seen []string
}

func (in *inbox) add(p *mqtt.Publish) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.seen = append(in.seen, fmt.Sprintf("%s q%d %s", p.Topic, p.QoS, p.Payload))
}

func (in *inbox) all() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.seen)
}

// withBroker runs a test in virtual time against a broker in memory.
func withBroker(t *testing.T, o broker.Options, test func(t *testing.T, dial func() net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, err := broker.New(o)
		if err != nil {
			t.Fatal(err)
		}
		l := memnet.Listen()
		served := make(chan error, 1)
		go func() { served <- b.Serve(l) }()
		test(t, func() net.Conn {
			conn, err := l.Dial()
			if err != nil {
				t.Fatal(err)
			}
			return conn
		})
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, broker.ErrClosed) {
			t.Error(err)
		}
	})
}

func connect(t *testing.T, conn net.Conn, o client.Options) *client.Client {
	t.Helper()
	c, err := client.Connect(t.Context(), conn, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func disconnect(t *testing.T, c *client.Client) {
	t.Helper()
	if err := c.Disconnect(t.Context(), nil); err != nil {
		t.Errorf("disconnect: %v", err)
	}
	if err := c.Err(); !errors.Is(err, client.ErrClosed) {
		t.Errorf("after Disconnect: %v", err)
	}
}

func subscribe(t *testing.T, c *client.Client, filter string, qos byte) {
	t.Helper()
	s := &mqtt.Subscribe{Subscriptions: []mqtt.Subscription{{Filter: filter, Options: mqtt.SubscribeOptions(qos)}}}
	ack, err := c.Subscribe(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if want := []mqtt.ReasonCode{mqtt.ReasonCode(qos)}; !slices.Equal(ack.Reasons, want) {
		t.Fatalf("SUBACK %v, want %v", ack.Reasons, want)
	}
}

func publish(t *testing.T, c *client.Client, qos byte, topic, payload string) *client.Delivery {
	t.Helper()
	d, err := c.Publish(t.Context(), &mqtt.Publish{QoS: qos, Topic: []byte(topic), Payload: []byte(payload)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestMessagesOfEveryQoSArriveInOrder(t *testing.T) {
	t.Parallel()
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			withBroker(t, broker.Options{}, func(t *testing.T, dial func() net.Conn) {
				var in inbox
				c := connect(t, dial(), client.Options{
					Connect:   mqtt.Connect{Version: v, CleanStart: true, ClientID: "c"},
					OnPublish: in.add, Inflight: 3,
				})
				for qos := range byte(3) {
					subscribe(t, c, fmt.Sprintf("t/%d", qos), qos)
				}
				var want []string
				for qos := range byte(3) {
					topic := fmt.Sprintf("t/%d", qos)
					for i := range 50 {
						d := publish(t, c, qos, topic, fmt.Sprint(i))
						want = append(want, fmt.Sprintf("%s q%d %d", topic, qos, i))
						if qos == 1 {
							<-d.Done()
							if d.Reason() != mqtt.Success {
								t.Errorf("%s: %v", topic, d.Reason())
							}
						}
					}
					synctest.Wait()
				}
				if got := in.all(); !slices.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
				disconnect(t, c)
			})
		})
	}
}

func TestUnsubscribedMessagesDoNotArrive(t *testing.T) {
	t.Parallel()
	withBroker(t, broker.Options{}, func(t *testing.T, dial func() net.Conn) {
		var in inbox
		c := connect(t, dial(), client.Options{Connect: mqtt.Connect{Version: mqtt.V5, CleanStart: true}, OnPublish: in.add})
		if c.ClientID() == "" {
			t.Error("the assigned client identifier is not known")
		}
		subscribe(t, c, "a", 1)
		ack, err := c.Unsubscribe(t.Context(), &mqtt.Unsubscribe{Filters: []string{"a", "b"}})
		if err != nil || !slices.Equal(ack.Reasons, []mqtt.ReasonCode{mqtt.Success, mqtt.NoSubscriptionExisted}) {
			t.Fatalf("UNSUBACK %+v, %v", ack, err)
		}
		d := publish(t, c, 1, "a", "x")
		<-d.Done()
		if d.Reason() != mqtt.NoMatchingSubscribers || len(in.all()) != 0 {
			t.Errorf("reason %v, messages %q", d.Reason(), in.all())
		}
		disconnect(t, c)
	})
}

func TestKeepAliveHoldsTheConnection(t *testing.T) {
	t.Parallel()
	withBroker(t, broker.Options{}, func(t *testing.T, dial func() net.Conn) {
		c := connect(t, dial(), client.Options{Connect: mqtt.Connect{CleanStart: true, KeepAlive: 10}})
		<-time.After(time.Hour) // virtual
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
		disconnect(t, c)
	})
}

func TestWillIsPublishedOnCloseAndNotOnDisconnect(t *testing.T) {
	t.Parallel()
	withBroker(t, broker.Options{}, func(t *testing.T, dial func() net.Conn) {
		var in inbox
		watcher := connect(t, dial(), client.Options{Connect: mqtt.Connect{CleanStart: true}, OnPublish: in.add})
		subscribe(t, watcher, "will", 1)
		with := func(payload string) client.Options {
			return client.Options{Connect: mqtt.Connect{
				CleanStart: true, Will: &mqtt.Will{Topic: "will", Payload: []byte(payload), QoS: 1},
			}}
		}
		disconnect(t, connect(t, dial(), with("no")))
		if err := connect(t, dial(), with("yes")).Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := in.all(); !slices.Equal(got, []string{"will q1 yes"}) {
			t.Errorf("got %q", got)
		}
		disconnect(t, watcher)
	})
}

func TestRefusalCarriesTheReason(t *testing.T) {
	t.Parallel()
	refuse := broker.Options{Authenticator: refuser{}}
	for _, v := range versions {
		withBroker(t, refuse, func(t *testing.T, dial func() net.Conn) {
			_, err := client.Connect(t.Context(), dial(), client.Options{Connect: mqtt.Connect{Version: v, CleanStart: true, ClientID: "c"}})
			var refused *client.RefusedError
			if !errors.As(err, &refused) || !errors.Is(err, mqtt.NotAuthorized) || refused.Version != v {
				t.Errorf("MQTT %v: %v", v, err)
			}
		})
	}
}

func TestContextEndsConnectAndSubscribe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := memnet.Pipe() // nobody answers
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := client.Connect(ctx, ours, client.Options{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if _, err := io.Copy(io.Discard, theirs); err != nil { // the client has closed its end
			t.Error(err)
		}
		ours, theirs = memnet.Pipe()
		if _, err := client.Connect(t.Context(), ours, client.Options{}); !errors.Is(err, client.ErrLost) {
			t.Error(err)
		}
		_ = theirs.Close()

		c, s := scripted(t, client.Options{})
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Subscribe(ctx, &mqtt.Subscribe{Subscriptions: []mqtt.Subscription{{Filter: "a"}}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		s.expect(&mqtt.Subscribe{})
		_ = c.Close()
	})
}
