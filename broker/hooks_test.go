package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
	"github.com/uniomq/unio/store/storetest"
)

func clean(id string) mqtt.Connect {
	return mqtt.Connect{Version: mqtt.V5, ClientID: id, CleanStart: true}
}

// subscribe sends SUBSCRIBE at QoS 2, which must be granted.
func (c *client) subscribe(filter string) {
	c.t.Helper()
	if code := c.trySubscribe(filter); code != mqtt.GrantedQoS2 {
		c.t.Fatalf("subscribe to %q: %v", filter, code)
	}
}

// trySubscribe sends SUBSCRIBE at QoS 2 and returns the reason code.
func (c *client) trySubscribe(filter string) mqtt.ReasonCode {
	c.t.Helper()
	c.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: filter, Options: 2}}})
	ack, ok := c.read().(*mqtt.Suback)
	if !ok {
		c.t.Fatalf("no SUBACK for %q", filter)
	}
	return ack.Reasons[0]
}

// publish sends a message at QoS 1 and returns PUBACK's reason code.
func (c *client) publish(topic, payload string) mqtt.ReasonCode {
	c.t.Helper()
	c.send(&mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte(topic), Payload: []byte(payload)})
	ack, ok := c.read().(*mqtt.Ack)
	if !ok || ack.Kind != mqtt.PUBACK {
		c.t.Fatalf("no PUBACK for %q", topic)
	}
	return ack.Reason
}

// message reads a PUBLISH.
func (c *client) message() *mqtt.Publish {
	c.t.Helper()
	p := c.read()
	m, ok := p.(*mqtt.Publish)
	if !ok {
		c.t.Fatalf("got %T, want PUBLISH", p)
	}
	return m
}

// quiet checks that nothing more comes before the answer to a PINGREQ.
func (c *client) quiet() {
	c.t.Helper()
	c.send(&mqtt.Pingreq{})
	if p := c.read(); p == nil || p.Type() != mqtt.PINGRESP {
		c.t.Fatalf("got %+v, want PINGRESP", p)
	}
}

type authorizer func(broker.Access) bool

func (f authorizer) Authorize(a broker.Access) bool { return f(a) }

