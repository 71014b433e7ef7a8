package broker_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// rules is an Authorizer that denies what it lists, as "CLIENT TOPIC" by action, and may change.
type rules struct {
	mu   sync.Mutex
	deny map[broker.Action][]string
}

func (r *rules) Authorize(a broker.Access) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !slices.Contains(r.deny[a.Action], a.Client.ID+" "+string(a.Topic))
}

func (r *rules) set(action broker.Action, what ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deny = map[broker.Action][]string{action: what}
}

// accepted publishes a message, which may be for nobody.
func accepted(t *testing.T, c *client, topic, payload string) {
	t.Helper()
	if code := c.publish(topic, payload); code.Failed() {
		t.Fatalf("publish to %s: %v", topic, code)
	}
}

// subscriptions lists all, as "CLIENT FILTER".
func subscriptions(b *broker.Broker) []string {
	var all []string
	b.WalkSubscriptions(func(id string, s store.Subscription) bool {
		all = append(all, id+" "+s.Filter)
		return true
	})
	slices.Sort(all)
	return all
}

func TestRecheckEndsSubscriptionsOfConnectedClients(t *testing.T) {
	r := &rules{}
	var ended []string
	var mu sync.Mutex
	b, l := serve(t, broker.Options{Authorizer: r, Events: broker.Events{Unsubscribed: func(c *broker.Client, filter string) {
		mu.Lock()
		defer mu.Unlock()
		ended = append(ended, c.ID+" "+filter)
	}}})
	kept, _ := connect(t, l, stored("kept"))
	plain, _ := connect(t, l, clean("plain"))
	for _, c := range []*client{kept, plain} {
		for _, filter := range []string{"a/+", "a/b", "b", "$share/g/c"} {
			c.subscribe(filter)
		}
	}
	r.set(broker.ActionSubscribe, "kept a/+", "plain b", "kept c", "plain c")
	if n := b.Recheck(func(c *broker.Client) bool { return c.ID == "kept" }); n != 2 {
		t.Errorf("%d have ended, want 2", n)
	}
	if n := b.Recheck(nil); n != 2 {
		t.Errorf("%d have ended, want 2 more", n)
	}
	want := []string{"kept a/b", "kept b", "plain a/+", "plain a/b"}
	if got := subscriptions(b); !slices.Equal(got, want) {
		t.Errorf("subscriptions %q, want %q", got, want)
	}
	slices.Sort(ended)
	if want := []string{"kept $share/g/c", "kept a/+", "plain $share/g/c", "plain b"}; !slices.Equal(ended, want) {
		t.Errorf("ended %q, want %q", ended, want)
	}
	pub, _ := connect(t, l, clean("pub"))
	accepted(t, pub, "a/x", "1")
	accepted(t, pub, "c", "2")
	accepted(t, pub, "b", "3")
	if m := kept.message(); string(m.Topic) != "b" {
		t.Errorf("kept got %s", m.Topic)
	}
	if m := plain.message(); string(m.Topic) != "a/x" {
		t.Errorf("plain got %s", m.Topic)
	}
	kept.quiet()
	plain.quiet()
	r.set(broker.ActionSubscribe)
	kept.subscribe("a/+") // and it is delivered again
	accepted(t, pub, "a/x", "4")
	if m := kept.message(); string(m.Topic) != "a/x" {
		t.Errorf("kept got %s", m.Topic)
	}
}

// TestStoredSubscriptionsAreAskedAboutWhenTheClientComesBack changes the rules while a client is away, and what waits for it.
func TestStoredSubscriptionsAreAskedAboutWhenTheClientComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rules{}
		b, l := serve(t, broker.Options{Authorizer: r})
		c, _ := connect(t, l, stored("c"))
		for _, filter := range []string{"a/#", "a/1", "b"} {
			c.subscribe(filter)
		}
		c.send(&mqtt.Disconnect{})
		synctest.Wait()
		r.set(broker.ActionSubscribe, "c a/#")
		b.Recheck(nil)
		if n := len(subscriptions(b)); n != 3 {
			t.Errorf("%d subscriptions while it is away, want 3: it is not known who comes", n)
		}
		pub, _ := connect(t, l, clean("pub"))
		for _, name := range []string{"a/1", "a/2", "b"} {
			accepted(t, pub, name, "x")
		}
		again := stored("c")
		again.CleanStart = false
		c, ack := connect(t, l, again)
		if !ack.SessionPresent {
			t.Error("the session is lost")
		}
		if got, want := subscriptions(b), []string{"c a/1", "c b"}; !slices.Equal(got, want) {
			t.Errorf("subscriptions %q, want %q", got, want)
		}
		var got []string
		for range 3 { // a/1 matched two subscriptions
			got = append(got, string(c.message().Topic))
		}
		if want := []string{"a/1", "a/1", "b"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		c.quiet()
	})
}

