// Package budget bounds what each of many strangers causes, and what all of them do together: lines
// of a log, events of an audit log.
package budget

import (
	"hash/maphash"
	"sync"
	"time"
)

// Budget lets each key spend so much in a period, and all keys so much together. It may be used by
// many goroutines. It keeps at most All keys, as hashes: a stranger chooses how long a text in a key is.
type Budget[K comparable] struct {
	Each, All int
	Period    time.Duration

	mu    sync.Mutex // guards what follows
	since time.Time  // the beginning of the period
	seed  maphash.Seed
	spent map[uint64]int // by the hash of a key
	sum   int
	left  int // what was refused since something was allowed
}

// Take reports whether key may spend one more, and how many were refused since the last time that
// anybody might.
func (b *Budget[K]) Take(now time.Time, key K) (ok bool, refused int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent == nil || now.Sub(b.since) >= b.Period {
		b.since, b.seed, b.spent, b.sum = now, maphash.MakeSeed(), map[uint64]int{}, 0
	}
	hash := maphash.Comparable(b.seed, key)
	if b.sum >= b.All || b.spent[hash] >= b.Each {
		b.left++
		return false, 0
	}
	b.sum++
	b.spent[hash]++
	refused, b.left = b.left, 0
	return true, refused
}

// Refuse counts something that was not asked for, so that the next Take tells of it.
func (b *Budget[K]) Refuse(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
}
