package fifo

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestQueueIsAQueue compares one with a slice, through growth, drain and everything between.
func TestQueueIsAQueue(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var q Queue[int]
	var want []int
	for step := range 100_000 {
		grows := step/2000%2 == 0 // for a while more come than go, then more go
		if len(want) == 0 || random.IntN(10) < 6 == grows {
			q.Push(step)
			want = append(want, step)
		} else {
			q.Pop()
			want = want[1:]
		}
		if q.Len() != len(want) {
			t.Fatalf("step %d: %d elements, want %d", step, q.Len(), len(want))
		}
		if len(want) > 0 {
			if i := random.IntN(len(want)); *q.At(i) != want[i] || *q.At(0) != want[0] {
				t.Fatalf("step %d: element %d is %d, want %d", step, i, *q.At(i), want[i])
			}
		}
	}
}

// TestPopForgets: an element that is gone holds no memory.
func TestPopForgets(t *testing.T) {
	t.Parallel()
	var q Queue[*int]
	for range 3 {
		q.Push(new(int))
	}
	chunk := q.chunks[0]
	q.Pop()
	q.Pop()
	if chunk[0] != nil || chunk[1] != nil || chunk[2] == nil {
		t.Errorf("the chunk has %v", chunk)
	}
	for range 3 * chunkLen {
		q.Push(new(int))
	}
	for q.Len() > 0 {
		q.Pop()
	}
	if all := q.chunks[:cap(q.chunks)]; len(q.chunks) > 0 || len(all) > smallCap || len(slices.Concat(all...)) > 0 {
		t.Errorf("an empty queue that was long holds %d chunks", len(all))
	}
}

// TestNoPushCopiesMuch: chunks stay short, and a full one stays where it is.
func TestNoPushCopiesMuch(t *testing.T) {
	t.Parallel()
	var q Queue[[64]byte]
	for range chunkLen {
		q.Push([64]byte{})
	}
	first := q.At(0)
	for range 1 << 17 {
		q.Push([64]byte{})
	}
	if q.At(0) != first {
		t.Error("the first chunk was copied")
	}
	for i, chunk := range q.chunks {
		if cap(chunk) > chunkLen {
			t.Errorf("chunk %d has room for %d", i, cap(chunk))
		}
	}
}
