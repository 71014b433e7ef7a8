package broker_test

import (
	"sync"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
)

// swapping is a store that remembers what was retained last for each topic, and that, if told to, takes the next two transactions that retain
// something in the reverse order.
type swapping struct {
	store.Store
	mu       sync.Mutex
	swap     bool
	held     *store.Tx
	retained map[string]string
}

func (s *swapping) Commit(tx *store.Tx) {
	s.mu.Lock()
	var now []*store.Tx
	switch retains := len(tx.Commands) > 0 && tx.Commands[0].Op == store.Retain; {
	case retains && s.swap:
		s.held, s.swap = tx, false
	case retains && s.held != nil:
		now, s.held = []*store.Tx{tx, s.held}, nil
	default:
		now = []*store.Tx{tx}
	}
	for _, tx := range now {
		for _, c := range tx.Commands {
			if c.Op == store.Retain {
				s.retained[c.Message.Topic] = string(c.Message.Payload)
			}
		}
	}
	s.mu.Unlock()
	for _, tx := range now {
		s.Store.Commit(tx)
	}
}

// TestStoreKeepsWhatTheTreeHas has two publishers to one topic whose transactions reach the store in another order than their messages the tree.
func TestStoreKeepsWhatTheTreeHas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, before, first, second string }{
		{"set and set", "", "old", "new"},
		{"set and clear", "", "old", ""},
		{"clear and set", "before", "", "new"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &swapping{Store: memory.New(), retained: map[string]string{}}
			_, l := serve(t, broker.Options{Store: s})
			a, _ := connect(t, l, clean("a"))
			b, _ := connect(t, l, clean("b"))
			retain := func(c *client, payload string) {
				c.send(&mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("t"), Payload: []byte(payload), Retain: true})
			}
			acknowledged := func(c *client) {
				p := c.read()
				if ack, ok := p.(*mqtt.Ack); !ok || ack.Kind != mqtt.PUBACK {
					t.Fatalf("instead of PUBACK came %T %+v", p, p)
				}
			}
			if c.before != "" {
				retain(a, c.before)
				acknowledged(a)
			}
			s.mu.Lock()
			s.swap = true
			s.mu.Unlock()
			retain(a, c.first)
			for held := false; !held; { // what follows comes second
				s.mu.Lock()
				held = s.held != nil
				s.mu.Unlock()
			}
			retain(b, c.second)
			acknowledged(a)
			acknowledged(b)
			s.mu.Lock()
			defer s.mu.Unlock()
			if got := s.retained["t"]; got != c.second {
				t.Errorf("the store keeps %q, want %q", got, c.second)
			}
		})
	}
}
