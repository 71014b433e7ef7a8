package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/uniomq/unio/store"
)

// Bench measures commits of a store that is empty and not started: a message is queued, read, and settled. The sub-benchmarks
// differ in how many messages share a commit.
func Bench(b *testing.B, open func(b *testing.B) store.Store) {
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprintf("commit-of-%d", batch), func(b *testing.B) { benchCommit(b, open(b), batch) })
	}
}

func benchCommit(b *testing.B, s store.Store, batch int) {
	if err := s.Start(func([]any) {}, store.Recovery{}); err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	attached := make(chan store.Attached, 1)
	s.Attach(context.Background(), store.Attach{ClientID: "c", Keep: true, Expiry: store.ExpiryNever, Owner: "c", Now: start}, func(at store.Attached, err error) {
		if err != nil {
			b.Error(err)
		}
		attached <- at
	})
	ref := (<-attached).Ref
	done := make(chan error, 1)
	tx := &store.Tx{Wait: true, Done: func(err error) { done <- err }}
	commit := func() {
		s.Commit(tx)
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		tx.Reset()
	}
	m := &store.Message{Topic: "bench/commit", Payload: make([]byte, 64), QoS: 1}
	deliveries := make([]store.Delivery, 0, batch)
	after := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		for range batch {
			tx.Enqueue(ref, store.Delivery{Message: m, QoS: 1}, store.Limit{})
		}
		commit()
		deliveries = s.Next(ref, after, deliveries[:0])
		if len(deliveries) != batch {
			b.Fatalf("%d deliveries, expected %d", len(deliveries), batch)
		}
		for i := range deliveries {
			after = deliveries[i].Ordinal
			tx.Settle(ref, after)
		}
		commit()
	}
}
