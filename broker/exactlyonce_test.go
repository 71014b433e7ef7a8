package broker_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
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

// TestExactlyOnceThroughBrokenConnections has publishers and a subscriber with stored sessions lose their connections at
// random moments, in each stage of QoS 2, and come back, by takeover or after a pause. Each message must arrive once, and each publisher's
// in order.
func TestExactlyOnceThroughBrokenConnections(t *testing.T) {
	for name, delay := range map[string]func() time.Duration{
		"store at once": nil,
		"slow store":    func() time.Duration { return time.Duration(rand.IntN(4)) * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				synctest.Test(t, func(t *testing.T) { exactlyOnce(t, seed, delay) })
			}
		})
	}
}

func exactlyOnce(t *testing.T, seed uint64, delay func() time.Duration) {
	var s store.Store = memory.New()
	if delay != nil {
		s = storetest.NewSlow(s, delay)
	}
	_, l := serve(t, broker.Options{Store: s, Limits: broker.Limits{MaxQueuedMessages: -1}})
	const publishers, each = 4, 150
	sub := &receiver{t: t, l: l, random: rand.New(rand.NewPCG(seed, 1)), want: publishers * each, last: make(map[string]int)}
	sub.subscribe()
	var wg sync.WaitGroup
	wg.Go(sub.run)
	for i := range publishers {
		p := &sender{t: t, l: l, id: fmt.Sprint("pub", i), random: rand.New(rand.NewPCG(seed, uint64(i+2))), count: each}
		wg.Go(p.run)
	}
	wg.Wait()
}

func stored(id string) mqtt.Connect {
	p := mqtt.Connect{Version: mqtt.V5, ClientID: id}
	p.Properties.SetSessionExpiry(3600)
	return p
}

// sender publishes count messages at QoS 2, one after the other, on connections that break.
type sender struct {
	t      *testing.T
	l      *memnet.Listener
	id     string
	random *rand.Rand
	count  int

	c *client
}

func (s *sender) run() {
	released := false // PUBREC came for the message in hand
	s.reconnect()
	for n := 0; n < s.count; {
		pid := uint16(n%3 + 1) // used again soon
		if !released {
			s.c.send(&mqtt.Publish{QoS: 2, PacketID: pid, Topic: []byte("t"), Payload: fmt.Appendf(nil, "%s %d", s.id, n)})
			released = s.answered(mqtt.PUBREC, pid)
		}
		if released {
			s.c.send(&mqtt.Ack{Kind: mqtt.PUBREL, PacketID: pid})
			if s.answered(mqtt.PUBCOMP, pid) {
				released = false
				n++
			}
		}
	}
}

// answered waits for an acknowledgement; if the connection breaks first, it makes a new one.
func (s *sender) answered(kind mqtt.Type, id uint16) bool {
	for {
		p := s.c.read()
		if p == nil {
			s.reconnect()
			return false
		}
		if a, ok := p.(*mqtt.Ack); ok && a.Kind == kind && a.PacketID == id {
			return true
		}
	}
}

func (s *sender) reconnect() {
	for {
		if s.random.IntN(2) == 0 {
			<-time.After(time.Duration(s.random.IntN(5)) * time.Millisecond)
		}
		s.c = dial(s.t, s.l, mqtt.V5)
		p := stored(s.id)
		s.c.send(&p)
		breakSoon(s.c, s.random)
		if ack, ok := s.c.read().(*mqtt.Connack); ok && ack.Reason == mqtt.Success {
			return
		}
	}
}

// breakSoon closes a connection after a few milliseconds, or leaves it to be taken over.
func breakSoon(c *client, random *rand.Rand) {
	d := time.Duration(5+random.IntN(30)) * time.Millisecond
	time.AfterFunc(d, func() { _ = c.nc.Close() })
}

// receiver counts what arrives, as a client that keeps its QoS 2 state does.
type receiver struct {
	t      *testing.T
	l      *memnet.Listener
	random *rand.Rand
	want   int

	c    *client
	held map[uint16]bool // packet ids received and not released
	last map[string]int
	got  int
}

func (r *receiver) subscribe() {
	r.held = make(map[uint16]bool)
	c, _ := connect(r.t, r.l, stored("sub"))
	c.send(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "t", Options: 2}}})
	if _, ok := c.read().(*mqtt.Suback); !ok {
		r.t.Error("no SUBACK")
	}
	r.c = c
}

func (r *receiver) run() {
	for r.got < r.want || len(r.held) > 0 {
		switch p := r.c.read().(type) {
		case nil:
			r.c = dial(r.t, r.l, mqtt.V5)
			connect := stored("sub")
			r.c.send(&connect)
			breakSoon(r.c, r.random)
		case *mqtt.Connack:
			if !p.SessionPresent {
				r.t.Error("the session was lost")
				return
			}
		case *mqtt.Publish:
			r.take(p)
			r.c.send(&mqtt.Ack{Kind: mqtt.PUBREC, PacketID: p.PacketID})
		case *mqtt.Ack:
			delete(r.held, p.PacketID)
			r.c.send(&mqtt.Ack{Kind: mqtt.PUBCOMP, PacketID: p.PacketID})
		}
	}
}

func (r *receiver) take(p *mqtt.Publish) {
	if r.held[p.PacketID] {
		if !p.Dup {
			r.t.Errorf("packet id %d again, without DUP: %s", p.PacketID, p.Payload)
		}
		return
	}
	r.held[p.PacketID] = true
	var from string
	var n int
	if _, err := fmt.Sscanf(string(p.Payload), "%s %d", &from, &n); err != nil {
		r.t.Error(err)
		return
	}
	if n != r.last[from] {
		r.t.Errorf("%s: message %d came when %d was due", from, n, r.last[from])
	}
	r.last[from] = n + 1
	r.got++
}
