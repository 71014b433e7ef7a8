package topic

import (
	"bytes"
	"strings"
)

// A node is a level of the wildcard filters. The children for literal levels are a
// list, linked through next, while there are few of them, and a table afterwards;
// only one of kid and many is in use. '#' is always the last level, so it needs no
// node. A node other than the root is never empty.
type node[K comparable] struct {
	level string   // the level's text
	next  *node[K] // the next child of the same parent
	kid   *node[K]
	many  *table[string, *node[K]]
	plus  *node[K]  // the child for '+'
	here  *entry[K] // of the filter that ends at this level
	hash  *entry[K] // of the filter that ends with '#' below this level
}

// maxList is the length from which a list of children becomes a table; a table
// becomes a list again at half of it.
const maxList = 8

// A trie has the filters with wildcards.
type trie[K comparable] struct {
	root node[K]
	path []*node[K] // scratch memory of remove
}

// A frame is a node still to be visited, for the rest of the name from pos on.
type frame[K comparable] struct {
	n   *node[K]
	pos int // len(name)+1 when no level is left
}

// maxScratch is the number of elements above which scratch memory is not kept.
const maxScratch = 1024

// add reports whether the subscription is new.
func (t *trie[K]) add(to target, s Subscription[K]) bool {
	n := &t.root
	for rest, more := to.rest, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		switch {
		case level == "#" && !more:
			return addTo(&n.hash, to, s)
		case level == "+":
			if n.plus == nil {
				n.plus = &node[K]{level: level}
			}
			n = n.plus
		default:
			child := n.child(level)
			if child == nil {
				child = &node[K]{level: ownLevel(level, to.rest)}
				n.addChild(child)
			}
			n = child
		}
	}
	return addTo(&n.here, to, s)
}

func addTo[K comparable](e **entry[K], to target, s Subscription[K]) bool {
	if *e != nil {
		return (*e).add(to, s)
	}
	fresh := newEntry(to, s)
	*e = &fresh
	return true
}

// ownLevel returns level, a part of filter, in memory fit to outlive the filter:
// other filters may share the node, and must not keep 65 kB alive for three bytes.
func ownLevel(level, filter string) string {
	if len(filter) > 64+4*len(level) {
		return strings.Clone(level)
	}
	return level
}

// find returns what is subscribed to a filter, nil for nothing.
func (t *trie[K]) find(filter string) *entry[K] {
	n := &t.root
	for rest, more := filter, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		switch {
		case level == "#" && !more:
			return n.hash
		case level == "+":
			n = n.plus
		default:
			n = n.child(level)
		}
		if n == nil {
			return nil
		}
	}
	return n.here
}

// remove reports whether there was such a subscription. Nodes that have become
// empty are dropped.
func (t *trie[K]) remove(to target, key K) bool {
	path := append(t.path[:0], &t.root)
	defer func() {
		clear(path)
		if cap(path) <= maxScratch {
			t.path = path[:0]
		}
	}()
	n := &t.root
	end := &n.here
	for rest, more := to.rest, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		switch {
		case level == "#" && !more:
			end = &n.hash
			continue
		case level == "+":
			n = n.plus
		default:
			n = n.child(level)
		}
		if n == nil {
			return false
		}
		path = append(path, n)
		end = &n.here
	}
	if *end == nil {
		return false
	}
	removed, empty := (*end).remove(to, key)
	if empty {
		*end = nil
		prune(path)
	}
	return removed
}

// prune drops the empty nodes at the end of a path that begins at the root.
func prune[K comparable](path []*node[K]) {
	for i := len(path) - 1; i > 0 && path[i].empty(); i-- {
		parent := path[i-1]
		if parent.plus == path[i] {
			parent.plus = nil
		} else {
			parent.removeChild(path[i])
		}
	}
}

// match adds what is subscribed to filters that match name. The number of frames
// that wait is at most the number of levels.
func (t *trie[K]) match(name []byte, m *Matches[K]) {
	stack := m.stack[:0]
	n, pos := &t.root, 0
	hidden := len(name) > 0 && name[0] == '$' // [MQTT-4.7.2-1], at the root only
	for {
		if n.hash != nil && !hidden {
			n.hash.appendTo(m)
		}
		var child *node[K]
		if pos > len(name) {
			if n.here != nil {
				n.here.appendTo(m)
			}
		} else {
			end := len(name)
			if i := bytes.IndexByte(name[pos:], '/'); i >= 0 {
				end = pos + i
			}
			child = n.childBytes(name[pos:end])
			pos = end + 1
			if n.plus != nil && !hidden {
				if child == nil {
					child = n.plus
				} else {
					stack = append(stack, frame[K]{n.plus, pos})
				}
			}
		}
		hidden = false
		if child == nil {
			last := len(stack) - 1
			if last < 0 {
				break
			}
			child, pos = stack[last].n, stack[last].pos
			stack[last].n = nil // do not keep the node alive
			stack = stack[:last]
		}
		n = child
	}
	m.stack = stack
}

func (n *node[K]) empty() bool {
	return n.kid == nil && n.many == nil && n.plus == nil && n.here == nil && n.hash == nil
}

func (n *node[K]) child(level string) *node[K] {
	if n.many != nil {
		return n.many.m[level]
	}
	for k := n.kid; k != nil; k = k.next {
		if k.level == level {
			return k
		}
	}
	return nil
}

func (n *node[K]) childBytes(level []byte) *node[K] {
	if n.many != nil {
		return n.many.m[string(level)]
	}
	for k := n.kid; k != nil; k = k.next {
		if k.level == string(level) {
			return k
		}
	}
	return nil
}

func (n *node[K]) addChild(child *node[K]) {
	if n.many != nil {
		n.many.set(child.level, child)
		return
	}
	count := 0
	for k := n.kid; k != nil; k = k.next {
		count++
	}
	child.next, n.kid = n.kid, child
	if count < maxList {
		return
	}
	n.many = &table[string, *node[K]]{}
	for k := n.kid; k != nil; {
		next := k.next
		k.next = nil
		n.many.set(k.level, k)
		k = next
	}
	n.kid = nil
}

func (n *node[K]) removeChild(child *node[K]) {
	if n.many == nil {
		for at := &n.kid; *at != nil; at = &(*at).next {
			if *at == child {
				*at = child.next
				return
			}
		}
		return
	}
	n.many.remove(child.level)
	if len(n.many.m) <= maxList/2 {
		for _, k := range n.many.m {
			k.next, n.kid = n.kid, k
		}
		n.many = nil
	}
}

// walk calls fn for each entry, with its filter. Path is the text of the levels down
// to the node in hand; since a node's children are visited before its siblings,
// each needs to know no more than how long the text of its parent was.
func (t *trie[K]) walk(fn func(filter string, e *entry[K])) {
	var path []byte
	stack := []frame[K]{{&t.root, 0}}
	for len(stack) > 0 {
		last := len(stack) - 1
		n := stack[last].n
		path = path[:stack[last].pos]
		stack = stack[:last]
		if n != &t.root {
			path = append(append(path, n.level...), '/')
		}
		if n.here != nil {
			fn(string(path[:len(path)-1]), n.here)
		}
		if n.hash != nil {
			fn(string(path)+"#", n.hash)
		}
		if n.plus != nil {
			stack = append(stack, frame[K]{n.plus, len(path)})
		}
		for k := n.kid; k != nil; k = k.next {
			stack = append(stack, frame[K]{k, len(path)})
		}
		if n.many != nil {
			for _, k := range n.many.m {
				stack = append(stack, frame[K]{k, len(path)})
			}
		}
	}
}
