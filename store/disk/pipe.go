package disk

import "sync"

// pipe is a queue without bound: who puts something in never waits.
type pipe[T any] struct {
	mu     sync.Mutex
	more   sync.Cond
	items  []T
	closed bool
}

func (p *pipe[T]) init() { p.more.L = &p.mu }

// put reports false when the pipe is closed.
func (p *pipe[T]) put(v T) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.items = append(p.items, v)
	if len(p.items) == 1 {
		p.more.Signal()
	}
	return true
}

// take waits for something and returns all of it; buf is used for what comes next. It returns nothing when the pipe is
// closed and empty.
func (p *pipe[T]) take(buf []T) []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.items) == 0 && !p.closed {
		p.more.Wait()
	}
	items := p.items
	clear(buf)
	p.items = buf[:0]
	return items
}

// one waits for one item.
func (p *pipe[T]) one() (v T, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.items) == 0 && !p.closed {
		p.more.Wait()
	}
	if len(p.items) == 0 {
		return v, false
	}
	v = p.items[0]
	p.items = p.items[1:]
	if len(p.items) > 0 {
		p.more.Signal()
	}
	return v, true
}

func (p *pipe[T]) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.more.Broadcast()
}
