package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/uniomq/unio/store"
)

func testQueueInOrder(t *testing.T, f *fixture) {
	ref := f.session("c")
	f.commit(func(tx *store.Tx) {
		for i, qos := range []byte{1, 0, 2, 1} {
			tx.Enqueue(ref, delivery(qos, fmt.Sprint("m", i)), store.Limit{})
		}
	})
	f.want(ref, 0, 8, "1/1/1/0:m0", "2/0/0/0:m1", "3/2/2/0:m2", "4/3/1/0:m3")
	d := f.next(ref, 0, 1, 1)[0]
	if d.Message.Topic != "t" || d.Retain || d.SubscriptionID != 0 {
		t.Fatalf("delivery changed: %+v", d)
	}
}

func testNext(_ *testing.T, f *fixture) {
	ref := f.session("c")
	f.want(ref, 0, 8)
	f.enqueue(ref, "a", "b", "c")
	f.want(ref, 0, 2, "1/1/1/0:a", "2/2/1/0:b")
	f.want(ref, 2, 2, "3/3/1/0:c")
	f.want(ref, 3, 2)
	f.want(ref, 99, 2)
	f.want(ref, 0, 0)
}

func testSettle(_ *testing.T, f *fixture) {
	ref := f.session("c")
	f.enqueue(ref, "a", "b", "c", "d")
	settle := func(o uint64) { f.commit(func(tx *store.Tx) { tx.Settle(ref, o) }) }
	settle(2)
	f.want(ref, 0, 8, "1/1/1/1:a", "3/3/1/0:c", "4/4/1/0:d")
	settle(1)
	settle(1) // again: nothing
	settle(77)
	f.want(ref, 0, 8, "3/3/1/0:c", "4/4/1/0:d")
	settle(3)
	settle(4)
	f.want(ref, 0, 8)
	f.enqueue(ref, "e")
	f.want(ref, 0, 8, "5/5/1/0:e")
	for i := range 200 { // the queue is long, and is settled from its head
		f.enqueue(ref, fmt.Sprint(i))
	}
	for o := range uint64(200) {
		settle(5 + o)
	}
	f.want(ref, 0, 8, "205/205/1/0:199")
}

func testStates(t *testing.T, f *fixture) {
	ref := f.session("c")
	f.commit(func(tx *store.Tx) {
		for _, p := range []string{"a", "b", "c", "d"} {
			tx.Enqueue(ref, delivery(2, p), store.Limit{})
		}
	})
	f.commit(func(tx *store.Tx) {
		tx.SetSent(ref, 3)
		tx.SetReleased(ref, 2)
		tx.Settle(ref, 1)
		tx.Detach(ref, start, 60, time.Time{})
	})
	if at := f.attach(store.Attach{ClientID: "c", Now: start}); !at.Present {
		t.Fatal("session lost")
	}
	f.want(ref, 0, 8, "2/2/2/2:b", "3/3/2/1:c", "4/4/2/0:d")
}

func testPacketIDs(t *testing.T, f *fixture) {
	ref := f.session("c")
	m := delivery(1, "x")
	const total = 65535 + 2
	f.commit(func(tx *store.Tx) {
		for range total {
			tx.Enqueue(ref, m, store.Limit{})
		}
	})
	last := uint64(0)
	for last < total {
		ds := f.next(ref, last, 1000, 1)
		for _, d := range ds {
			if d.Ordinal != last+1 || d.PacketID != uint16(last%65535)+1 {
				t.Fatalf("delivery %d has ordinal %d and packet id %d", last+1, d.Ordinal, d.PacketID)
			}
			last = d.Ordinal
		}
	}
}

func testLimit(t *testing.T, f *fixture) {
	ref := f.session("c")
	last := uint64(0)
	enqueue := func(p string, l store.Limit) (dropped bool) {
		tx := f.commit(func(tx *store.Tx) { tx.Enqueue(ref, delivery(1, p), l) })
		dropped = tx.Commands[0].Dropped
		if !dropped {
			last++
		}
		if at := tx.Commands[0].Ordinal; dropped && at != 0 || !dropped && at != last {
			t.Errorf("%s is said to have the ordinal %d, want %d", p, at, last)
		}
		return dropped
	}
	two := store.Limit{Messages: 2}
	if enqueue("a", two) || enqueue("b", two) {
		t.Fatal("dropped below the limit")
	}
	if !enqueue("c", two) {
		t.Fatal("not dropped at the limit")
	}
	f.commit(func(tx *store.Tx) { tx.SetSent(ref, 1) }) // what is in flight does not wait
	if enqueue("d", two) {
		t.Fatal("dropped though one was sent")
	}
	f.want(ref, 0, 8, "1/1/1/1:a", "2/2/1/0:b", "3/3/1/0:d")
	bytes := store.Limit{Bytes: 6} // b and d take 4
	if enqueue("e", bytes) || !enqueue("f", bytes) {
		t.Fatal("the limit in bytes is wrong")
	}
	for o := range uint64(4) {
		f.commit(func(tx *store.Tx) { tx.Settle(ref, o+1) })
	}
	if enqueue("larger than the limit, but nothing else waits", bytes) {
		t.Fatal("a single large message must fit")
	}
}

