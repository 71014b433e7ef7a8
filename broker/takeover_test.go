package broker_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
)

// heldStore answers the first Attach when it is told to.
type heldStore struct {
	store.Store
	once  sync.Once
	begun chan struct{} // closed when the first Attach has come
	open  chan struct{} // closed to let it go on
}

func newHeldStore() *heldStore {
	return &heldStore{Store: memory.New(), begun: make(chan struct{}), open: make(chan struct{})}
}

// Attach implements store.Store.
func (h *heldStore) Attach(ctx context.Context, a store.Attach, done func(store.Attached, error)) {
	h.once.Do(func() {
		close(h.begun)
		<-h.open
	})
	h.Store.Attach(ctx, a, done)
}

// TestWhoIsSupersededWhileItWaitsForTheSessionLeavesAtOnce has a crowd come with one client id
// while the first of them waits for the store: of those that wait for it only the newest stays. The
// others are refused at once, and nobody does more than its own part.
func TestWhoIsSupersededWhileItWaitsForTheSessionLeavesAtOnce(t *testing.T) {
	const crowd = 1000
	h := newHeldStore()
	refused := make(chan error, crowd)
	_, l := serve(t, broker.Options{Store: h, Events: broker.Events{Refused: func(_ *broker.Client, err error) { refused <- err }}})
	answers := make(chan mqtt.ReasonCode, crowd)
	for i := range crowd {
		c := dial(t, l, mqtt.V5)
		p := stored("c")
		go func() {
			c.send(&p)
			if a, ok := c.read().(*mqtt.Connack); ok {
				answers <- a.Reason
			}
		}()
		if i == 0 {
			<-h.begun
		}
	}
	for range crowd - 2 {
		if code := <-answers; code != mqtt.ServerBusy {
			t.Fatalf("CONNACK says %v, want %v", code, mqtt.ServerBusy)
		}
	}
	close(h.open)
	for range 2 {
		if code := <-answers; code != mqtt.Success {
			t.Fatalf("CONNACK says %v to the first or the last one", code)
		}
	}
	for range crowd - 2 {
		if err := <-refused; !errors.Is(err, mqtt.ServerBusy) {
			t.Fatalf("refused with %v", err)
		}
	}
}

// TestWaitingForASessionEndsWithConnectTimeout has the store keep one connection, and thereby its
// session, for long.
func TestWaitingForASessionEndsWithConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeldStore()
		refused := make(chan error, 1)
		b, l := serve(t, broker.Options{Store: h, Events: broker.Events{Refused: func(_ *broker.Client, err error) { refused <- err }}})
		p := stored("c")
		first, second := dial(t, l, mqtt.V5), dial(t, l, mqtt.V5)
		first.send(&p)
		<-h.begun
		start := time.Now()
		second.send(&p)
		if answer := second.read(); answer != nil {
			t.Errorf("it was told %+v", answer)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("it waited for %v of virtual time, want ConnectTimeout", took)
		}
		if err := <-refused; !errors.Is(err, context.DeadlineExceeded) || b.Stats().RefusedBy[broker.RefuseTimeout] != 1 {
			t.Errorf("refused with %v, counted %v", err, b.Stats().RefusedBy)
		}
		close(h.open)
		if a, ok := first.read().(*mqtt.Connack); !ok || a.Reason != mqtt.Success {
			t.Errorf("the first one got %+v", a)
		}
	})
}

// TestNewestConnectionGetsTheSession has connections with one client id come one after the other
// while the first one is held up.
func TestNewestConnectionGetsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeldStore()
		b, l := serve(t, broker.Options{Store: h})
		var newest *client
		for range 20 {
			newest = dial(t, l, mqtt.V5)
			p := stored("c")
			newest.send(&p)
			synctest.Wait()
		}
		close(h.open)
		if a, ok := newest.read().(*mqtt.Connack); !ok || a.Reason != mqtt.Success {
			t.Fatalf("the newest got %+v", a)
		}
		synctest.Wait()
		newest.subscribe("t") // it is still there
		if n := b.Stats(); n.Connections != 1 || n.Sessions != 1 {
			t.Errorf("%d clients, %d sessions", n.Connections, n.Sessions)
		}
	})
}