func TestAuthorizerIsAskedForEveryWayToATopic(t *testing.T) {
	denied := map[broker.Action]string{}
	var mu sync.Mutex
	deny := func(a broker.Action, topic string) {
		mu.Lock()
		defer mu.Unlock()
		clear(denied)
		denied[a] = topic
	}
	b, l := serve(t, broker.Options{Authorizer: authorizer(func(a broker.Access) bool {
		mu.Lock()
		defer mu.Unlock()
		topic, there := denied[a.Action]
		return !there || topic != string(a.Topic)
	})})
	pub, _ := connect(t, l, clean("pub"))
	sub, _ := connect(t, l, clean("sub"))

	t.Run("publish, also through an alias", func(t *testing.T) {
		deny(broker.ActionPublish, "secret")
		aliased := &mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("secret"), Payload: []byte("x")}
		aliased.Properties.SetTopicAlias(1)
		for range 2 {
			pub.send(aliased)
			if ack := pub.read().(*mqtt.Ack); ack.Reason != mqtt.NotAuthorized {
				t.Errorf("got %v", ack.Reason)
			}
			aliased.Topic = nil
		}
	})
	t.Run("will", func(t *testing.T) {
		deny(broker.ActionWill, "secret")
		p := clean("will")
		p.Will = &mqtt.Will{Topic: "secret"}
		if _, ack := connect(t, l, p); ack.Reason != mqtt.NotAuthorized {
			t.Errorf("got %v", ack.Reason)
		}
	})
	t.Run("will, after a change of the rules", func(t *testing.T) {
		deny(0, "")
		p := clean("late will")
		p.Will = &mqtt.Will{Topic: "secret", Retain: true, Payload: []byte("x")}
		c, ack := connect(t, l, p)
		if ack.Reason != mqtt.Success {
			t.Fatalf("got %v", ack.Reason)
		}
		deny(broker.ActionWill, "secret")
		c.send(&mqtt.Disconnect{Reason: mqtt.DisconnectWithWill})
		if p := c.read(); p != nil {
			t.Errorf("got %v", p.Type())
		}
		connect(t, l, clean("late will")) // behind the end of the first
	})
	t.Run("subscribe, also in a shared group", func(t *testing.T) {
		deny(broker.ActionSubscribe, "secret/#")
		for _, filter := range []string{"secret/#", "$share/g/secret/#"} {
			if code := sub.trySubscribe(filter); code != mqtt.NotAuthorized {
				t.Errorf("%s: got %v", filter, code)
			}
		}
	})
	t.Run("receive, live, queued and retained", func(t *testing.T) {
		deny(0, "")
		sub.subscribe("#")
		late, _ := connect(t, l, stored("late"))
		late.subscribe("#")
		_ = late.nc.Close()
		deny(broker.ActionReceive, "secret")
		pub.send(&mqtt.Publish{Retain: true, QoS: 1, PacketID: 1, Topic: []byte("secret"), Payload: []byte("x")})
		pub.read()
		if code := pub.publish("open", "y"); code != mqtt.Success {
			t.Errorf("got %v", code)
		}
		if m := sub.message(); string(m.Topic) != "open" {
			t.Errorf("a live message came on %q", m.Topic)
		}
		if late, _ = connect(t, l, stored("late")); string(late.message().Topic) != "open" {
			t.Error("a queued message came on the denied topic")
		}
		retained, _ := connect(t, l, clean("retained"))
		retained.subscribe("#")
		retained.quiet()
	})
	if n := b.Stats().Dropped[broker.DropUnauthorized]; n != 6 { // two publishes, a will, three deliveries
		t.Errorf("%d drops were counted, want 5", n)
	}
}

func TestAuthorizerIsAskedToUnsubscribeAndToConnect(t *testing.T) {
	var deny atomic.Bool
	_, l := serve(t, broker.Options{Authorizer: authorizer(func(a broker.Access) bool {
		return !deny.Load() || a.Action != broker.ActionConnect && (a.Action != broker.ActionUnsubscribe || string(a.Topic) != "keep/#")
	})})
	c, _ := connect(t, l, clean("c"))
	for denied, want := range map[bool][]mqtt.ReasonCode{
		true:  {mqtt.NotAuthorized, mqtt.NotAuthorized, mqtt.NoSubscriptionExisted},
		false: {mqtt.Success, mqtt.Success, mqtt.NoSubscriptionExisted},
	} {
		deny.Store(denied)
		c.subscribe("keep/#")
		c.subscribe("$share/g/keep/#")
		c.send(&mqtt.Unsubscribe{PacketID: 1, Filters: []string{"keep/#", "$share/g/keep/#", "other"}})
		if ack, ok := c.read().(*mqtt.Unsuback); !ok || !slices.Equal(ack.Reasons, want) {
			t.Errorf("got %+v, want %v", ack, want)
		}
	}
	deny.Store(true)
	if _, ack := connect(t, l, clean("new")); ack.Reason != mqtt.NotAuthorized {
		t.Errorf("got %v", ack.Reason)
	}
}

type interceptor func(*broker.Client, *mqtt.Publish) error

func (f interceptor) Intercept(c *broker.Client, p *mqtt.Publish) error { return f(c, p) }

func TestInterceptorChangesAndRefuses(t *testing.T) {
	_, l := serve(t, broker.Options{Interceptors: []broker.Interceptor{
		interceptor(func(c *broker.Client, p *mqtt.Publish) error {
			if string(p.Payload) == "bad" {
				return fmt.Errorf("%s: %w", c.ID, mqtt.PayloadFormatInvalid)
			}
			p.Topic, p.Payload = append([]byte("to/"), p.Topic...), []byte("changed")
			return nil
		}),
	}})
	c, _ := connect(t, l, clean("c"))
	c.subscribe("to/#")
	if code := c.publish("a", "bad"); code != mqtt.PayloadFormatInvalid {
		t.Errorf("refused with %v", code)
	}
	c.send(&mqtt.Publish{Topic: []byte("a"), Payload: []byte("good")})
	if m := c.message(); string(m.Topic) != "to/a" || string(m.Payload) != "changed" {
		t.Errorf("got %q on %q", m.Payload, m.Topic)
	}
}

