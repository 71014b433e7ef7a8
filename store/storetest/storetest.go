// Package storetest is the suite that every store.Store must pass, and stores that
// misbehave in chosen ways, for testing those who use one.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/uniomq/unio/store"
)

// Run tests the stores that open makes; each call must give an empty one, not started.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for name, test := range map[string]func(*testing.T, *fixture){
		"Attach":                    testAttach,
		"ExpiredIsNotResumed":       testExpired,
		"QueueInOrder":              testQueueInOrder,
		"NextHonoursAfterAndCap":    testNext,
		"SettleInAnyOrder":          testSettle,
		"StatesSurviveDetach":       testStates,
		"PacketIDsGoRound":          testPacketIDs,
		"LimitDropsNewest":          testLimit,
		"ReceivedIDs":               testReceived,
		"WakesOwnerOnce":            testWake,
		"StaleRefsAreVoid":          testStaleRefs,
		"OneMessageForMany":         testShared,
		"TransactionsKeepTheirTurn": testOrder,
		"Concurrent":                testConcurrent,
		"Closed":                    testClosed,
		"AttachThatIsGivenUp":       testAttachThatIsGivenUp,
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := newFixture(t, open(t))
			if err := f.store.Start(f.wake, store.Recovery{}); err != nil {
				t.Fatal(err)
			}
			defer f.store.Close()
			test(t, f)
		})
	}
	t.Run("Orphans", func(t *testing.T) {
		f, _ := newFixture(t, open(t))
		defer f.store.Close()
		testOrphans(t, f)
	})
}

// start is the time at which the tests of the suite begin.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fixture makes a store's callbacks synchronous.
type fixture struct {
	t     *testing.T
	store store.Store

	news   chan struct{}   // somebody was woken
	failed <-chan struct{} // closed when the store has failed; nil: that does not happen

	mu    sync.Mutex
	woken map[any]int
}

func newFixture(t *testing.T, s store.Store) (*fixture, *recovered) {
	return &fixture{t: t, store: s, news: make(chan struct{}, 1), woken: make(map[any]int)},
		&recovered{sessions: make(map[string]store.Session), retained: make(map[string]*store.Message)}
}

func (f *fixture) wake(owners []any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range owners {
		f.woken[o]++
	}
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// wakes returns how often an owner was woken since the last call.
func (f *fixture) wakes(owner any) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.woken[owner]
	delete(f.woken, owner)
	return n
}

func (f *fixture) attach(a store.Attach) store.Attached {
	f.t.Helper()
	at, err := f.tryAttach(a)
	if err != nil {
		f.t.Fatalf("attach %q: %v", a.ClientID, err)
	}
	return at
}

func (f *fixture) tryAttach(a store.Attach) (store.Attached, error) {
	return f.tryAttachFor(context.Background(), a)
}

func (f *fixture) tryAttachFor(ctx context.Context, a store.Attach) (store.Attached, error) {
	if a.Now.IsZero() {
		a.Now = start
	}
	type answer struct {
		at  store.Attached
		err error
	}
	ch := make(chan answer, 1)
	f.store.Attach(ctx, a, func(at store.Attached, err error) { ch <- answer{at, err} })
	ans := <-ch
	return ans.at, ans.err
}

// session attaches a new stored session.
func (f *fixture) session(id string) store.Ref {
	f.t.Helper()
	at := f.attach(store.Attach{ClientID: id, Keep: true, Expiry: store.ExpiryNever, Owner: id})
	if at.Ref == 0 {
		f.t.Fatalf("session %q has no ref", id)
	}
	return at.Ref
}

// commit commits what stage stages, waits for it, and returns the transaction.
func (f *fixture) commit(stage func(tx *store.Tx)) *store.Tx {
	f.t.Helper()
	tx, err := f.try(stage)
	if err != nil {
		f.t.Fatalf("commit: %v", err)
	}
	return tx
}

// try is commit for a store that may fail.
func (f *fixture) try(stage func(tx *store.Tx)) (*store.Tx, error) {
	done := make(chan error, 1)
	tx := &store.Tx{Done: func(err error) { done <- err }, Wait: true}
	stage(tx)
	f.store.Commit(tx)
	return tx, <-done
}

// enqueue puts messages at QoS 1 into a session's queue, one transaction each.
func (f *fixture) enqueue(ref store.Ref, payloads ...string) {
	f.t.Helper()
	for _, p := range payloads {
		f.commit(func(tx *store.Tx) { tx.Enqueue(ref, delivery(1, p), store.Limit{}) })
	}
}

// next returns what is queued, at least n of at most room deliveries: it waits for a store that must read.
func (f *fixture) next(ref store.Ref, after uint64, room, n int) []store.Delivery {
	f.t.Helper()
	ds, err := f.tryNext(ref, after, room, n)
	if err != nil {
		f.t.Fatal(err)
	}
	return ds
}

func (f *fixture) tryNext(ref store.Ref, after uint64, room, n int) ([]store.Delivery, error) {
	for {
		ds := f.store.Next(ref, after, make([]store.Delivery, 0, room))
		if len(ds) >= n {
			return ds, nil
		}
		select {
		case <-f.news:
		case <-f.failed:
			return ds, errFailed
		case <-time.After(patience):
			return ds, fmt.Errorf("%d deliveries behind ordinal %d, want %d", len(ds), after, n)
		}
	}
}

var errFailed = errors.New("the store has failed")

// endMark is a delivery that marks the end of a queue: nothing says otherwise that no more is to come.
const endMark = "the end"

// queue returns all that is queued for an attached session.
func (f *fixture) queue(ref store.Ref) (ds []store.Delivery, err error) {
	if _, err := f.try(func(tx *store.Tx) { tx.Enqueue(ref, delivery(1, endMark), store.Limit{}) }); err != nil {
		return nil, err
	}
	for last := uint64(0); ; {
		more, err := f.tryNext(ref, last, 10, 1)
		if err != nil {
			return nil, err
		}
		ds = append(ds, more...)
		end := ds[len(ds)-1]
		if string(end.Message.Payload) == endMark {
			return ds[:len(ds)-1], nil
		}
		last = end.Ordinal
	}
}

// patience is how long a store may take for anything.
const patience = 20 * time.Second

// want compares what is queued, as "ordinal/id/qos/state:payload".
func (f *fixture) want(ref store.Ref, after uint64, room int, want ...string) {
	f.t.Helper()
	var got []string
	for _, d := range f.next(ref, after, room, len(want)) {
		got = append(got, fmt.Sprintf("%d/%d/%d/%d:%s", d.Ordinal, d.PacketID, d.QoS, d.State, d.Message.Payload))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		f.t.Fatalf("queue is %v, want %v", got, want)
	}
}

func delivery(qos byte, payload string) store.Delivery {
	return store.Delivery{QoS: qos, Message: &store.Message{Topic: "t", Payload: []byte(payload), QoS: qos}}
}
