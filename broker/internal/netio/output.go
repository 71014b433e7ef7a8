package netio

import (
	"sync"
	"syscall"
)

// Output is what waits for a socket, in the order in which it is to be written. Small frames are
// copied into blocks. A payload that is large, or that waits behind others, is shared with whoever
// else has it, so that a message that a thousand slow clients wait for is held once. No part is
// ever moved, however much waits. Its owner guards an Output; it is pooled.
type Output struct {
	parts []part // parts[first:] wait
	first int
	off   int    // what is written of parts[first]
	start int    // where the last part begins in its block
	size  int    // bytes that wait
	spare *block // for the next part
	poke  bool   // see Poke

	// The writer owns what follows.
	scratch *[]byte               // small parts that are written together; one of Buffers
	gather  gather                // what write writes
	tries   int                   // how many bytes write is to write
	n       int                   // what write has written
	write   func(fd uintptr) bool // makes one attempt. Bound once, so that a write does not allocate
}

// part is a piece of output. Bytes may be added to the last one, if it has a block.
type part struct {
	p     []byte
	block *block // p lies in it, and later parts do not; nil: p is shared, or a later part has the block
	ends  int    // packets whose last byte is in p
}

type block struct{ p []byte }

const (
	// BlockSize is how many bytes of frames a block holds. Only a larger frame makes it larger.
	BlockSize = 32 << 10
	// firstBlock is what an output begins with, for clients that keep up.
	firstBlock = 2 << 10
	// ShareSize is the size in bytes from which on a payload is always shared: copying less than
	// that costs less than what a write of several parts does.
	ShareSize = 16 << 10
	// ShareAlone is that size for a message with one receiver: nobody else would share it.
	ShareAlone = 96 << 10
	// shareBehind is that size for a connection behind which more than a block waits.
	shareBehind = 512
	// maxSpare is the size in bytes above which a block is left to the garbage collector.
	maxSpare = 128 << 10
	// maxWrite is the size in bytes from which on nothing is added to a write.
	maxWrite = 256 << 10
	// maxParts is how many parts are kept room for while nothing waits.
	maxParts = 64
)

var (
	outputs = sync.Pool{New: func() any { return newOutput() }}
	blocks  = sync.Pool{New: func() any { return &block{p: make([]byte, 0, BlockSize)} }}
)

// NewOutput returns an empty one.
func NewOutput() *Output { return outputs.Get().(*Output) }

func newOutput() *Output {
	o := &Output{spare: &block{p: make([]byte, 0, firstBlock)}}
	o.write = func(fd uintptr) bool {
		n, err := o.gather.write(fd)
		if err != nil {
			n = 0 // full, or broken: drain finds out
		}
		o.n = n
		return true
	}
	return o
}

// Size is how many bytes wait.
func (o *Output) Size() int { return o.size }

// Poke makes Ready true once: the layer is to be asked what it has of its own, even if nothing waits.
func (o *Output) Poke() { o.poke = true }

// Ready reports whether something is to be written. If not, the Output is given back, and must not
// be used any more.
func (o *Output) Ready() bool {
	if o.size == 0 && !o.poke {
		o.Advance(0) // a part that nothing was added to
		o.release()
		return false
	}
	o.poke = false
	return true
}

// Begin returns what to append a frame of about n bytes to; End takes the result.
func (o *Output) Begin(n int) []byte {
	if last := len(o.parts) - 1; last >= o.first {
		if b := o.parts[last].block; b != nil && len(b.p)+n <= BlockSize {
			return b.p
		}
	}
	b := o.blockFor(n)
	o.start = len(b.p)
	o.parts = append(o.parts, part{p: b.p[o.start:], block: b})
	return b.p
}

// blockFor returns a block with room for n bytes: that of the part before a shared one, or another.
func (o *Output) blockFor(n int) *block {
	if before := len(o.parts) - 2; before >= o.first {
		if b := o.parts[before].block; b != nil && len(b.p)+n <= BlockSize {
			o.parts[before].block = nil
			return b
		}
	}
	if b := o.spare; b != nil {
		o.spare = nil
		return b
	}
	return blocks.Get().(*block)
}

