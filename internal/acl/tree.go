package acl

import (
	"bytes"
	"math"

	"github.com/uniomq/unio/broker"
)

// A node is a place in a tree of filters, one level below its parent. A tree is built
// once and does not change. The numbers in it are places of rules in the order in which they decide.
//
// Every node of a tree is visited at most once for a name: the levels of the name lead to
// it in one way only, but for a value with slashes. So a name costs no more than the tree has nodes, and in general a
// few look-ups for each of its levels. The depth of recursion is that of the filters,
// which the parsers bound by topic.MaxLevels.
type node struct {
	literal map[string]*node
	plus    *node
	marked  []branch // levels with placeholders
	here    []int32  // of filters that end here, ascending
	below   []int32  // of filters that end with "/#" behind this level: they match it, too
	least   int32    // of this node and all below it
}

// A branch leads to the node behind a level with placeholders.
type branch struct {
	level string
	parts []part
	next  *node
}

func newNode(least int32) *node { return &node{least: least} }

// add adds a filter of the rule at a place. Places come in ascending order.
func (n *node) add(f *Filter, place int32) {
	for i := range f.levels {
		l := &f.levels[i]
		switch {
		case l.rest: // the last one
			n.below = append(n.below, place)
			return
		case l.single:
			if n.plus == nil {
				n.plus = newNode(place)
			}
			n = n.plus
		default:
			n = n.child(l, place)
		}
	}
	n.here = append(n.here, place)
}

func (n *node) child(l *level, place int32) *node {
	if l.parts != nil {
		for _, b := range n.marked {
			if b.level == l.text {
				return b.next
			}
		}
		next := newNode(place)
		n.marked = append(n.marked, branch{l.text, l.parts, next})
		return next
	}
	next := n.literal[l.text]
	if next == nil {
		next = newNode(place)
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		n.literal[l.text] = next
	}
	return next
}

// only says which rules may be found below a branch.
type only uint8

const (
	grants  only = 1 << iota // a value was not known, and may have been any
	denials                  // a value with slashes acted as several levels
)

// nothing is a place behind all rules.
const nothing = math.MaxInt32

// A search finds the first rule of a tree that matches one question.
type search struct {
	rules []*Rule
	facts *facts
	q     *broker.Access
	name  []byte
	best  int32 // its place so far
	blind bool  // look at the topic alone
}

// run searches from the root of a tree.
func (s *search) run(n *node) {
	if n == nil || len(s.name) == 0 {
		return
	}
	switch {
	case s.q.Spelled > 0:
		s.spelled(n, 0, s.q.Spelled)
	case s.name[0] == '$':
		s.dollar(n)
	default:
		s.visit(n, 0, grants|denials)
	}
}

// spelled is visit for the first levels of a name that a rule has to spell out to grant anything:
// what wildcards and placeholders match there can deny alone. left is how many such levels there
// are from pos on.
func (s *search) spelled(n *node, pos int, left uint8) {
	if left == 0 || pos > len(s.name) {
		s.visit(n, pos, grants|denials)
		return
	}
	s.try(n.below, denials)
	end := levelEnd(s.name, pos)
	if next := n.literal[string(s.name[pos:end])]; next != nil {
		s.spelled(next, end+1, left-1)
	}
	if n.plus != nil {
		s.visit(n.plus, end+1, denials)
	}
	for i := range n.marked {
		b := &n.marked[i]
		s.follow(b, b.parts, pos, denials)
	}
}

// dollar is visit for the first level of a name that begins with $. [MQTT-4.7.2-1]
// Wildcards do not match it; nor do placeholders, by which a client could name itself $SYS.
func (s *search) dollar(n *node) {
	end := levelEnd(s.name, 0)
	if next := n.literal[string(s.name[:end])]; next != nil {
		s.visit(next, end+1, grants|denials)
	}
	for i := range n.marked {
		if b := &n.marked[i]; b.parts[0].ph.kind == 0 {
			s.follow(b, b.parts, 0, grants|denials)
		}
	}
}

// visit goes on at n, whose level ended before pos. Only rules of the kinds in o count.
func (s *search) visit(n *node, pos int, o only) {
	if n.least >= s.best {
		return
	}
	s.try(n.below, o)
	if pos > len(s.name) {
		s.try(n.here, o)
		return
	}
	end := levelEnd(s.name, pos)
	if next := n.literal[string(s.name[pos:end])]; next != nil {
		s.visit(next, end+1, o)
	}
	if n.plus != nil {
		s.visit(n.plus, end+1, o)
	}
	for i := range n.marked {
		b := &n.marked[i]
		s.follow(b, b.parts, pos, o)
	}
}

// try takes the first rule of some whose filters match, if it comes before the best one and its conditions hold.
func (s *search) try(places []int32, o only) {
	for _, place := range places {
		if place >= s.best {
			return
		}
		r := s.rules[place]
		if o != grants|denials && (o == 0 || r.Allow != (o == grants)) {
			continue
		}
		if s.blind || r.decides(s.facts, s.q) {
			s.best = place
			return
		}
	}
}

// follow visits the node behind a level with placeholders, if what is left of its parts matches from pos on. A value with a
// slash must not act as levels of the filter: it can make a rule deny, never grant.
func (s *search) follow(b *branch, parts []part, pos int, o only) {
	if len(parts) == 0 {
		if pos == len(s.name) || s.name[pos] == '/' {
			s.visit(b.next, pos+1, o)
		}
		return
	}
	p := &parts[0]
	if p.ph.kind == 0 {
		if pos = after(s.name, pos, p.text); pos >= 0 {
			s.follow(b, parts[1:], pos, o)
		}
		return
	}
	one, several, known := s.facts.values(&p.ph)
	if !known {
		s.visit(b.next, levelEnd(s.name, pos)+1, o&grants)
		return
	}
	if one != "" {
		s.followValue(b, parts[1:], one, pos, o)
	}
	for _, v := range several {
		if v != "" {
			s.followValue(b, parts[1:], v, pos, o)
		}
	}
}

func (s *search) followValue(b *branch, rest []part, value string, pos int, o only) {
	pos = after(s.name, pos, value)
	if pos < 0 {
		return
	}
	for i := range len(value) {
		if value[i] == '/' {
			o &= denials
			break
		}
	}
	s.follow(b, rest, pos, o)
}

// after returns the place behind text, if name has it at pos, or -1.
func after(name []byte, pos int, text string) int {
	if len(name)-pos < len(text) || string(name[pos:pos+len(text)]) != text {
		return -1
	}
	return pos + len(text)
}

// levelEnd returns where the level that begins at pos ends.
func levelEnd(name []byte, pos int) int {
	if i := bytes.IndexByte(name[pos:], '/'); i >= 0 {
		return pos + i
	}
	return len(name)
}
