package topic

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// An Index has the subscriptions of all clients and finds those of a topic name.
// Use NewIndex to make one.
//
// Filters without wildcards, by far the most, are in hash maps, spread over shards
// with a lock each; a name costs one look-up there. Filters with wildcards are in
// one trie under one lock, which nobody takes while there are none of them.
// A lock is held only for a look-up or a change, never for a callback.
type Index[K comparable] struct {
	seed   maphash.Seed
	exact  [shards]shard[K]
	n      atomic.Int64 // subscriptions
	nWild  atomic.Int64 // those of them in wild
	wildMu sync.RWMutex
	wild   trie[K] // guarded by wildMu
}

const shards = 64

type shard[K comparable] struct {
	mu      sync.RWMutex
	filters table[string, entry[K]]
	_       [24]byte // a cache line of its own
}

// Matches is the answer of Match; the caller reuses it from call to call. A client
// that subscribed to several matching filters is in it once for each.
type Matches[K comparable] struct {
	Subs   []Subscription[K]
	Groups []*Group[K] // one member of each, by Group.Pick, gets the message
	// Filters is how many different filters Subs come from; within those of one filter each Key is there once.
	Filters int

	stack []frame[K]
}

// Reset empties m and keeps its memory, but nothing that the memory refers to.
func (m *Matches[K]) Reset() {
	clear(m.Subs)
	clear(m.Groups)
	m.Subs, m.Groups, m.Filters = m.Subs[:0], m.Groups[:0], 0
	if cap(m.stack) > maxScratch {
		m.stack = nil
	}
}

// NewIndex returns an empty index.
func NewIndex[K comparable]() *Index[K] {
	return &Index[K]{seed: maphash.MakeSeed()}
}

// Subscribe adds a subscription and reports whether it is new. A subscription with
// the same key on the same filter is replaced [MQTT-3.8.4-3]. A filter of the form
// "$share/group/rest" makes it a member of that group, apart from what the key has
// subscribed to rest itself. The index keeps the filter's memory.
func (ix *Index[K]) Subscribe(filter string, s Subscription[K]) (added bool) {
	to := splitTarget(filter)
	if hasWildcard(to.rest) {
		ix.wildMu.Lock()
		if added = ix.wild.add(to, s); added {
			ix.nWild.Add(1)
		}
		ix.wildMu.Unlock()
	} else {
		sh := &ix.exact[maphash.String(ix.seed, to.rest)%shards]
		sh.mu.Lock()
		added = sh.add(to, s)
		sh.mu.Unlock()
	}
	if added {
		ix.n.Add(1)
	}
	return added
}

// Unsubscribe removes a subscription and reports whether there was one.
func (ix *Index[K]) Unsubscribe(filter string, key K) (removed bool) {
	to := splitTarget(filter)
	if hasWildcard(to.rest) {
		ix.wildMu.Lock()
		if removed = ix.wild.remove(to, key); removed {
			ix.nWild.Add(-1)
		}
		ix.wildMu.Unlock()
	} else {
		sh := &ix.exact[maphash.String(ix.seed, to.rest)%shards]
		sh.mu.Lock()
		removed = sh.remove(to, key)
		sh.mu.Unlock()
	}
	if removed {
		ix.n.Add(-1)
	}
	return removed
}

// Get returns the subscription of a key to a filter, if there is one.
func (ix *Index[K]) Get(filter string, key K) (s Subscription[K], ok bool) {
	to := splitTarget(filter)
	if hasWildcard(to.rest) {
		ix.wildMu.RLock()
		defer ix.wildMu.RUnlock()
		if e := ix.wild.find(to.rest); e != nil {
			return e.get(to, key)
		}
		return s, false
	}
	sh := &ix.exact[maphash.String(ix.seed, to.rest)%shards]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if e, found := sh.filters.m[to.rest]; found {
		return e.get(to, key)
	}
	return s, false
}

// Group returns the group of a shared subscription, nil if it has no member.
func (ix *Index[K]) Group(shared string) *Group[K] {
	to := splitTarget(shared)
	if !to.shared {
		return nil
	}
	if hasWildcard(to.rest) {
		ix.wildMu.RLock()
		defer ix.wildMu.RUnlock()
		if e := ix.wild.find(to.rest); e != nil {
			return e.group(to)
		}
		return nil
	}
	sh := &ix.exact[maphash.String(ix.seed, to.rest)%shards]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if e, found := sh.filters.m[to.rest]; found {
		return e.group(to)
	}
	return nil
}

// Match appends the subscriptions and the groups of all filters that match name to
// m, in no particular order. It allocates only to enlarge m. It does not keep name.
func (ix *Index[K]) Match(name []byte, m *Matches[K]) {
	sh := &ix.exact[maphash.Bytes(ix.seed, name)%shards]
	sh.mu.RLock()
	if e, ok := sh.filters.m[string(name)]; ok {
		e.appendTo(m)
	}
	sh.mu.RUnlock()
	if ix.nWild.Load() == 0 {
		return
	}
	ix.wildMu.RLock()
	ix.wild.match(name, m)
	ix.wildMu.RUnlock()
}

// Len returns the number of subscriptions, members of groups among them.
func (ix *Index[K]) Len() int { return int(ix.n.Load()) }

// Walk calls fn for each subscription, with its filter as it was subscribed, until
// fn returns false; the order is free. Fn may use the index. Subscriptions that are
// added or removed during the walk may or may not be seen.
func (ix *Index[K]) Walk(fn func(filter string, s Subscription[K]) bool) {
	var found []visit[K]
	collect := func(filter string, e *entry[K]) { found = e.visits(found, filter) }
	for i := range ix.exact {
		sh := &ix.exact[i]
		sh.mu.RLock()
		for filter, e := range sh.filters.m {
			collect(filter, &e)
		}
		sh.mu.RUnlock()
		for _, v := range found {
			if !fn(v.filter, v.sub) {
				return
			}
		}
		found = found[:0]
	}
	ix.wildMu.RLock()
	ix.wild.walk(collect)
	ix.wildMu.RUnlock()
	for _, v := range found {
		if !fn(v.filter, v.sub) {
			return
		}
	}
}

// A visit is a call of Walk's callback to come.
type visit[K comparable] struct {
	filter string
	sub    Subscription[K]
}

func (e *entry[K]) visits(dst []visit[K], filter string) []visit[K] {
	if e.many == nil {
		return append(dst, visit[K]{filter, e.one})
	}
	for _, s := range e.many.subs {
		dst = append(dst, visit[K]{filter, s})
	}
	for _, g := range e.many.groups {
		shared := sharePrefix + g.name + "/" + filter
		for _, s := range g.members() {
			dst = append(dst, visit[K]{shared, s})
		}
	}
	return dst
}

func (sh *shard[K]) add(to target, s Subscription[K]) bool {
	e, ok := sh.filters.m[to.rest]
	if !ok {
		sh.filters.set(to.rest, newEntry(to, s))
		return true
	}
	added := e.add(to, s)
	sh.filters.m[to.rest] = e
	return added
}

func (sh *shard[K]) remove(to target, key K) bool {
	e, ok := sh.filters.m[to.rest]
	if !ok {
		return false
	}
	removed, empty := e.remove(to, key)
	if empty {
		sh.filters.remove(to.rest)
	} else {
		sh.filters.m[to.rest] = e
	}
	return removed
}
