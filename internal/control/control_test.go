package control_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/client"
	"github.com/uniomq/unio/internal/control"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
)

// bench is a broker with endpoints, in virtual time.
type bench struct {
	t         *testing.T
	endpoints *control.Endpoints
	listener  *memnet.Listener
}

func withEndpoints(t *testing.T, test func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		engine := broker.Make()
		e := control.New(engine)
		if err := engine.Start(broker.Options{Interceptors: []broker.Interceptor{e}}); err != nil {
			t.Fatal(err)
		}
		l := memnet.Listen()
		served := make(chan error, 1)
		go func() { served <- engine.Serve(l) }()
		test(t, &bench{t, e, l})
		if err := engine.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, broker.ErrClosed) {
			t.Error(err)
		}
	})
}

// person is a client and what it has got.
type person struct {
	*client.Client
	t    *testing.T
	seen []string
}

func (b *bench) connect(id string, filters ...string) *person {
	b.t.Helper()
	p := &person{t: b.t}
	conn, err := b.listener.Dial()
	if err != nil {
		b.t.Fatal(err)
	}
	p.Client, err = client.Connect(b.t.Context(), conn, client.Options{
		Connect:   mqtt.Connect{Version: mqtt.V5, ClientID: id, CleanStart: true},
		OnPublish: func(m *mqtt.Publish) { p.seen = append(p.seen, string(m.Topic)+" "+string(m.Payload)) },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = p.Close() })
	for _, f := range filters {
		if _, err := p.Subscribe(b.t.Context(), &mqtt.Subscribe{Subscriptions: []mqtt.Subscription{{Filter: f}}}); err != nil {
			b.t.Fatal(err)
		}
	}
	return p
}

func (p *person) publish(topic, payload string, qos byte) {
	p.t.Helper()
	d, err := p.Publish(p.t.Context(), &mqtt.Publish{Topic: []byte(topic), Payload: []byte(payload), QoS: qos, Retain: true})
	if err != nil {
		p.t.Fatal(err)
	}
	<-d.Done()
	if d.Reason() != mqtt.Success {
		p.t.Errorf("%s: acknowledged with %v", topic, d.Reason())
	}
	synctest.Wait()
}

func (p *person) got(want ...string) {
	p.t.Helper()
	if !slices.Equal(p.seen, want) {
		p.t.Errorf("got %q, want %q", p.seen, want)
	}
	p.seen = nil
}

const endpoint = "$CONTROL/echo/v1"

func echo(c *broker.Client, payload []byte) []byte {
	if len(payload) == 0 {
		return nil
	}
	return []byte(c.ID + " said " + string(payload))
}

func TestOnlyWhoAsksIsAnswered(t *testing.T) {
	withEndpoints(t, func(t *testing.T, b *bench) {
		b.endpoints.Handle(endpoint, echo)
		asks, listens := b.connect("asks", "$CONTROL/#"), b.connect("listens", "$CONTROL/#", "#")
		deaf := b.connect("deaf")
		for qos := range byte(3) {
			asks.publish(endpoint, "hi", qos)
			asks.got(endpoint + "/response asks said hi")
		}
		asks.publish(endpoint, "", 1)
		asks.got()
		deaf.publish(endpoint, "hi", 1)
		deaf.got()
		listens.got()
	})
}

func TestUnknownEndpointSaysSo(t *testing.T) {
	withEndpoints(t, func(t *testing.T, b *bench) {
		b.endpoints.Handle(endpoint, echo)
		b.endpoints.Handle(endpoint, nil)
		c := b.connect("c", "$CONTROL/#")
		for _, topic := range []string{endpoint, "$CONTROL/x"} {
			c.publish(topic, "hi", 1)
			c.got(topic + `/response {"error":"endpoint not available"}`)
		}
	})
}

func TestNobodyCanGiveHimselfOutForAnEndpoint(t *testing.T) {
	withEndpoints(t, func(t *testing.T, b *bench) {
		reads, writes := b.connect("reads", "$CONTROL/#"), b.connect("writes")
		writes.publish(endpoint+"/response", "forged", 1)
		reads.got()
		bare := b.connect("bare", "$CONTROL")
		writes.publish("$CONTROL", "forged", 1)
		reads.got()
		bare.got()
		b.connect("late bare", "$CONTROL").got()
		b.connect("late", "$CONTROL/#").got() // nothing was retained
		conn, err := b.listener.Dial()
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Connect(t.Context(), conn, client.Options{Connect: mqtt.Connect{
			Version: mqtt.V5, ClientID: "will", CleanStart: true, Will: &mqtt.Will{Topic: endpoint + "/response", Payload: []byte("forged")},
		}})
		if err == nil {
			t.Error("a will below $CONTROL was accepted")
		}
	})
}

func TestEachSubscriptionGetsTheAnswer(t *testing.T) {
	withEndpoints(t, func(t *testing.T, b *bench) {
		b.endpoints.Handle(endpoint, echo)
		c := b.connect("c", "$CONTROL/#", endpoint+"/+")
		c.publish(endpoint, "hi", 1) // of 5.0: one for each subscription [MQTT-3.3.4-2]
		c.got(endpoint+"/response c said hi", endpoint+"/response c said hi")
	})
}

func TestWhatComesThenComesBehindTheAnswer(t *testing.T) {
	withEndpoints(t, func(t *testing.T, b *bench) {
		var other *person
		b.endpoints.HandleThen(endpoint, func(c *broker.Client, payload []byte) ([]byte, func() error) {
			return echo(c, payload), func() error {
				if string(payload) == "stay" {
					return nil
				}
				return fmt.Errorf("enough of it: %w", mqtt.AdministrativeAction)
			}
		})
		c := b.connect("c", "$CONTROL/#")
		other = b.connect("other", "$CONTROL/#")
		c.publish(endpoint, "stay", 1)
		c.got(endpoint + "/response c said stay")
		c.publish(endpoint, "go", 1) // is acknowledged
		c.got(endpoint + "/response c said go")
		<-c.Done()
		var d *client.DisconnectedError
		if err := c.Err(); !errors.As(err, &d) || d.Packet.Reason != mqtt.AdministrativeAction {
			t.Errorf("ended with %v", err)
		}
		other.publish(endpoint, "stay", 1)
		other.got(endpoint + "/response other said stay")
	})
}