func testWake(t *testing.T, f *fixture) {
	ref := f.session("c")
	f.want(ref, 0, 8)
	f.enqueue(ref, "a")
	if n := f.wakes("c"); n != 1 {
		t.Fatalf("woken %d times for news, want once", n)
	}
	f.want(ref, 0, 8, "1/1/1/0:a")
	f.commit(func(tx *store.Tx) {
		tx.Enqueue(ref, delivery(1, "b"), store.Limit{})
		tx.Enqueue(ref, delivery(1, "c"), store.Limit{})
	})
	if n := f.wakes("c"); n != 1 {
		t.Fatalf("woken %d times for one transaction, want once", n)
	}
	f.commit(func(tx *store.Tx) { tx.Settle(ref, 1) })
	if n := f.wakes("c"); n != 0 {
		t.Fatalf("woken %d times without news", n)
	}
	f.commit(func(tx *store.Tx) { tx.Detach(ref, start, 60, time.Time{}) })
	f.enqueue(ref, "d")
	if n := f.wakes("c"); n != 0 {
		t.Fatalf("woken %d times while detached", n)
	}
	if at := f.attach(store.Attach{ClientID: "c", Owner: "new", Now: start}); !at.Present {
		t.Fatal("session lost")
	}
	f.want(ref, 3, 8, "4/4/1/0:d")
	f.enqueue(ref, "e")
	if old, n := f.wakes("c"), f.wakes("new"); old != 0 || n != 1 {
		t.Fatalf("after a takeover the old owner was woken %d times and the new one %d times", old, n)
	}
}

func testShared(t *testing.T, f *fixture) {
	d := delivery(1, "shared")
	refs := make([]store.Ref, 100)
	for i := range refs {
		refs[i] = f.session(fmt.Sprint("c", i))
	}
	f.commit(func(tx *store.Tx) {
		for i, ref := range refs {
			d.SubscriptionID = uint32(i)
			tx.Enqueue(ref, d, store.Limit{})
		}
	})
	for i, ref := range refs {
		ds := f.next(ref, 0, 2, 1)
		if len(ds) != 1 || string(ds[0].Message.Payload) != "shared" || ds[0].SubscriptionID != uint32(i) || ds[0].PacketID != 1 {
			t.Fatalf("session %d got %+v", i, ds)
		}
	}
}

func testOrder(t *testing.T, f *fixture) {
	ref := f.session("c")
	const n = 500
	var mu sync.Mutex
	var order []int
	all := make(chan struct{})
	for i := range n {
		tx := &store.Tx{Done: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("commit %d: %v", i, err)
			}
			if order = append(order, i); len(order) == n {
				close(all)
			}
		}}
		tx.Enqueue(ref, delivery(1, fmt.Sprint(i)), store.Limit{})
		f.store.Commit(tx)
	}
	<-all
	for i, got := range order {
		if got != i {
			t.Fatalf("Done came for %d in place %d", got, i)
		}
	}
	for i, d := range f.next(ref, 0, n, n) {
		if string(d.Message.Payload) != fmt.Sprint(i) {
			t.Fatalf("place %d holds %q", i, d.Message.Payload)
		}
	}
}

// testConcurrent has publishers enqueue while the owner pulls and settles, as in a broker.
func testConcurrent(t *testing.T, f *fixture) {
	ref := f.session("c")
	const publishers, each = 8, 200
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				f.commit(func(tx *store.Tx) { tx.Enqueue(ref, delivery(1, fmt.Sprintf("%d %d", p, i)), store.Limit{}) })
			}
		})
	}
	var last [publishers]int
	cursor := uint64(0)
	for cursor < publishers*each {
		ds := f.next(ref, cursor, 16, 1)
		for _, d := range ds {
			var p, i int
			if _, err := fmt.Sscanf(string(d.Message.Payload), "%d %d", &p, &i); err != nil {
				t.Fatal(err)
			}
			if i != last[p] || d.Ordinal != cursor+1 {
				t.Fatalf("publisher %d: got message %d, want %d; ordinal %d behind %d", p, i, last[p], d.Ordinal, cursor)
			}
			last[p]++
			cursor = d.Ordinal
			f.commit(func(tx *store.Tx) { tx.SetSent(ref, d.Ordinal); tx.Settle(ref, d.Ordinal) })
		}
	}
	wg.Wait()
	f.want(ref, 0, 4)
}