type passwords map[string]string

func (p passwords) Authenticate(_ context.Context, c *broker.Client, password []byte) error {
	if want, ok := p[c.Username]; !ok || want != string(password) {
		return mqtt.BadUserNameOrPassword
	}
	return nil
}

func (passwords) Exchange(context.Context, *broker.Client, string) (broker.Exchange, error) {
	return nil, errors.New("no methods")
}

func TestAuthenticatorRefusesInTheWordsOfTheVersion(t *testing.T) {
	refused := make(chan string, 4)
	_, l := serve(t, broker.Options{Authenticator: passwords{"ann": "secret"}, Events: broker.Events{
		Refused: func(c *broker.Client, cause error) {
			refused <- fmt.Sprint(c.ID, " ", errors.Is(cause, mqtt.BadUserNameOrPassword))
		},
	}})
	for _, v := range []mqtt.Version{mqtt.V31, mqtt.V311, mqtt.V5} {
		p := mqtt.Connect{Version: v, ClientID: fmt.Sprint(v), CleanStart: true, HasUsername: true, Username: "ann", HasPassword: true}
		p.Password = []byte("secret")
		if _, ack := connect(t, l, p); ack.Reason != mqtt.Success {
			t.Errorf("%v: the right password gave %v", v, ack.Reason)
		}
		p.Password = []byte("guess")
		c, ack := connect(t, l, p)
		if ack.Reason != mqtt.BadUserNameOrPassword {
			t.Errorf("%v: a wrong password gave %v", v, ack.Reason)
		}
		if p := c.read(); p != nil {
			t.Errorf("%v: after a refusal came %v", v, p.Type())
		}
		if got, want := <-refused, fmt.Sprint(v, " true"); got != want {
			t.Errorf("refused %q, want %q", got, want)
		}
	}
	method := clean("m")
	method.Properties.SetAuthMethod("unknown")
	if _, ack := connect(t, l, method); ack.Reason != mqtt.NotAuthorized {
		t.Errorf("an error without a code gave %v", ack.Reason)
	}
}

func TestPanicOfAHookEndsOnlyItsConnection(t *testing.T) {
	type fault struct {
		value  any
		packet string
	}
	panicked := make(chan fault, 1)
	b, err := broker.New(broker.Options{
		Interceptors: []broker.Interceptor{interceptor(func(*broker.Client, *mqtt.Publish) error { panic("oops") })},
		Events: broker.Events{Panicked: func(_ *broker.Client, v any, packet, _ []byte) {
			panicked <- fault{v, fmt.Sprintf("%x", packet)}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t, b)
	good, _ := connect(t, l, clean("good"))
	bad, _ := connect(t, l, clean("bad"))
	bad.send(&mqtt.Publish{Topic: []byte("t")})
	if d, ok := bad.read().(*mqtt.Disconnect); !ok || d.Reason != mqtt.ImplementationSpecificError {
		t.Errorf("the connection ended with %+v", d)
	}
	if got, want := <-panicked, (fault{"oops", "300400017400"}); got != want {
		t.Errorf("the event has %v, want %v", got, want)
	}
	good.quiet()
	if n := b.Stats().Panics; n != 1 {
		t.Errorf("%d panics were counted", n)
	}
}

// TestPanicAtAWillCostsNobodyElse has the hook panic when the will is published, not when it is announced.
func TestPanicAtAWillCostsNobodyElse(t *testing.T) {
	for name, delay := range map[string]uint32{"at the end of the connection": 0, "delayed": 5} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int32
				b, err := broker.New(broker.Options{Authorizer: authorizer(func(a broker.Access) bool {
					if string(a.Topic) == "will" && asked.Add(1) > 1 {
						panic("oops")
					}
					return true
				})})
				if err != nil {
					t.Fatal(err)
				}
				l := listen(t, b)
				good, _ := connect(t, l, clean("good"))
				p := stored("bad")
				p.Will = &mqtt.Will{Topic: "will"}
				if delay > 0 {
					p.Will.Properties.SetWillDelay(delay)
				}
				bad, _ := connect(t, l, p)
				_ = bad.nc.Close()
				time.Sleep(10 * time.Second)
				good.quiet()
				if n := b.Stats().Panics; n != 1 {
					t.Errorf("%d panics were counted", n)
				}
			})
		})
	}
}

