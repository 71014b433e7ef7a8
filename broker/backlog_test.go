package broker_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
)

// retain stores retained messages r/0/x, r/1/x, ...
func retain(t *testing.T, l *memnet.Listener, n int) {
	t.Helper()
	pub, _ := connect(t, l, clean("retainer"))
	for i := range n {
		pub.send(&mqtt.Publish{QoS: 1, PacketID: 1, Retain: true, Topic: fmt.Appendf(nil, "r/%d/x", i), Payload: make([]byte, 100)})
		pub.read()
	}
	pub.send(&mqtt.Disconnect{})
}

// subscribeAll is a SUBSCRIBE to n filters at QoS 1.
func subscribeAll(n int, filter func(i int) string) *mqtt.Subscribe {
	s := &mqtt.Subscribe{PacketID: 1}
	for i := range n {
		s.Subscriptions = append(s.Subscriptions, mqtt.Subscription{Filter: filter(i), Options: 1})
	}
	return s
}

// TestOneSubscribeIsNoBomb subscribes ten thousand times to all retained messages, in one packet and
// in many, and reads nothing: what waits is a cursor.
func TestOneSubscribeIsNoBomb(t *testing.T) {
	b, l := serveNarrow(t, broker.Options{Limits: broker.Limits{MaxSubscriptions: -1}})
	const n = 10_000
	retain(t, l, 1000)
	bomb, _ := connect(t, l, clean("bomb"))
	before := heapInUse()
	bomb.send(subscribeAll(n, func(int) string { return "#" }))
	if a, ok := bomb.read().(*mqtt.Suback); !ok || len(a.Reasons) != n || a.Reasons[n-1].Failed() {
		t.Fatalf("%+v", a)
	}
	for range 100 {
		bomb.send(subscribeAll(10, func(i int) string { return "+/+/" + string("x#+"[i%3]) }))
	}
	other, _ := connect(t, l, clean("other")) // it is served meanwhile
	if code := other.publish("t", "x"); code.Failed() {
		t.Errorf("another client's message: %v", code)
	}
	if grown := heapInUse() - before; grown > 3<<20 {
		t.Errorf("%d bytes for two subscriptions", grown)
	}
	if n := b.Stats().RetainedPending; n == 0 || n > 4 {
		t.Errorf("%d subscriptions wait for retained messages", n)
	}
	_ = bomb.nc.Close()
	for end := time.Now().Add(10 * time.Second); b.Stats().Connections > 1 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := b.Stats().RetainedPending; n != 0 {
		t.Errorf("%d subscriptions wait for retained messages, of nobody", n)
	}
}

// TestALongSearchComesAfterSuback has many filters that many names have to be looked at for: they are
// looked at when SUBACK has left, and the client is answered meanwhile.
func TestALongSearchComesAfterSuback(t *testing.T) {
	b, l := serve(t, broker.Options{})
	retain(t, l, 3000)
	sub, _ := connect(t, l, clean("sub"))
	const n = 1000
	sub.send(subscribeAll(n, func(i int) string { return fmt.Sprintf("+/+/%d", i) }), &mqtt.Pingreq{})
	if a, ok := sub.read().(*mqtt.Suback); !ok || len(a.Reasons) != n {
		t.Fatalf("%+v", a)
	}
	if _, ok := sub.read().(*mqtt.Pingresp); !ok {
		t.Error("no PINGRESP")
	}
	// Three million names: it takes a while longer than the answers.
	if left := b.Stats().RetainedPending; left < n/2 {
		t.Errorf("the search was over, but for %d of %d, before the client was answered", left, n)
	}
	sub.send(&mqtt.Unsubscribe{PacketID: 2, Filters: []string{fmt.Sprintf("+/+/%d", n-1)}})
	sub.read()
	sub.send(subscribeAll(1, func(int) string { return "r/7/x" }))
	sub.read() // SUBACK
	if m := sub.message(); string(m.Topic) != "r/7/x" {
		t.Errorf("got %s", m.Topic)
	}
	if left := b.Stats().RetainedPending; left != 0 {
		t.Errorf("%d subscriptions wait", left)
	}
}

// enqueues counts what a store has taken into queues.
type enqueues struct {
	store.Store
	n atomic.Int64
}

func (s *enqueues) Commit(tx *store.Tx) {
	done := tx.Done
	tx.Done = func(err error) {
		for _, c := range tx.Commands {
			if c.Op == store.Enqueue && !c.Dropped {
				s.n.Add(1)
			}
		}
		tx.Done = done
		done(err)
	}
	s.Store.Commit(tx)
}

