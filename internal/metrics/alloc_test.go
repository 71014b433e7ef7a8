package metrics

import (
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/store"
)

func newTree(t testing.TB, publish func(*store.Message) error) *SysTree {
	t.Helper()
	b, err := broker.New(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	s := New(Options{Broker: b, Version: "1.2.3"})
	s.publish = publish
	return s
}

// freeze shows another number, which does not change, as the size of the heap.
func freeze(s *SysTree) { s.sample.memory[0].Name = "/gc/gomemlimit:bytes" }

func TestRefreshWithoutChangeAllocatesNothing(t *testing.T) {
	published := 0
	s := newTree(t, func(*store.Message) error { published++; return nil })
	freeze(s)
	now := s.started.Add(time.Hour)
	s.refresh(now)
	if published < 50 {
		t.Fatalf("%d messages at first", published)
	}
	published = 0
	n := testing.AllocsPerRun(100, func() {
		now = now.Add(time.Millisecond)
		s.refresh(now)
	})
	if n != 0 || published != 0 {
		t.Errorf("%v allocations, %d messages", n, published)
	}
}

func BenchmarkRefresh(b *testing.B) {
	s := newTree(b, func(*store.Message) error { return nil })
	now := s.started
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(10 * time.Second)
		s.refresh(now)
	}
}
