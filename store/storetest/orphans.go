package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/uniomq/unio/store"
)

// heir takes what ended sessions leave behind, and has the store forget it.
type heir struct {
	mu   sync.Mutex
	got  []string
	news chan struct{}
	keep bool // it does not, and does not call done
}

func newHeir() *heir { return &heir{news: make(chan struct{}, 1)} }

// take is a store's Recovery.Orphaned.
func (h *heir) take(s store.Store) func(store.Ref, []store.Delivery, func()) {
	return func(ref store.Ref, ds []store.Delivery, done func()) {
		h.mu.Lock()
		defer h.mu.Unlock()
		tx := &store.Tx{Done: func(error) {}, Wait: true}
		for _, d := range ds {
			if d.Group == "" { // a store may hand over more than it has to
				continue
			}
			h.got = append(h.got, fmt.Sprintf("%s %d/%d/%v:%s", d.Group, d.QoS, d.State, d.Uncertain, d.Message.Payload))
			tx.Forget(ref, d.Ordinal)
		}
		if !h.keep {
			s.Commit(tx)
			done()
		}
		select {
		case h.news <- struct{}{}:
		default:
		}
	}
}

// want waits until that is all that came.
func (h *heir) want(t *testing.T, want ...string) {
	t.Helper()
	for {
		h.mu.Lock()
		n, got := len(h.got), fmt.Sprint(h.got)
		h.mu.Unlock()
		if n >= len(want) {
			if got != fmt.Sprint(want) {
				t.Fatalf("got %v, want %v", got, want)
			}
			return
		}
		select {
		case <-h.news:
		case <-time.After(patience):
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// grouped is a delivery of a shared subscription.
func grouped(qos byte, payload string) store.Delivery {
	d := delivery(qos, payload)
	d.Group = "$share/g/" + d.Message.Topic
	return d
}

// testOrphans ends sessions in every way.
func testOrphans(t *testing.T, f *fixture) {
	h := newHeir()
	if err := f.store.Start(f.wake, store.Recovery{Orphaned: h.take(f.store)}); err != nil {
		t.Fatal(err)
	}
	fill := func(id string) store.Ref {
		ref := f.session(id)
		f.commit(func(tx *store.Tx) {
			d := grouped(2, id+"1")
			tx.Enqueue(ref, d, store.Limit{})
			tx.Enqueue(ref, delivery(1, "no"), store.Limit{})
			tx.Enqueue(ref, grouped(1, id+"2"), store.Limit{})
			tx.Enqueue(ref, grouped(1, id+"3"), store.Limit{})
		})
		if g := f.next(ref, 0, 1, 1)[0].Group; g != "$share/g/t" {
			t.Fatalf("its group is %q", g)
		}
		f.next(ref, 0, 4, 4)
		f.commit(func(tx *store.Tx) { tx.SetSent(ref, 1); tx.Settle(ref, 3) })
		return ref
	}
	want := func(ids ...string) {
		t.Helper()
		var all []string
		for _, id := range ids {
			all = append(all, "$share/g/t 2/1/false:"+id+"1", "$share/g/t 1/0/false:"+id+"3")
		}
		h.want(t, all...)
	}
	ref := fill("a")
	f.commit(func(tx *store.Tx) { tx.Remove(ref) })
	want("a")
	fill("b")
	f.attach(store.Attach{ClientID: "b", Clean: true})
	want("a", "b")
	ref = fill("c")
	f.commit(func(tx *store.Tx) { tx.Detach(ref, start, 60, time.Time{}) })
	f.attach(store.Attach{ClientID: "c", Keep: true, Now: start.Add(time.Hour)})
	want("a", "b", "c")
	tx := f.commit(func(tx *store.Tx) { tx.Enqueue(ref, grouped(1, "late"), store.Limit{}) })
	if !tx.Commands[0].Void {
		t.Error("nobody is told that the session has ended")
	}
}

// testOrphansSurvive has a machine fail before what a session left behind was passed on. What was
// passed on does not come again.
func testOrphansSurvive(t *testing.T, m Machine) {
	h := newHeir()
	h.keep = true
	f, r := newFixture(t, m.Open(t))
	recovery := r.recovery()
	recovery.Orphaned = h.take(f.store)
	if err := f.store.Start(f.wake, recovery); err != nil {
		t.Fatal(err)
	}
	ref, other := f.session("c"), f.session("other")
	f.commit(func(tx *store.Tx) {
		for _, p := range []string{"a", "b"} {
			d := grouped(2, p)
			tx.Enqueue(ref, d, store.Limit{})
			d.Group = ""
			tx.Enqueue(other, d, store.Limit{}) // it has the body, too
		}
		tx.Enqueue(ref, grouped(2, "c"), store.Limit{})
	})
	f.next(ref, 0, 1, 1)
	f.commit(func(tx *store.Tx) { tx.SetSent(ref, 1) })
	f.commit(func(tx *store.Tx) { tx.Remove(ref) })
	h.want(t, "$share/g/t 2/1/false:a", "$share/g/t 2/0/false:b", "$share/g/t 2/0/false:c")
	f.commit(func(tx *store.Tx) { tx.Forget(ref, 2) })
	m2 := cut(m)
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]string{{"$share/g/t 2/1/false:a", "$share/g/t 2/0/false:c"}, nil} {
		h, f = newHeir(), nil
		f, r = newFixture(t, m2.Open(t))
		recovery = r.recovery()
		recovery.Orphaned = h.take(f.store)
		if err := f.store.Start(f.wake, recovery); err != nil {
			t.Fatal(err)
		}
		h.want(t, want...)
		f.attach(store.Attach{ClientID: "other", Keep: true, Expiry: store.ExpiryNever})
		f.want(other, 0, 8, "1/1/2/0:a", "2/2/2/0:b")
		if err := f.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// testOrphansInDoubt ends a session that was connected when its machine failed: nobody knows what
// it was sent.
func testOrphansInDoubt(t *testing.T, m Machine) {
	f, _ := begin(t, m)
	ref := f.session("c")
	f.commit(func(tx *store.Tx) { tx.Enqueue(ref, grouped(2, "a"), store.Limit{}) })
	m2 := cut(m)
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	h := newHeir()
	f, r := newFixture(t, m2.Open(t))
	defer f.store.Close()
	recovery := r.recovery()
	recovery.Orphaned = h.take(f.store)
	if err := f.store.Start(f.wake, recovery); err != nil {
		t.Fatal(err)
	}
	f.commit(func(tx *store.Tx) { tx.Remove(ref) })
	h.want(t, "$share/g/t 2/0/true:a")
}
