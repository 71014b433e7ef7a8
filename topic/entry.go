package topic

import (
	"slices"
	"strings"
)

// A Subscription is one subscriber of a filter.
type Subscription[K comparable] struct {
	Key     K      // who subscribed; unique within a filter, and within a group on a filter
	ID      uint32 // v5.0 subscription identifier, 0 if there is none
	Options byte   // the subscription options as in SUBSCRIBE
}

// An entry is what is subscribed to one filter. It is never empty: either many is
// nil and one is the only subscription, or many has everything and one is unused.
// Nearly all filters of a large broker have one subscriber, so it costs nothing more.
type entry[K comparable] struct {
	one  Subscription[K]
	many *set[K]
}

// A set is the form of an entry with several subscriptions or with groups.
type set[K comparable] struct {
	subs   []Subscription[K]
	at     table[K, int32] // positions in subs; empty until there are more than indexFrom
	groups []*Group[K]     // ordered by name
}

// indexFrom is the number of subscribers, or of members of a group, above which
// one is found by a map and not by looking at each.
const indexFrom = 32

// A target is a filter taken apart.
type target struct {
	whole  string
	group  string // "" if the subscription is not shared
	rest   string
	shared bool
}

func splitTarget(filter string) target {
	group, rest, shared := SplitShare(filter)
	return target{filter, group, rest, shared}
}

func newEntry[K comparable](t target, s Subscription[K]) entry[K] {
	if !t.shared {
		return entry[K]{one: s}
	}
	many := &set[K]{}
	many.join(t, s)
	return entry[K]{many: many}
}

// add reports whether the subscription is new; else it replaced one.
func (e *entry[K]) add(t target, s Subscription[K]) bool {
	if e.many == nil {
		if !t.shared && e.one.Key == s.Key {
			e.one = s
			return false
		}
		e.many = &set[K]{subs: []Subscription[K]{e.one}}
		e.one = Subscription[K]{}
	}
	if t.shared {
		return e.many.join(t, s)
	}
	return e.many.add(s)
}

// remove reports whether there was such a subscription, and whether it was the
// last one: then the entry must be dropped.
func (e *entry[K]) remove(t target, key K) (removed, empty bool) {
	m := e.many
	switch {
	case m == nil:
		removed = !t.shared && e.one.Key == key
		return removed, removed
	case t.shared:
		removed = m.leave(t.group, key)
	default:
		removed = m.remove(key)
	}
	if len(m.groups) == 0 {
		switch len(m.subs) {
		case 0:
			return removed, true
		case 1:
			*e = entry[K]{one: m.subs[0]}
		}
	}
	return removed, false
}

// get returns the subscription of a key.
func (e *entry[K]) get(t target, key K) (s Subscription[K], ok bool) {
	m := e.many
	switch {
	case m == nil:
		if t.shared || e.one.Key != key {
			return s, false
		}
		return e.one, true
	case t.shared:
		if i, found := m.group(t.group); found {
			return m.groups[i].get(key)
		}
		return s, false
	}
	if i := m.find(key); i >= 0 {
		return m.subs[i], true
	}
	return s, false
}

// group returns the group of a shared subscription, nil if there is none.
func (e *entry[K]) group(t target) *Group[K] {
	if e.many == nil {
		return nil
	}
	if i, ok := e.many.group(t.group); ok {
		return e.many.groups[i]
	}
	return nil
}

// appendTo adds what is subscribed to m.
func (e *entry[K]) appendTo(m *Matches[K]) {
	if e.many == nil {
		m.Subs = append(m.Subs, e.one)
		m.Filters++
		return
	}
	m.Subs = append(m.Subs, e.many.subs...)
	m.Filters++
	m.Groups = append(m.Groups, e.many.groups...)
}

func (s *set[K]) find(key K) int {
	if s.at.m != nil {
		if i, ok := s.at.m[key]; ok {
			return int(i)
		}
		return -1
	}
	return slices.IndexFunc(s.subs, func(x Subscription[K]) bool { return x.Key == key })
}

func (s *set[K]) add(sub Subscription[K]) bool {
	if i := s.find(sub.Key); i >= 0 {
		s.subs[i] = sub
		return false
	}
	s.subs = append(s.subs, sub)
	switch {
	case s.at.m != nil:
		s.at.set(sub.Key, int32(len(s.subs)-1))
	case len(s.subs) > indexFrom:
		for i := range s.subs {
			s.at.set(s.subs[i].Key, int32(i))
		}
	}
	return true
}

func (s *set[K]) remove(key K) bool {
	i := s.find(key)
	if i < 0 {
		return false
	}
	last := len(s.subs) - 1
	if i != last {
		s.subs[i] = s.subs[last]
		if s.at.m != nil {
			s.at.set(s.subs[i].Key, int32(i))
		}
	}
	s.subs[last] = Subscription[K]{} // do not keep the key alive
	s.subs = s.subs[:last]
	if s.at.m != nil {
		s.at.remove(key)
		if last <= indexFrom/2 {
			s.at = table[K, int32]{}
		}
	}
	if cap(s.subs) >= minShrink && last < cap(s.subs)/4 {
		s.subs = slices.Clone(s.subs)
	}
	return true
}

func (s *set[K]) group(name string) (int, bool) {
	return slices.BinarySearchFunc(s.groups, name, func(g *Group[K], name string) int {
		return strings.Compare(g.name, name)
	})
}

func (s *set[K]) join(t target, sub Subscription[K]) bool {
	i, ok := s.group(t.group)
	if !ok {
		s.groups = slices.Insert(s.groups, i, &Group[K]{name: t.group, filter: t.rest, shared: t.whole})
	}
	return s.groups[i].join(sub)
}

func (s *set[K]) leave(group string, key K) bool {
	i, ok := s.group(group)
	if !ok {
		return false
	}
	removed, empty := s.groups[i].leave(key)
	if empty {
		s.groups = slices.Delete(s.groups, i, i+1)
	}
	return removed
}
