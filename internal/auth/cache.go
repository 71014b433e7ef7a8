package auth

import (
	"container/list"
	"sync"
	"time"
)

// cache remembers answers for a time, at most so many. The one that was not asked for the longest goes first.
type cache struct {
	size int
	age  time.Duration

	mu      sync.Mutex // guards what follows
	entries map[[32]byte]*list.Element
	order   list.List // of *cacheEntry, the newest first
}

type cacheEntry struct {
	key    [32]byte
	answer Answer
	until  time.Time
}

func newCache(size int, age time.Duration) *cache {
	return &cache{size: size, age: age, entries: map[[32]byte]*list.Element{}}
}

func (c *cache) get(key [32]byte, now time.Time) (Answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		return Answer{}, false
	}
	entry := e.Value.(*cacheEntry)
	if !now.Before(entry.until) {
		c.remove(e)
		return Answer{}, false
	}
	c.order.MoveToFront(e)
	return entry.answer, true
}

func (c *cache) put(key [32]byte, a Answer, now time.Time) {
	if c.size <= 0 || c.age <= 0 {
		return
	}
	until := now.Add(c.age)
	if !a.Expires.IsZero() && a.Expires.Before(until) {
		until = a.Expires
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil {
		c.remove(e)
	}
	if len(c.entries) >= c.size {
		c.remove(c.order.Back())
	}
	c.entries[key] = c.order.PushFront(&cacheEntry{key, a, until})
}

func (c *cache) remove(e *list.Element) {
	c.order.Remove(e)
	delete(c.entries, e.Value.(*cacheEntry).key)
}
