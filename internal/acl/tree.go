package acl

import (
	"bytes"
	"strings"

	"github.com/uniomq/unio/broker"
)

// A node is a place in a tree of filters, one level below its parent. A tree is built
// once and does not change.
//
// Every node of a tree is visited at most once for a name: the levels of the name lead to
// it in one way only. So a name costs no more than the tree has nodes, and in general a
// few look-ups for each of its levels. The depth of recursion is that of the filters,
// which the parser bounds by topic.MaxLevels.
type node struct {
	literal map[string]*node
	plus    *node
	marked  []branch // levels with %u or %c
	here    access   // of filters that end here
	below   access   // of filters that end with "/#" behind this level: they match it, too
}

// A branch leads to the node behind a level of a pattern.
type branch struct {
	level string
	parts []part
	next  *node
}

// add adds a rule's filter. Marks have a meaning in patterns only.
func (n *node) add(r Rule, pattern bool) {
	for level := range strings.SplitSeq(r.filter, "/") {
		switch level {
		case "#": // the last one
			n.below |= r.access
			return
		case "+":
			if n.plus == nil {
				n.plus = &node{}
			}
			n = n.plus
		default:
			n = n.child(level, pattern)
		}
	}
	n.here |= r.access
}

func (n *node) child(level string, pattern bool) *node {
	if parts, marks := split(level); pattern && marks {
		for _, b := range n.marked {
			if b.level == level {
				return b.next
			}
		}
		next := &node{}
		n.marked = append(n.marked, branch{level, parts, next})
		return next
	}
	next := n.literal[level]
	if next == nil {
		next = &node{}
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		n.literal[level] = next
	}
	return next
}

// A search collects what the rules of a tree say of one name.
type search struct {
	client *broker.Client
	name   []byte
	found  access
}

// match returns what the rules with matching filters say together. A nil tree is empty.
func (n *node) match(c *broker.Client, name []byte) access {
	if n == nil || len(name) == 0 {
		return 0
	}
	s := search{client: c, name: name}
	if name[0] == '$' {
		s.dollar(n)
	} else {
		s.visit(n, 0, read|write|deny)
	}
	return s.found
}

// dollar is visit for the first level of a name that begins with $. [MQTT-4.7.2-1]
// Wildcards do not match it; nor do %u and %c, by which a client could name itself $SYS.
func (s *search) dollar(n *node) {
	end := levelEnd(s.name, 0)
	if next := n.literal[string(s.name[:end])]; next != nil {
		s.visit(next, end+1, read|write|deny)
	}
	for i := range n.marked {
		if b := &n.marked[i]; !b.parts[0].mark {
			s.follow(b, 0, read|write|deny)
		}
	}
}

// visit collects from n on, whose level ended before pos. Only what mask has counts.
func (s *search) visit(n *node, pos int, mask access) {
	s.found |= n.below & mask
	if pos > len(s.name) {
		s.found |= n.here & mask
		return
	}
	if s.found&deny != 0 { // nothing can change that
		return
	}
	end := levelEnd(s.name, pos)
	if next := n.literal[string(s.name[pos:end])]; next != nil {
		s.visit(next, end+1, mask)
	}
	if n.plus != nil {
		s.visit(n.plus, end+1, mask)
	}
	for i := range n.marked {
		s.follow(&n.marked[i], pos, mask)
	}
}

// follow visits the node behind a level of a pattern, if that matches. A value with a
// slash must not act as levels of the filter: it can make a pattern deny, never grant.
func (s *search) follow(b *branch, pos int, mask access) {
	end, spans, ok := consume(b.parts, s.client, s.name, pos)
	if !ok {
		return
	}
	if spans {
		mask &= deny
	}
	s.visit(b.next, end+1, mask)
}

// levelEnd returns where the level that begins at pos ends.
func levelEnd(name []byte, pos int) int {
	if i := bytes.IndexByte(name[pos:], '/'); i >= 0 {
		return pos + i
	}
	return len(name)
}
