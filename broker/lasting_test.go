package broker_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
)

// ledger is a store that notes which commands had to be durable before Done.
type ledger struct {
	store.Store
	mu   sync.Mutex
	seen []entry
}

type entry struct {
	op      store.Op
	durable bool
}

func (l *ledger) Commit(tx *store.Tx) {
	l.mu.Lock()
	for i := range tx.Commands {
		l.seen = append(l.seen, entry{tx.Commands[i].Op, tx.Wait})
	}
	l.mu.Unlock()
	l.Store.Commit(tx)
}

func (l *ledger) take() []entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.seen
	l.seen = nil
	return seen
}

// TestWhatNobodyWaitsForIsDurable: a will, a message of the embedding program, the end of a
// connection and that of a session are no less lasting than what a client is told of. What a client
// sends at QoS 0 is promised to nobody.
func TestWhatNobodyWaitsForIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := &ledger{Store: memory.New()}
		b, l := serve(t, broker.Options{Store: kept})
		watch, _ := connect(t, l, stored("watch"))
		watch.subscribe("t")
		willing := func(delay uint32) *client {
			p := stored("willing")
			p.Properties.SetSessionExpiry(60)
			p.Will = &mqtt.Will{Topic: "t", QoS: 1}
			p.Will.Properties.SetWillDelay(delay)
			c, _ := connect(t, l, p)
			return c
		}
		check := func(what string, op store.Op, durable bool, do func()) {
			t.Helper()
			synctest.Wait()
			kept.take()
			do()
			synctest.Wait()
			if seen := kept.take(); !slices.Contains(seen, entry{op, durable}) || slices.Contains(seen, entry{op, !durable}) {
				t.Errorf("%s: want command %d, durable: %v; got %+v", what, op, durable, seen)
			}
		}
		c := willing(0)
		check("a will", store.Enqueue, true, func() { _ = c.nc.Close() })
		c = willing(10)
		check("the end of a connection", store.Detach, true, func() { _ = c.nc.Close() })
		check("a delayed will", store.Enqueue, true, func() { time.Sleep(10 * time.Second) })
		check("the end of a session", store.Remove, true, func() { time.Sleep(time.Minute) })
		check("a message of the program", store.Enqueue, true, func() { _ = b.Publish(&store.Message{Topic: "t", QoS: 1}) })
		check("a message for one client", store.Enqueue, true, func() {
			_, _ = b.PublishTo("watch", &store.Message{Topic: "t", QoS: 1})
		})
		check("a message at QoS 0", store.Retain, false, func() {
			watch.send(&mqtt.Publish{Topic: []byte("r"), Payload: []byte("1"), Retain: true})
		})
	})
}
