package netio

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestOutputIsWhatWasAddedInOrder adds and writes pieces of all sizes, and compares with one buffer.
func TestOutputIsWhatWasAddedInOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	o := newOutput()
	var want, got []byte
	var ends []int // of packets, in want
	fill := func() []byte {
		p := make([]byte, 1+rnd.IntN([]int{30, 3000, 50_000}[rnd.IntN(3)]))
		for i := range p {
			p[i] = byte(rnd.Uint32())
		}
		return p
	}
	for range 3000 {
		switch rnd.IntN(5) {
		case 0, 1:
			p := fill()
			o.Add(p)
			o.Ended()
			want = append(want, p...)
			ends = append(ends, len(want))
		case 2:
			p := fill()
			o.Share(p)
			want = append(want, p...)
			if rnd.IntN(2) == 0 {
				o.Ended()
				ends = append(ends, len(want))
			}
		case 3: // a packet that is too large for its client
			dst := o.Begin(64)
			o.End(append(dst, fill()...)[:len(dst)])
		default:
			p := o.Next()
			if len(p) == 0 && o.size > 0 {
				t.Fatalf("%d bytes wait, and there is nothing to write", o.size)
			}
			n := rnd.IntN(len(p) + 1)
			got = append(got, p[:n]...)
			o.Advance(n)
		}
		if o.size != len(want)-len(got) {
			t.Fatalf("size is %d, want %d", o.size, len(want)-len(got))
		}
		for len(ends) > 0 && ends[0] <= len(got)-o.off { // those of a part stay until all of it is written
			ends = ends[1:]
		}
		if n := o.Packets(); n != len(ends) {
			t.Fatalf("%d packets wait, want %d", n, len(ends))
		}
	}
	for o.size > 0 {
		p := o.Next()
		got = append(got, p...)
		o.Advance(len(p))
	}
	if !bytes.Equal(got, want) {
		t.Error("what was written is not what was added")
	}
	if o.Advance(0); len(o.parts) != 0 {
		t.Errorf("%d parts are left", len(o.parts))
	}
}

// TestOutputThatGrowsIsNotCopied adds large amounts: what is there already stays where it is.
func TestOutputThatGrowsIsNotCopied(t *testing.T) {
	frame := make([]byte, 1000)
	payload := make([]byte, 4000)
	var copied *Output
	allocations := testing.AllocsPerRun(1, func() {
		copied = newOutput()
		for range 10_000 {
			copied.Add(frame)
		}
	})
	if blocks := 10_000 * len(frame) / BlockSize; allocations > float64(3*blocks) {
		t.Errorf("%v allocations for %d bytes in blocks of %d", allocations, copied.size, BlockSize)
	}
	for _, part := range copied.parts {
		if cap(part.block.p) > 2*BlockSize {
			t.Fatalf("a block has room for %d bytes", cap(part.block.p))
		}
	}
	shared := newOutput()
	for range 10_000 {
		shared.Add(frame[:20])
		shared.Share(payload)
	}
	used := make(map[*block]bool)
	for _, part := range shared.parts {
		used[part.block] = true
	}
	if len(used) > 10_000*20/BlockSize+2 {
		t.Errorf("heads of 20 bytes take %d blocks", len(used))
	}
}
