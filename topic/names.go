package topic

import (
	"slices"
	"sync"
)

// Names has one value for each of many names, such as the retained messages, and
// finds those that a filter matches. The zero Names is empty and ready for use.
//
// The names are in one ordered list, cut into blocks. That takes a string, a value
// and a little slack for each name, however many levels it has, and lets Match stop
// anywhere and go on later.
type Names[V any] struct {
	mu     sync.RWMutex
	blocks []block[V] // guarded by mu; in order, none empty
	n      int        // guarded by mu
}

// A block has consecutive names, at most maxBlock.
type block[V any] struct {
	first string // items[0].name, here to spare the search a cache miss
	items []item[V]
}

type item[V any] struct {
	name  string
	value V
}

const maxBlock = 128

// A place is the position of a name, or where it would have to be put in.
type place struct{ block, item int }

// Len returns the number of names.
func (t *Names[V]) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.n
}

// Get returns the value of name.
func (t *Names[V]) Get(name string) (v V, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	at, ok := search(t, name)
	if ok {
		v = t.blocks[at.block].items[at.item].value
	}
	return v, ok
}

// Set gives name a value and returns the one that it had. It keeps the name's memory.
func (t *Names[V]) Set(name string, v V) (old V, replaced bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, found := search(t, name)
	if found {
		it := &t.blocks[at.block].items[at.item]
		old, it.value = it.value, v
		return old, true
	}
	t.insert(at, item[V]{name, v})
	t.n++
	return old, false
}

// Delete removes name and returns the value that it had.
func (t *Names[V]) Delete(name string) (old V, ok bool) {
	return t.DeleteFunc(name, func(V) bool { return true })
}

// DeleteFunc removes name if del says so of its value, and returns the value that it had. It holds the lock while it asks.
func (t *Names[V]) DeleteFunc(name string, del func(V) bool) (old V, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := search(t, name)
	if !ok {
		return old, false
	}
	old = t.blocks[at.block].items[at.item].value
	if !del(old) {
		return old, false
	}
	t.remove(at)
	t.n--
	return old, true
}

// search finds the place of the first name that is not less than key, or one past
// the end of the block in which key would be, and reports whether key is there.
func search[V any, B string | []byte](t *Names[V], key B) (place, bool) {
	lo, hi := 0, len(t.blocks) // blocks[:lo] begin at or before key, blocks[hi:] after it
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if compare(t.blocks[mid].first, key) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return place{}, false
	}
	items := t.blocks[lo-1].items
	i := searchItems(items, key)
	return place{lo - 1, i}, i < len(items) && compare(items[i].name, key) == 0
}

// searchItems returns the position of the first name that is not less than key.
func searchItems[V any, B string | []byte](items []item[V], key B) int {
	lo, hi := 0, len(items)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if compare(items[mid].name, key) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// insert puts it at a place that search found.
func (t *Names[V]) insert(at place, it item[V]) {
	if len(t.blocks) == 0 {
		t.blocks = []block[V]{{it.name, []item[V]{it}}}
		return
	}
	b := &t.blocks[at.block]
	if len(b.items) == maxBlock {
		// Names that come in order fill their blocks; others share a block evenly.
		half := maxBlock / 2
		if at.item == maxBlock {
			half = maxBlock
		}
		right := slices.Clone(b.items[half:])
		clear(b.items[half:])
		b.items = b.items[:half]
		if at.item >= half {
			right = slices.Insert(right, at.item-half, it)
		} else {
			b.items = slices.Insert(b.items, at.item, it)
		}
		b.first = b.items[0].name
		t.blocks = slices.Insert(t.blocks, at.block+1, block[V]{right[0].name, right})
		return
	}
	b.items = slices.Insert(b.items, at.item, it)
	b.first = b.items[0].name
}

// remove takes the item at a place away. Two neighbours that have become small are
// made one, so that the number of blocks follows the number of names.
func (t *Names[V]) remove(at place) {
	b := &t.blocks[at.block]
	b.items = slices.Delete(b.items, at.item, at.item+1)
	if len(b.items) == 0 {
		t.dropBlock(at.block)
		return
	}
	b.first = b.items[0].name
	if !t.merge(at.block-1) && !t.merge(at.block) && len(b.items) <= cap(b.items)/4 {
		b.items = slices.Clone(b.items)
	}
}

// merge joins block i and the next if both exist and fill half a block at most.
func (t *Names[V]) merge(i int) bool {
	if i < 0 || i+1 >= len(t.blocks) || len(t.blocks[i].items)+len(t.blocks[i+1].items) > maxBlock/2 {
		return false
	}
	t.blocks[i].items = append(t.blocks[i].items, t.blocks[i+1].items...)
	t.dropBlock(i + 1)
	return true
}

func (t *Names[V]) dropBlock(i int) {
	t.blocks = slices.Delete(t.blocks, i, i+1)
	switch n := len(t.blocks); {
	case n == 0:
		t.blocks = nil
	case n < cap(t.blocks)/4:
		t.blocks = slices.Clone(t.blocks)
	}
}