// TestSubscribingAgainKeepsToTheLimitOfTheQueue subscribes again and again to more retained messages than its queue takes, and
// acknowledges none. Then it takes them all.
func TestSubscribingAgainKeepsToTheLimitOfTheQueue(t *testing.T) {
	const limit, all = 100, 1000
	s := &enqueues{Store: memory.New()}
	b, l := serve(t, broker.Options{Store: s, Limits: broker.Limits{MaxQueuedMessages: limit}})
	retain(t, l, all)
	sub, _ := connect(t, l, stored("sub"))
	var waiting []*mqtt.Publish
	for range 200 {
		sub.send(subscribeAll(1, func(int) string { return "#" }))
		for {
			p := sub.read()
			if m, ok := p.(*mqtt.Publish); ok {
				waiting = append(waiting, m)
			} else {
				break
			}
		}
	}
	if n := s.n.Load(); n > limit+20 {
		t.Fatalf("%d messages are queued, the limit is %d and the window 20", n, limit)
	}
	seen := make(map[string]bool)
	take := func(m *mqtt.Publish) {
		seen[string(m.Topic)] = true
		sub.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: m.PacketID})
	}
	for _, m := range waiting {
		take(m)
	}
	for len(seen) < all {
		take(sub.message())
	}
	if d := b.Stats().Dropped; d != [broker.DropCauses]int64{} {
		t.Errorf("drops: %v", d)
	}
}

// TestSubackComesBeforeRetainedMessages looks at the order for sessions of both kinds: there are
// clients that listen only when they know that they are subscribed.
func TestSubackComesBeforeRetainedMessages(t *testing.T) {
	_, l := serve(t, broker.Options{})
	retain(t, l, 3)
	for qos := range byte(3) {
		for _, p := range []mqtt.Connect{clean(fmt.Sprint("clean", qos)), stored(fmt.Sprint("stored", qos))} {
			sub, _ := connect(t, l, p)
			sub.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "r/#", Options: mqtt.SubscribeOptions(qos)}}})
			if a, ok := sub.read().(*mqtt.Suback); !ok {
				t.Errorf("%s got %T first", p.ClientID, a)
			}
			for range 3 {
				if m := sub.message(); !m.Retain {
					t.Errorf("%s got %+v", p.ClientID, m)
				}
			}
			sub.quiet()
		}
	}
}

// TestRetainedMessagesOfAStoredSessionOutlastItsConnection ends the connection when the window is full: what the queue
// takes comes to the next connection.
func TestRetainedMessagesOfAStoredSessionOutlastItsConnection(t *testing.T) {
	const all, window, limit = 500, 20, 300
	synctest.Test(t, func(t *testing.T) {
		_, l := serve(t, broker.Options{Limits: broker.Limits{MaxQueuedMessages: limit}})
		retain(t, l, all)
		sub, _ := connect(t, l, stored("sub"))
		sub.send(subscribeAll(1, func(int) string { return "#" }))
		sub.read()
		for range window {
			sub.message()
		}
		_ = sub.nc.Close()
		synctest.Wait()
		p := stored("sub")
		p.CleanStart = false
		again, ack := connect(t, l, p)
		if !ack.SessionPresent {
			t.Fatal("no session")
		}
		seen := make(map[string]bool)
		for range window + limit {
			m := again.message()
			seen[string(m.Topic)] = true
			again.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: m.PacketID})
		}
		again.quiet()
		if len(seen) != window+limit {
			t.Errorf("%d messages came, want %d", len(seen), window+limit)
		}
	})
}

// TestWhatIsRetainedAfterTheSubscriptionComesOnce publishes while the search waits for the window.
func TestWhatIsRetainedAfterTheSubscriptionComesOnce(t *testing.T) {
	_, l := serve(t, broker.Options{Limits: broker.Limits{MaxInflight: 1}})
	retain(t, l, 3)
	sub, _ := connect(t, l, clean("sub"))
	sub.send(subscribeAll(1, func(int) string { return "r/#" }))
	sub.read()
	first := sub.message()
	pub, _ := connect(t, l, clean("pub"))
	pub.send(&mqtt.Publish{QoS: 1, PacketID: 1, Retain: true, Topic: []byte("r/2/x"), Payload: []byte("new")})
	pub.read()
	got := map[string]int{string(first.Topic): 1}
	for m := first; len(got) < 3; {
		sub.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: m.PacketID})
		m = sub.message()
		got[string(m.Topic)]++
		if string(m.Topic) == "r/2/x" && (m.Retain || string(m.Payload) != "new") {
			t.Errorf("got the old one: %+v", m)
		}
		sub.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: m.PacketID})
	}
	sub.quiet()
}

