package broker_test

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
)

// sizes is a store that counts what is enqueued, and notes the largest transaction.
type sizes struct {
	store.Store
	mu       sync.Mutex
	enqueued int
	largest  int
}

func (s *sizes) Commit(tx *store.Tx) {
	s.mu.Lock()
	s.largest = max(s.largest, len(tx.Commands))
	for i := range tx.Commands {
		if tx.Commands[i].Op == store.Enqueue {
			s.enqueued++
		}
	}
	s.mu.Unlock()
	s.Store.Commit(tx)
}

func (s *sizes) enqueues() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enqueued
}

// TestLongQueueIsPassedOnInParts has a session end with a long queue of a shared subscription. Its
// client, which begins anew, waits for none of that, and no transaction is large.
func TestLongQueueIsPassedOnInParts(t *testing.T) {
	const messages = 900
	kept := &sizes{Store: memory.New()}
	b, l := serve(t, broker.Options{Store: kept})
	leave := func(c *client) {
		n := b.Stats().Connections
		_ = c.nc.Close()
		for b.Stats().Connections == n {
			runtime.Gosched()
		}
	}
	a, _ := connect(t, l, stored("a"))
	a.subscribe("$share/g/t")
	leave(a)
	for range messages {
		_ = b.Publish(&store.Message{Topic: "t", QoS: 1})
	}
	heir, _ := connect(t, l, stored("b"))
	heir.subscribe("$share/g/t")
	leave(heir)
	p := stored("a")
	p.CleanStart = true
	if _, ack := connect(t, l, p); ack.SessionPresent {
		t.Error("the session is still there")
	}
	for kept.enqueues() < 2*messages {
		runtime.Gosched()
	}
	if kept.enqueues() > 2*messages || kept.largest > 200 {
		t.Errorf("%d messages were enqueued, want %d; the largest transaction has %d commands", kept.enqueues(), 2*messages, kept.largest)
	}
}

// TestMessagesOfAMemberThatShutdownEndsAreKept: what such a member has not acknowledged is for one
// that is stored.
func TestMessagesOfAMemberThatShutdownEndsAreKept(t *testing.T) {
	kept := &sizes{Store: memory.New()}
	b, err := broker.New(broker.Options{Store: kept})
	if err != nil {
		t.Fatal(err)
	}
	l := memnet.Listen()
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	away, _ := connect(t, l, stored("stored"))
	away.subscribe("$share/g/t")
	_ = away.nc.Close()
	for b.Stats().Connections > 0 {
		runtime.Gosched()
	}
	here, _ := connect(t, l, clean("clean"))
	here.subscribe("$share/g/t")
	_ = b.Publish(&store.Message{Topic: "t", QoS: 1})
	if p, ok := here.read().(*mqtt.Publish); !ok || kept.enqueues() > 0 {
		t.Fatalf("the member that is there got %+v", p)
	}
	if err := b.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != broker.ErrClosed {
		t.Error(err)
	}
	if n := kept.enqueues(); n != 1 {
		t.Errorf("%d messages were enqueued, want 1", n)
	}
}
