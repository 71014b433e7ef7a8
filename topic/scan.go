package topic

import "strings"

// Match calls fn with the value of each name that filter matches, until fn returns
// false. Names come in order of their levels, so parents before children. Filter
// must not be a shared subscription: those get no retained messages [MQTT 5.0, 4.8.2].
//
// No lock is held while fn runs: it may take its time and use t. What is set or
// deleted in the meantime may or may not be seen; no name is seen twice.
func (t *Names[V]) Match(filter string, fn func(v V) bool) {
	if !hasWildcard(filter) {
		if v, ok := t.Get(filter); ok {
			fn(v)
		}
		return
	}
	c := NewCursor(filter)
	found := make([]V, 0, maxFound)
	for more := true; more; {
		steps := maxSteps
		found, more = t.Next(&c, found[:0], &steps)
		for _, v := range found {
			if !fn(v) {
				return
			}
		}
	}
}

// A Cursor finds the names that a filter matches, some at a time. It holds nothing of what it is
// used with: names may be set and deleted meanwhile, which may or may not be seen. No name is found twice.
type Cursor struct {
	scan
	ended bool
}

// NewCursor returns a cursor before the first name. Filter must not be a shared subscription.
func NewCursor(filter string) Cursor { return Cursor{scan: newScan(filter)} }

// Back goes back to a name that was found: it is the next to be found.
func (c *Cursor) Back(name string) { c.from, c.ended = append(c.from[:0], name...), false }

// A scan finds the names that match a filter in the ordered list of names, and skips
// whole subtrees that cannot match. Each step looks at one name and goes to a later
// one, so that there are never more steps than names.
type scan struct {
	filter string
	from   []byte // where to go on
}

// How long Match may hold the lock: names found, and names looked at.
const (
	maxFound = 256
	maxSteps = 4096
)

func newScan(filter string) scan {
	first := filter // without wildcards
	if i := strings.IndexAny(filter, "+#"); i >= 0 {
		first = filter[:max(i-1, 0)] // the first name that can match is the part before the first wildcard level
	}
	return scan{filter: filter, from: []byte(first)}
}

// Next appends the values of the next matches to dst, as far as it has room, and reports whether
// there may be more. It looks at *steps names at most, takes those that it has looked at from
// there, and holds the lock meanwhile.
func (t *Names[V]) Next(c *Cursor, dst []V, steps *int) (_ []V, more bool) {
	if c.ended {
		return dst, false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	dst = t.find(c, dst, steps)
	return dst, !c.ended
}

func (t *Names[V]) find(c *Cursor, dst []V, steps *int) []V {
	at, _ := search(t, c.from)
	for ; ; *steps-- {
		var more bool
		if at, more = t.settle(at); !more {
			break
		}
		it := &t.blocks[at.block].items[at.item]
		if *steps <= 0 || len(dst) == cap(dst) {
			c.from = append(c.from[:0], it.name...)
			return dst
		}
		switch c.examine(it.name) {
		case matches:
			dst = append(dst, it.value)
			at.item++
		case above:
			at.item++
		case misses:
			at = t.seek(at, c.from)
		case beyond:
			c.ended = true
			return dst
		}
	}
	c.ended = true
	return dst
}

// settle moves a place one past the end of a block to the next block, and reports
// whether there is a name.
func (t *Names[V]) settle(at place) (place, bool) {
	if at.block < len(t.blocks) && at.item == len(t.blocks[at.block].items) {
		at = place{at.block + 1, 0}
	}
	return at, at.block < len(t.blocks)
}

// seek finds the first name, after the one at a place, that is not less than key.
func (t *Names[V]) seek(at place, key []byte) place {
	items := t.blocks[at.block].items
	if compare(items[len(items)-1].name, key) < 0 {
		at, _ = search(t, key)
		return at
	}
	// Most subtrees are small: look near by first, then farther and farther away.
	lo, step := at.item+1, 1
	for lo+step < len(items) && compare(items[lo+step].name, key) < 0 {
		lo += step + 1
		step *= 2
	}
	hi := min(lo+step+1, len(items))
	return place{at.block, lo + searchItems(items[lo:hi], key)}
}

// The verdicts of examine.
type verdict int

const (
	matches verdict = iota
	above           // the name does not match, but some below it can
	misses          // no name before scan.from matches
	beyond          // no later name matches
)

// examine compares a name with the filter, level by level. For a miss it sets from.
func (s *scan) examine(name string) verdict {
	if hides(s.filter, name) {
		s.from = append(s.from[:0], '$'+1) // behind all that start with $
		return misses
	}
	filter, pos, plus := s.filter, 0, -1 // plus: the end of the level that the last + stands for
	for filter != "#" {
		level, rest, more := strings.Cut(filter, "/")
		end := len(name)
		if i := strings.IndexByte(name[pos:], '/'); i >= 0 {
			end = pos + i
		}
		if level == "+" {
			plus = end
		} else if c := compare(name[pos:end], level); c < 0 {
			s.from = append(append(s.from[:0], name[:pos]...), level...)
			return misses
		} else if c > 0 {
			return s.skip(name, plus)
		}
		switch {
		case !more && end == len(name):
			return matches
		case !more:
			return s.skip(name, plus)
		case end == len(name) && rest == "#": // "a/#" matches "a", the parent, too.
			return matches
		case end == len(name):
			return above
		}
		filter, pos = rest, end+1
	}
	return matches
}

// skip leaves the subtree of the level that the last + stands for, and ends there.
func (s *scan) skip(name string, end int) verdict {
	if end < 0 {
		return beyond
	}
	s.from = append(append(s.from[:0], name[:end]...), afterSlash)
	return misses
}