func TestNothingIsAcknowledgedThatTheStoreDidNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var failure error
		s := &storetest.Failing{Store: memory.New(), Err: func() error {
			mu.Lock()
			defer mu.Unlock()
			return failure
		}}
		_, l := serve(t, broker.Options{Store: s})
		sub, _ := connect(t, l, stored("sub"))
		sub.subscribe("t")
		pub, _ := connect(t, l, clean("pub"))
		if code := pub.publish("t", "kept"); code != mqtt.Success {
			t.Fatalf("got %v", code)
		}
		mu.Lock()
		failure = errors.New("disk on fire")
		mu.Unlock()
		pub.send(&mqtt.Publish{QoS: 1, PacketID: 2, Topic: []byte("t"), Payload: []byte("lost")})
		if d, ok := pub.read().(*mqtt.Disconnect); !ok || d.Reason != mqtt.UnspecifiedError {
			t.Errorf("got %+v, want DISCONNECT", d)
		}
		if m := sub.message(); string(m.Payload) != "kept" {
			t.Errorf("got %q", m.Payload)
		}
	})
}

// TestClientsAreToldWhatAStoreOfSeveralMachinesLacks: a store's error names the reason code. What
// needs no store goes on, and so does all when the store does.
func TestClientsAreToldWhatAStoreOfSeveralMachinesLacks(t *testing.T) {
	for name, k := range map[string]struct {
		fault           error
		leaves, refused mqtt.ReasonCode // in DISCONNECT, in CONNACK: the standard allows others there
	}{
		"no quorum":  {storetest.ErrNoQuorum, mqtt.ServerBusy, mqtt.ServerUnavailable},
		"owner lost": {storetest.ErrOwnerLost, mqtt.SessionTakenOver, mqtt.ServerUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var failing atomic.Bool
				_, l := serve(t, broker.Options{Store: &storetest.Failing{Store: memory.New(), Err: func() error {
					if failing.Load() {
						return k.fault
					}
					return nil
				}}})
				sub, _ := connect(t, l, stored("sub"))
				sub.subscribe("durable")
				watch, _ := connect(t, l, clean("watch"))
				watch.subscribe("live")
				pub, _ := connect(t, l, clean("pub"))
				failing.Store(true)
				pub.send(&mqtt.Publish{Topic: []byte("live"), Payload: []byte("x")})
				if m := watch.message(); string(m.Payload) != "x" {
					t.Errorf("a message that needs no store became %q", m.Payload)
				}
				pub.send(&mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("durable")})
				if d, ok := pub.read().(*mqtt.Disconnect); !ok || d.Reason != k.leaves {
					t.Errorf("the publisher got %+v, want %v", d, k.leaves)
				}
				if _, ack := connect(t, l, stored("new")); ack.Reason != k.refused {
					t.Errorf("a client that wants a session got %v, want %v", ack.Reason, k.refused)
				}
				failing.Store(false)
				again, _ := connect(t, l, clean("pub"))
				if code := again.publish("durable", "y"); code != mqtt.Success {
					t.Errorf("after the fault: %v", code)
				}
				if m := sub.message(); string(m.Payload) != "y" {
					t.Errorf("the subscriber got %q", m.Payload)
				}
			})
		})
	}
}

