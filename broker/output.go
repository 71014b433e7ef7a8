package broker

import "sync"

// output is what waits for a socket, in the order in which it is to be written. Small frames are
// copied into blocks. A payload that is large, or that waits behind others, is shared with whoever
// else has it, so that a message that a thousand slow clients wait for is held once. No part is
// ever moved, however much waits. conn.mu guards an output; it is pooled.
type output struct {
	parts []part // parts[first:] wait
	first int
	off   int    // what is written of parts[first]
	start int    // where the last part begins in its block
	size  int    // bytes that wait
	spare *block // for the next part
	poke  bool   // the layer is to be asked what it has of its own, even if nothing waits

	// The writer owns what follows.
	scratch *[]byte               // small parts that are written together; one of readBuffers
	gather  gather                // what write writes
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
	// blockSize is how many bytes of frames a block holds. Only a larger frame makes it larger.
	blockSize = 32 << 10
	// firstBlock is what an output begins with, for clients that keep up.
	firstBlock = 2 << 10
	// shareSize is the size in bytes from which on a payload is always shared: copying less than
	// that costs less than what a write of several parts does.
	shareSize = 16 << 10
	// shareAlone is that size for a message with one receiver: nobody else would share it.
	shareAlone = 96 << 10
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
	blocks  = sync.Pool{New: func() any { return &block{p: make([]byte, 0, blockSize)} }}
)

func newOutput() *output {
	o := &output{spare: &block{p: make([]byte, 0, firstBlock)}}
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

// begin returns what to append a frame of about n bytes to; end takes the result.
func (o *output) begin(n int) []byte {
	if last := len(o.parts) - 1; last >= o.first {
		if b := o.parts[last].block; b != nil && len(b.p)+n <= blockSize {
			return b.p
		}
	}
	b := o.blockFor(n)
	o.start = len(b.p)
	o.parts = append(o.parts, part{p: b.p[o.start:], block: b})
	return b.p
}

// blockFor returns a block with room for n bytes: that of the part before a shared one, or another.
func (o *output) blockFor(n int) *block {
	if before := len(o.parts) - 2; before >= o.first {
		if b := o.parts[before].block; b != nil && len(b.p)+n <= blockSize {
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

// end takes what begin has returned, longer or not.
func (o *output) end(p []byte) {
	last := &o.parts[len(o.parts)-1]
	was := len(last.p)
	last.block.p = p
	last.p = p[o.start:]
	o.size += len(last.p) - was
}

// add copies a frame.
func (o *output) add(frame []byte) { o.end(append(o.begin(len(frame)), frame...)) }

// share adds p without copying it. Nobody may change it any more.
func (o *output) share(p []byte) {
	o.parts = append(o.parts, part{p: p})
	o.size += len(p)
}

// ended notes that what was added last is the end of a packet.
func (o *output) ended() { o.parts[len(o.parts)-1].ends++ }

// packets is how many packets wait. Those of a part count until all of it is written.
func (o *output) packets() (n int) {
	for i := o.first; i < len(o.parts); i++ {
		n += o.parts[i].ends
	}
	return n
}

// shares reports whether a payload of n bytes that is to be added is one to share.
func (o *output) shares(n int) bool {
	return n >= shareSize || n >= shareBehind && o.size >= blockSize
}

// next returns what to write next; it is valid until advance. Small parts are put together.
func (o *output) next() []byte {
	if o.first == len(o.parts) {
		return nil
	}
	p := o.parts[o.first].p[o.off:]
	if len(p) >= shareSize || o.first == len(o.parts)-1 {
		return p
	}
	if o.scratch == nil {
		o.scratch = readBuffers.Get().(*[]byte)
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

// prepare readies for write what it is to write, and returns how many bytes that are.
func (o *output) prepare() int {
	o.gather.reset()
	size := 0
	for i := o.first; i < len(o.parts) && size < maxWrite; i++ {
		p := o.parts[i].p
		if i == o.first {
			p = p[o.off:]
		}
		if len(p) > 0 && !o.gather.add(p) {
			break
		}
		size += len(p)
	}
	return size
}

// advance takes away n bytes, which were written.
func (o *output) advance(n int) {
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

func (o *output) giveBack(b *block) {
	b.p = b.p[:0]
	switch n := cap(b.p); {
	case o.spare == nil && n <= maxSpare:
		o.spare = b
	case n >= blockSize && n <= 2*blockSize:
		blocks.Put(b)
	}
}

// release gives an output back from which everything is written.
func (o *output) release() {
	if o.scratch != nil {
		readBuffers.Put(o.scratch)
		o.scratch = nil
	}
	if cap(o.parts) > maxParts {
		o.parts = nil
	}
	o.gather.reset()
	o.poke = false
	outputs.Put(o)
}