// End takes what Begin has returned, longer or not.
func (o *Output) End(p []byte) {
	last := &o.parts[len(o.parts)-1]
	was := len(last.p)
	last.block.p = p
	last.p = p[o.start:]
	o.size += len(last.p) - was
}

// Add copies a frame.
func (o *Output) Add(frame []byte) { o.End(append(o.Begin(len(frame)), frame...)) }

// Share adds p without copying it. Nobody may change it any more.
func (o *Output) Share(p []byte) {
	o.parts = append(o.parts, part{p: p})
	o.size += len(p)
}

// Ended notes that what was added last is the end of a packet.
func (o *Output) Ended() { o.parts[len(o.parts)-1].ends++ }

// Packets is how many packets wait. Those of a part count until all of it is written.
func (o *Output) Packets() (n int) {
	for i := o.first; i < len(o.parts); i++ {
		n += o.parts[i].ends
	}
	return n
}

// Shares reports whether a payload of n bytes that is to be added is one to share.
func (o *Output) Shares(n int) bool {
	return n >= ShareSize || n >= shareBehind && o.size >= BlockSize
}

// Next returns what to write next; it is valid until Advance. Small parts are put together.
func (o *Output) Next() []byte {
	if o.first == len(o.parts) {
		return nil
	}
	p := o.parts[o.first].p[o.off:]
	if len(p) >= ShareSize || o.first == len(o.parts)-1 {
		return p
	}
	if o.scratch == nil {
		o.scratch = Buffers.Get().(*[]byte)
	}
	all := append((*o.scratch)[:0], p...)
	for _, part := range o.parts[o.first+1:] {
		n := min(len(part.p), cap(all)-len(all))
		all = append(all, part.p[:n]...)
		if len(all) == cap(all) {
			break
		}
	}
	return all
}

// Prepare readies the next attempt of Write: what it is to write.
func (o *Output) Prepare() {
	o.gather.reset()
	o.tries = 0
	for i := o.first; i < len(o.parts) && o.tries < maxWrite; i++ {
		p := o.parts[i].p
		if i == o.first {
			p = p[o.off:]
		}
		if len(p) > 0 && !o.gather.add(p) {
			break
		}
		o.tries += len(p)
	}
}

// Write makes one attempt to write what Prepare has readied, without waiting. It returns how much
// the socket took, and whether it is full, or broken. Advance is for the owner to call.
func (o *Output) Write(raw syscall.RawConn) (n int, full bool) {
	o.n = 0
	err := raw.Write(o.write)
	return o.n, err != nil || o.n < o.tries
}

// Advance takes away n bytes, which were written.
func (o *Output) Advance(n int) {
	o.size -= n
	for o.first < len(o.parts) {
		first := &o.parts[o.first]
		left := len(first.p) - o.off
		if n < left {
			break
		}
		n -= left
		if first.block != nil {
			o.giveBack(first.block)
		}
		*first = part{}
		o.first++
		o.off = 0
	}
	o.off += n
	switch {
	case o.first == len(o.parts):
		o.parts, o.first, o.off = o.parts[:0], 0, 0
	case o.first >= maxParts && o.first > len(o.parts)/2:
		k := copy(o.parts, o.parts[o.first:])
		clear(o.parts[k:])
		o.parts, o.first = o.parts[:k], 0
	}
}

func (o *Output) giveBack(b *block) {
	b.p = b.p[:0]
	switch n := cap(b.p); {
	case o.spare == nil && n <= maxSpare:
		o.spare = b
	case n >= BlockSize && n <= 2*BlockSize:
		blocks.Put(b)
	}
}

// release gives an output back from which everything is written.
func (o *Output) release() {
	if o.scratch != nil {
		Buffers.Put(o.scratch)
		o.scratch = nil
	}
	if cap(o.parts) > maxParts {
		o.parts = nil
	}
	o.gather.reset()
	o.poke = false
	outputs.Put(o)
}
