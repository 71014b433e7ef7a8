package broker

import (
	"container/heap"
	"sync"
	"time"
)

// timers wakes sessions that have something due while they are offline: their expiry or a delayed will.
type timers struct {
	mu   sync.Mutex
	heap timerHeap
	kick chan struct{} // the earliest time has changed
}

// timer is a subscriber's place among the timers; timers.mu guards it.
type timer struct {
	at    time.Time
	index int // in the heap, from 1; 0: not in it
}

func (t *timers) init() { t.kick = make(chan struct{}, 1) }

// set makes sub, whose client is away, due at the time, or never if it is zero.
func (t *timers) set(sub *subscriber, at time.Time) {
	if sub.away == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := sub.away.index; i > 0 {
		heap.Remove(&t.heap, i-1)
	}
	if at.IsZero() {
		return
	}
	sub.away.at = at
	heap.Push(&t.heap, sub)
	if sub.away.index == 1 {
		select {
		case t.kick <- struct{}{}:
		default:
		}
	}
}

// next removes and returns a session that is due, or says how long it is until one will be.
func (t *timers) next(now time.Time) (*subscriber, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.heap) == 0 {
		return nil, time.Hour
	}
	if wait := t.heap[0].away.at.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&t.heap).(*subscriber), 0
}

func (b *Broker) runTimers() {
	defer b.wg.Done()
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		sub, wait := b.timers.next(time.Now())
		if sub != nil {
			b.expire(sub)
			continue
		}
		t.Reset(wait)
		select {
		case <-t.C:
		case <-b.timers.kick:
		case <-b.ctx.Done():
			return
		}
	}
}

// timerHeap implements heap.Interface.
type timerHeap []*subscriber

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].away.at.Before(h[j].away.at) }

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].away.index, h[j].away.index = i+1, j+1
}

// Push is for heap.Push only.
func (h *timerHeap) Push(x any) {
	sub := x.(*subscriber)
	*h = append(*h, sub)
	sub.away.index = len(*h)
}

// Pop is for heap.Pop and heap.Remove only.
func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	sub := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	sub.away.index = 0
	return sub
}
