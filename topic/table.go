package topic

import "maps"

// A table is a map that gives its memory back. Go's maps never shrink; a table
// is rebuilt when it has lost three quarters of its entries, which costs constant
// time per deletion on average.
type table[K comparable, V any] struct {
	m    map[K]V
	peak int // the largest len(m) since m was made
}

// minShrink is the number of entries below which a table is not worth rebuilding.
const minShrink = 64

func (t *table[K, V]) set(k K, v V) {
	if t.m == nil {
		t.m = make(map[K]V)
	}
	t.m[k] = v
	t.peak = max(t.peak, len(t.m))
}

func (t *table[K, V]) remove(k K) {
	delete(t.m, k)
	n := len(t.m)
	switch {
	case n == 0:
		*t = table[K, V]{}
	case t.peak >= minShrink && n < t.peak/4:
		m := make(map[K]V, n)
		maps.Copy(m, t.m)
		t.m, t.peak = m, n
	}
}
