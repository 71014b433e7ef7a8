package topic

import "sync"

// A Group is one shared subscription: the members of one share name on one filter
// [MQTT 5.0, 4.8.2]. It stays usable after its last member has left; then Pick
// finds nobody.
type Group[K comparable] struct {
	name   string
	filter string
	shared string // "$share/" name "/" filter

	mu   sync.Mutex
	ring *member[K] // whose turn it is; nil when the group is empty
	n    int
	by   table[K, *member[K]] // empty until there are more than indexFrom
}

// A member stands in a ring, in the order in which the members joined.
type member[K comparable] struct {
	sub        Subscription[K]
	prev, next *member[K]
}

// Name returns the share name.
func (g *Group[K]) Name() string { return g.name }

// Filter returns the topic filter, without "$share/" and the share name.
func (g *Group[K]) Filter() string { return g.filter }

// Shared returns the whole shared subscription: "$share/", the share name, "/" and the filter.
func (g *Group[K]) Shared() string { return g.shared }

// Len returns the number of members.
func (g *Group[K]) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// Pick chooses the member that receives the next message: in strict turn, the
// first for which ok answers true. It asks about each member at most once, and
// returns false if ok accepts none.
//
// No lock is held while ok runs: it may take its time and use the group and the
// index. When members come and go, or other goroutines pick, at the same time,
// then one may be asked out of turn, or not at all.
func (g *Group[K]) Pick(ok func(Subscription[K]) bool) (Subscription[K], bool) {
	g.mu.Lock()
	m, left := g.ring, g.n
	for left > 0 && m != nil {
		// The turn passes on before ok is asked, so that a second Pick asks the next.
		// If other goroutines have moved it meanwhile, it is theirs.
		if g.ring == m {
			g.ring = m.next
		}
		g.mu.Unlock()
		if ok(m.sub) {
			return m.sub, true
		}
		g.mu.Lock()
		left--
		if m.next != nil {
			m = m.next
		} else { // m has left the group meanwhile.
			m = g.ring
		}
	}
	g.mu.Unlock()
	return Subscription[K]{}, false
}

func (g *Group[K]) find(key K) *member[K] {
	if g.by.m != nil {
		return g.by.m[key]
	}
	m := g.ring
	for range g.n {
		if m.sub.Key == key {
			return m
		}
		m = m.next
	}
	return nil
}

// get returns the subscription of a member.
func (g *Group[K]) get(key K) (s Subscription[K], ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m := g.find(key); m != nil {
		return m.sub, true
	}
	return s, false
}

// join reports whether the member is new; else it replaced one, in its place.
func (g *Group[K]) join(s Subscription[K]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := &member[K]{sub: s}
	if old := g.find(s.Key); old != nil {
		// A Pick may be reading old without the lock: members are never written to.
		g.replace(old, m)
		return false
	}
	if g.ring == nil {
		m.prev, m.next = m, m
		g.ring = m
	} else { // The newest member is the last whose turn comes.
		m.prev, m.next = g.ring.prev, g.ring
		m.prev.next, m.next.prev = m, m
	}
	g.n++
	switch {
	case g.by.m != nil:
		g.by.set(s.Key, m)
	case g.n > indexFrom:
		for x, left := m, g.n; left > 0; x, left = x.next, left-1 {
			g.by.set(x.sub.Key, x)
		}
	}
	return true
}

// replace puts m into the place of old.
func (g *Group[K]) replace(old, m *member[K]) {
	if old.next == old {
		m.prev, m.next = m, m
	} else {
		m.prev, m.next = old.prev, old.next
		m.prev.next, m.next.prev = m, m
	}
	if g.ring == old {
		g.ring = m
	}
	if g.by.m != nil {
		g.by.set(m.sub.Key, m)
	}
	old.prev, old.next = nil, nil
}

func (g *Group[K]) leave(key K) (removed, empty bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.find(key)
	if m == nil {
		return false, g.n == 0
	}
	m.prev.next, m.next.prev = m.next, m.prev
	if g.ring == m {
		g.ring = m.next
	}
	m.prev, m.next = nil, nil // also how Pick sees that m is gone
	g.n--
	if g.n == 0 {
		g.ring = nil
	}
	if g.by.m != nil {
		g.by.remove(key)
		if g.n <= indexFrom/2 {
			g.by = table[K, *member[K]]{}
		}
	}
	return true, g.n == 0
}

// members returns a copy of the members, beginning with the one whose turn it is.
func (g *Group[K]) members() []Subscription[K] {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]Subscription[K], 0, g.n)
	for m := g.ring; len(list) < g.n; m = m.next {
		list = append(list, m.sub)
	}
	return list
}