// TestWhatWaitsForARevokedSubscriptionIsNotDeliveredToTheNextConnectionEither has messages wait, behind one that is not acknowledged, when the rules
// change, and the client come back before it has got them.
func TestWhatWaitsForARevokedSubscriptionIsNotDeliveredToTheNextConnectionEither(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rules{}
		b, l := serve(t, broker.Options{Authorizer: r})
		one := stored("c")
		one.Properties.SetReceiveMaximum(1)
		c, _ := connect(t, l, one)
		c.subscribe("secret")
		c.subscribe("a")
		pub, _ := connect(t, l, clean("pub"))
		accepted(t, pub, "a", "in flight")
		c.message()
		accepted(t, pub, "secret", "x")
		accepted(t, pub, "a", "y")
		r.set(broker.ActionSubscribe, "c secret")
		b.Recheck(nil)
		c.send(&mqtt.Disconnect{})
		synctest.Wait()
		c, _ = connect(t, l, stored("c"))
		for _, want := range []string{"in flight", "y"} {
			if m := c.message(); string(m.Payload) != want {
				t.Errorf("got %q, want %q", m.Payload, want)
			}
		}
		c.quiet()
	})
}

// TestASubscriptionThatCrossesARecheckIsNotMissed has the rules change between the question and the subscription.
func TestASubscriptionThatCrossesARecheckIsNotMissed(t *testing.T) {
	b, l := serve(t, broker.Options{})
	c, _ := connect(t, l, clean("c"))
	late := &rules{deny: map[broker.Action][]string{broker.ActionSubscribe: {"c t"}}}
	first := true
	b.Reconfigure(broker.Options{Authorizer: authorizer(func(a broker.Access) bool {
		if a.Action == broker.ActionSubscribe && first {
			first = false
			b.Recheck(nil) // sees no subscription yet
			return true
		}
		return late.Authorize(a)
	})})
	if code := c.trySubscribe("t"); code != mqtt.NotAuthorized {
		t.Errorf("SUBACK says %v", code)
	}
	if got := subscriptions(b); len(got) > 0 {
		t.Errorf("subscriptions %q", got)
	}
}

func TestAPanicOfTheAuthorizerAtRecheckClosesOneConnection(t *testing.T) {
	b, err := broker.New(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t, b)
	bad, _ := connect(t, l, clean("bad"))
	good, _ := connect(t, l, clean("good"))
	bad.subscribe("t")
	good.subscribe("t")
	b.Reconfigure(broker.Options{Authorizer: authorizer(func(a broker.Access) bool {
		if a.Client.ID == "bad" {
			panic("oops")
		}
		return true
	})})
	if n := b.Recheck(nil); n != 0 {
		t.Errorf("%d have ended", n)
	}
	if d, ok := bad.read().(*mqtt.Disconnect); !ok || d.Reason != mqtt.ImplementationSpecificError {
		t.Errorf("bad got %+v", d)
	}
	good.quiet()
	if n := b.Stats().Panics; n != 1 {
		t.Errorf("%d panics were counted", n)
	}
}

// TestRecheckAmongClientsThatComeAndGo leaves nobody with a subscription that is denied, whatever it crossed.
func TestRecheckAmongClientsThatComeAndGo(t *testing.T) {
	var denied atomic.Bool
	b, l := serve(t, broker.Options{Authorizer: authorizer(func(a broker.Access) bool {
		return a.Action != broker.ActionSubscribe || !denied.Load() || string(a.Topic) != "secret"
	})})
	const clients, rounds = 8, 30
	var going sync.WaitGroup
	for i := range clients {
		going.Go(func() {
			for round := range rounds {
				p := stored(string(rune('a' + i)))
				p.CleanStart = round%7 == 0
				c, _ := connect(t, l, p)
				_ = c.trySubscribe("secret") // granted or not
				c.subscribe("open")
				if round%3 == 0 {
					c.send(&mqtt.Disconnect{})
				}
				_ = c.nc.Close()
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		going.Wait()
		close(ended)
	}()
	for round := 0; ; round++ {
		denied.Store(round%2 == 0)
		b.Recheck(nil)
		select {
		case <-ended:
		default:
			continue
		}
		break
	}
	denied.Store(true)
	b.Recheck(nil)
	for i := range clients { // also those that were away
		p := stored(string(rune('a' + i)))
		p.CleanStart = false
		c, _ := connect(t, l, p)
		c.quiet()
	}
	if got := subscriptions(b); len(got) != clients || slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, "secret") }) {
		t.Errorf("subscriptions %q", got)
	}
}

// TestRevokingManySubscriptionsIsLinear revokes all of some thousand subscriptions at once, and
// counts the memory that it takes.
func TestRevokingManySubscriptionsIsLinear(t *testing.T) {
	const n = 5000
	denied := false
	b, l := serve(t, broker.Options{
		Authorizer: authorizer(func(a broker.Access) bool { return a.Action != broker.ActionSubscribe || !denied }),
	})
	c, _ := connect(t, l, clean("c"))
	for i := range n / 100 {
		p := mqtt.Subscribe{PacketID: 1}
		for j := range 100 {
			p.Subscriptions = append(p.Subscriptions, mqtt.Subscription{Filter: fmt.Sprint("t/", i, "/", j)})
		}
		c.send(&p)
		if _, ok := c.read().(*mqtt.Suback); !ok {
			t.Fatal("no SUBACK")
		}
	}
	denied = true
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ended := b.Recheck(nil)
	runtime.ReadMemStats(&after)
	if ended != n {
		t.Errorf("%d subscriptions have ended, want %d", ended, n)
	}
	if each := (after.TotalAlloc - before.TotalAlloc) / n; each > 2000 {
		t.Errorf("%d bytes were allocated for each", each)
	}
}
