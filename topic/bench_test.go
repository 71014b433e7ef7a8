package topic

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

const million = 1_000_000

// exactFilter and wildFilter are unlike enough to cost what filters cost: about 26
// bytes, four levels.
func exactFilter(i int) string { return fmt.Sprintf("site%d/dev%06d/sensor/temp", i%100, i) }

func wildFilter(i int) string {
	if i%2 == 0 {
		return fmt.Sprintf("site%d/dev%06d/+/temp", i%100, i)
	}
	return fmt.Sprintf("site%d/dev%06d/#", i%100, i)
}

// filterOf returns the filter of client i when one in ten of them has wildcards, or
// none.
func filterOf(i int, wild bool) string {
	if wild && i%10 == 0 {
		return wildFilter(i / 10)
	}
	return exactFilter(i)
}

// fill returns an index of n filters and what each of them costs, without its key.
func fill(n int, wild bool) (*Index[uint64], float64) {
	before := heap()
	ix := NewIndex[uint64]()
	for i := range n {
		ix.Subscribe(filterOf(i, wild), Subscription[uint64]{Key: uint64(i)})
	}
	return ix, float64(heap()-before) / float64(n)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkMatch(b *testing.B) {
	for _, mix := range []struct {
		name string
		wild bool
	}{{"exact", false}, {"10%-wild", true}} {
		b.Run("1M-filters/"+mix.name, func(b *testing.B) {
			ix, bytes := fill(million, mix.wild)
			for _, load := range []struct {
				name string
				of   int // how many names are asked for in turn
			}{{"hot", 1000}, {"cold", million}} {
				names := make([][]byte, load.of)
				for i := range names {
					names[i] = []byte(exactFilter(i * 7919 % million))
				}
				b.Run(load.name, func(b *testing.B) { benchMatch(b, ix, names, bytes) })
			}
			runtime.KeepAlive(ix)
		})
	}
}

func benchMatch(b *testing.B, ix *Index[uint64], names [][]byte, bytes float64) {
	b.ReportAllocs()
	var m Matches[uint64]
	i := 0
	for b.Loop() {
		m.Reset()
		ix.Match(names[i], &m)
		if i++; i == len(names) {
			i = 0
		}
	}
	b.ReportMetric(bytes, "B/filter")
}

// BenchmarkMatchParallel matches on all processors, alone and beside a writer that
// does nothing but change wildcard filters.
func BenchmarkMatchParallel(b *testing.B) {
	ix, _ := fill(100_000, true)
	name := []byte(exactFilter(77))
	match := func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			var m Matches[uint64]
			for pb.Next() {
				m.Reset()
				ix.Match(name, &m)
			}
		})
	}
	b.Run("readers", match)
	b.Run("readers-and-wildcard-writer", func(b *testing.B) {
		var stop atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			for !stop.Load() {
				ix.Subscribe("storm/1/+", Subscription[uint64]{Key: 1})
				ix.Unsubscribe("storm/1/+", 1)
			}
		}()
		match(b)
		stop.Store(true)
		<-done
	})
}

// BenchmarkSubscribe adds filters to an index that grows to a million of them.
func BenchmarkSubscribe(b *testing.B) {
	filters := make([]string, million)
	for _, wild := range []bool{false, true} {
		for i := range filters {
			filters[i] = filterOf(i, wild)
		}
		b.Run(map[bool]string{false: "1M-filters/exact", true: "1M-filters/10%-wild"}[wild], func(b *testing.B) {
			b.ReportAllocs()
			ix, i := NewIndex[uint64](), 0
			for b.Loop() {
				if i == million {
					b.StopTimer()
					ix, i = NewIndex[uint64](), 0
					b.StartTimer()
				}
				ix.Subscribe(filters[i], Subscription[uint64]{Key: uint64(i)})
				i++
			}
		})
	}
}

// BenchmarkOneFilter is a filter that 100,000 clients have: one operation is to
// subscribe and unsubscribe one more, or to match them all.
func BenchmarkOneFilter(b *testing.B) {
	ix := NewIndex[uint64]()
	for i := range 100_000 {
		ix.Subscribe("news", Subscription[uint64]{Key: uint64(i)})
	}
	b.Run("100k-subscribers/change", func(b *testing.B) {
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			ix.Unsubscribe("news", i%100_000)
			ix.Subscribe("news", Subscription[uint64]{Key: i % 100_000})
		}
	})
	b.Run("100k-subscribers/match", func(b *testing.B) {
		b.ReportAllocs()
		var m Matches[uint64]
		for b.Loop() {
			m.Reset()
			ix.Match([]byte("news"), &m)
		}
	})
}

func BenchmarkPick(b *testing.B) {
	g := group(1, 2, 3, 4)
	b.ReportAllocs()
	for b.Loop() {
		g.Pick(all)
	}
}

func BenchmarkNames(b *testing.B) {
	const n = 100_000
	list := make([]string, n)
	for i := range list {
		list[i] = exactFilter(i * 7919 % n)
	}
	before := heap()
	var names Names[*int]
	for _, name := range list {
		names.Set(name, nil)
	}
	bytes := float64(heap()-before) / n
	for _, filter := range []string{"#", "+/+/sensor/temp", "site7/#", "+/dev000007/#", list[0]} {
		b.Run("100k/Match/"+strings.ReplaceAll(filter, "/", "|"), func(b *testing.B) {
			b.ReportAllocs()
			found := 0
			for b.Loop() {
				found = 0
				names.Match(filter, func(*int) bool { found++; return true })
			}
			b.ReportMetric(float64(found), "found")
			b.ReportMetric(bytes, "B/name")
		})
	}
	b.Run("100k/Set", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			names.Set(list[i%n], nil)
		}
	})
	b.Run("100k/SetDelete", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			names.Delete(list[i%n])
			names.Set(list[i%n], nil)
		}
	})
}

func BenchmarkValidName(b *testing.B) {
	name := []byte(exactFilter(77))
	b.ReportAllocs()
	for b.Loop() {
		if ValidName(name) != nil {
			b.Fatal("not valid")
		}
	}
}