func TestPublishOfTheEmbeddingProgram(t *testing.T) {
	b, l := serve(t, broker.Options{})
	c, _ := connect(t, l, clean("c"))
	c.subscribe("#")
	if err := b.Publish(&store.Message{Topic: "a/+", Payload: []byte("x")}); err == nil {
		t.Error("a wildcard in a topic name was taken")
	}
	if err := b.Publish(&store.Message{Topic: "a/b", Payload: []byte("x"), QoS: 1}); err != nil {
		t.Error(err)
	}
	if m := c.message(); string(m.Topic) != "a/b" || m.QoS != 1 || m.PacketID != 1 {
		t.Errorf("got %+v", m)
	}
}

// TestSourceOfARetainedMessageIsAskedAbout takes the right to publish from the source of a retained message.
func TestSourceOfARetainedMessageIsAskedAbout(t *testing.T) {
	for name, check := range map[string]bool{"checked": true, "not checked": false} {
		t.Run(name, func(t *testing.T) {
			limits := broker.Limits{CheckRetainSource: check}
			b, l := serve(t, broker.Options{Limits: limits})
			p := clean("source")
			p.HasUsername, p.Username = true, "ann"
			source, _ := connect(t, l, p)
			source.send(&mqtt.Publish{Topic: []byte("t"), Payload: []byte("kept"), QoS: 1, PacketID: 1, Retain: true})
			source.read()
			if err := b.Publish(&store.Message{Topic: "own", Payload: []byte("own"), Retain: true}); err != nil {
				t.Fatal(err)
			}
			b.Reconfigure(broker.Options{Limits: limits, Authorizer: authorizer(func(a broker.Access) bool {
				return a.Action != broker.ActionPublish || a.Client.Username != "ann" || a.Client.ID != "source" || !a.Retain
			})})
			sub, _ := connect(t, l, clean("sub"))
			sub.subscribe("own")
			if m := sub.message(); string(m.Payload) != "own" {
				t.Errorf("the broker's own is %q", m.Payload)
			}
			sub.subscribe("t")
			if check {
				sub.quiet()
				return
			}
			if m := sub.message(); string(m.Payload) != "kept" {
				t.Errorf("got %q", m.Payload)
			}
		})
	}
}

func TestInterceptorTakesAMessage(t *testing.T) {
	later := interceptor(func(*broker.Client, *mqtt.Publish) error { t.Error("the next interceptor was asked"); return nil })
	var b *broker.Broker
	takes := interceptor(func(c *broker.Client, p *mqtt.Publish) error {
		if n, err := b.PublishTo(c.ID, &store.Message{Topic: "answer", Payload: p.Payload}); !n || err != nil {
			t.Errorf("answered: %v, %v", n, err)
		}
		return fmt.Errorf("mine: %w", broker.ErrTaken)
	})
	var l *memnet.Listener
	b, l = serve(t, broker.Options{Interceptors: []broker.Interceptor{takes, later}})
	c, _ := connect(t, l, clean("c"))
	other, _ := connect(t, l, clean("other"))
	c.subscribe("#")
	other.subscribe("#")
	c.send(&mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("a"), Payload: []byte("hi"), Retain: true})
	if m := c.message(); string(m.Topic) != "answer" || string(m.Payload) != "hi" {
		t.Errorf("got %q on %q", m.Payload, m.Topic)
	}
	if ack, ok := c.read().(*mqtt.Ack); !ok || ack.Reason != mqtt.Success {
		t.Errorf("got %+v", ack)
	}
	other.quiet()
	late, _ := connect(t, l, clean("late"))
	late.subscribe("#")
	late.quiet()
	if n, err := b.PublishTo("nobody", &store.Message{Topic: "answer"}); n || err != nil {
		t.Errorf("sent to nobody: %v, %v", n, err)
	}
	if _, err := b.PublishTo("c", &store.Message{Topic: "#"}); err == nil {
		t.Error("a filter is no name")
	}
}
