// Package fifo is a queue in memory that never copies much at once. A slice that is appended to
// doubles: with a million elements, or with many slices that are equally long, one Push takes as long
// as copying all of them, which is time in which an event loop serves nobody.
package fifo

// chunkLen is the length of a chunk; only the last one may be shorter.
const chunkLen = 128

// smallCap is the largest chunk that an empty queue keeps.
const smallCap = 32

// Queue is first in, first out. The zero value is an empty one.
type Queue[T any] struct {
	chunks [][]T
	head   int // chunks[0][:head] is gone
	n      int
}

// Len is how many elements there are.
func (q *Queue[T]) Len() int { return q.n }

// Push adds an element at the end.
func (q *Queue[T]) Push(v T) {
	last := len(q.chunks) - 1
	if last < 0 || len(q.chunks[last]) == chunkLen {
		var chunk []T // the first one grows as it is used: most queues are short
		if last >= 0 {
			chunk = make([]T, 0, chunkLen)
		}
		q.chunks = append(q.chunks, chunk)
		last++
	}
	q.chunks[last] = append(q.chunks[last], v)
	q.n++
}

// At is the element that i others come before; i must be below Len. It is valid until the next Push
// or Pop.
func (q *Queue[T]) At(i int) *T {
	i += q.head
	return &q.chunks[i/chunkLen][i%chunkLen]
}

// Pop removes the first element, which there must be.
func (q *Queue[T]) Pop() {
	clear(q.chunks[0][q.head : q.head+1])
	q.head++
	q.n--
	switch {
	case q.n == 0 && len(q.chunks) == 1 && cap(q.chunks[0]) <= smallCap:
		q.chunks[0], q.head = q.chunks[0][:0], 0
	case q.n == 0:
		clear(q.chunks)
		q.chunks, q.head = q.chunks[:0], 0
		if cap(q.chunks) > smallCap {
			q.chunks = nil
		}
	case q.head == chunkLen:
		q.chunks[0] = nil
		q.chunks, q.head = q.chunks[1:], 0
	}
}