// TestSubscribeAndUnsubscribeTogetherGetWhatIsRetained sends both in one write, as clients do that want to see what is there.
func TestSubscribeAndUnsubscribeTogetherGetWhatIsRetained(t *testing.T) {
	b, l := serve(t, broker.Options{})
	retain(t, l, 10)
	for _, p := range []mqtt.Connect{clean("clean"), stored("stored")} {
		sub, _ := connect(t, l, p)
		take := func(m *mqtt.Publish) {
			if m.QoS > 0 {
				sub.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: m.PacketID})
			}
		}
		for qos := range byte(2) {
			sub.send(
				&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "r/#", Options: mqtt.SubscribeOptions(qos)}}},
				&mqtt.Unsubscribe{PacketID: 2, Filters: []string{"r/#"}},
			)
			n := 0
			for answers := 0; answers < 2; {
				if m, ok := sub.read().(*mqtt.Publish); ok {
					take(m)
					n++
				} else {
					answers++
				}
			}
			for ; n < 10; n++ {
				take(sub.message())
			}
			sub.quiet()
		}
	}
	if n := b.Stats().RetainedPending; n != 0 {
		t.Errorf("%d subscriptions wait", n)
	}
}

// lateStore keeps the answers to transactions that drop something back until they are let go.
type lateStore struct {
	store.Store
	late chan func()
}

func (s *lateStore) Commit(tx *store.Tx) {
	done := tx.Done
	tx.Done = func(err error) {
		tx.Done = done
		if slices.ContainsFunc(tx.Commands, func(c store.Command) bool { return c.Dropped }) {
			s.late <- func() { done(err) }
			return
		}
		done(err)
	}
	s.Store.Commit(tx)
}

// TestTheSearchGoesOnThoughTheQueueIsEmptyBeforeItIsKnownThatItWasFull has a client take all of its
// queue before the answer of the store comes that there was no room.
func TestTheSearchGoesOnThoughTheQueueIsEmptyBeforeItIsKnownThatItWasFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &lateStore{Store: memory.New(), late: make(chan func(), 1)}
		_, l := serve(t, broker.Options{Store: s, Limits: broker.Limits{MaxQueuedMessages: 4, MaxInflight: 1}})
		retain(t, l, 5)
		sub, _ := connect(t, l, stored("sub"))
		sub.send(subscribeAll(2, func(i int) string { return [...]string{"r/#", "live"}[i] }))
		sub.read()
		waits := sub.message() // and the next one is in the queue
		pub, _ := connect(t, l, clean("pub"))
		for range 3 {
			_ = pub.publish("live", "x") // the queue is full
		}
		for _, want := range []string{"r/1/x", "live", "live", "live", "r/2/x"} {
			sub.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: waits.PacketID})
			if waits = sub.message(); string(waits.Topic) != want {
				t.Fatalf("got %s, want %s", waits.Topic, want)
			}
		}
		sub.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: waits.PacketID})
		synctest.Wait()
		(<-s.late)() // there was no room for r/3/x
		synctest.Wait()
		sub.send(&mqtt.Pingreq{}) // it would be answered first
		for _, want := range []string{"r/3/x", "r/4/x"} {
			if waits = sub.message(); string(waits.Topic) != want {
				t.Errorf("got %s, want %s", waits.Topic, want)
			}
			if want == "r/3/x" {
				sub.read() // PINGRESP
			}
			sub.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: waits.PacketID})
		}
	})
}

// TestRetainedMessagesComeOnceUnderALimitOfBytes has one that is larger than the queue takes beside others.
func TestRetainedMessagesComeOnceUnderALimitOfBytes(t *testing.T) {
	_, l := serve(t, broker.Options{Limits: broker.Limits{MaxQueuedBytes: 2000}})
	pub, _ := connect(t, l, clean("pub"))
	const all = 20
	for i := range all {
		size := 10
		if i == 3 {
			size = 3000
		}
		pub.send(&mqtt.Publish{QoS: 1, PacketID: 1, Retain: true, Topic: fmt.Appendf(nil, "r/%02d", i), Payload: make([]byte, size)})
		pub.read()
	}
	sub, _ := connect(t, l, stored("sub"))
	sub.send(subscribeAll(1, func(int) string { return "#" }))
	sub.read()
	for i := range all {
		m := sub.message()
		if want := fmt.Sprintf("r/%02d", i); string(m.Topic) != want {
			t.Fatalf("message %d is of %s, want %s", i, m.Topic, want)
		}
		sub.send(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: m.PacketID})
	}
	sub.quiet()
}
