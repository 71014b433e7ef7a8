// Package budget bounds what each of many strangers causes, and what all of them do together: lines
// of a log, events of an audit log.
package budget

import (
	"sync"
	"time"
)

// Budget lets each key spend so much in a period, and all keys so much together. It may be used by
// many goroutines, and keeps at most All keys.
type Budget[K comparable] struct {
	Each, All int
	Period    time.Duration

	mu    sync.Mutex // guards what follows
	since time.Time  // the beginning of the period
	spent map[K]int
	sum   int
	left  int // what was refused since something was allowed
}

// Take reports whether key may spend one more, and how many were refused since the last time that
// anybody might.
func (b *Budget[K]) Take(now time.Time, key K) (ok bool, refused int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent == nil || now.Sub(b.since) >= b.Period {
		b.since, b.spent, b.sum = now, map[K]int{}, 0
	}
	if b.sum >= b.All || b.spent[key] >= b.Each {
		b.left++
		return false, 0
	}
	b.sum++
	b.spent[key]++
	refused, b.left = b.left, 0
	return true, refused
}

// Refuse counts something that was not asked for, so that the next Take tells of it.
func (b *Budget[K]) Refuse(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
}
