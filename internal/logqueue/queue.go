// Package logqueue lets a program log without waiting for where its log goes. A [Queue] takes lines
// into memory, and one goroutine writes them. A destination that stalls (a terminal that nobody
// reads, a slow disk) costs lines, which are counted, and holds nobody up.
package logqueue

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

// MaxBytes is how much memory the lines of one Queue take at most while they wait.
const MaxBytes = 1 << 20

// lineCost is what a line takes besides its bytes.
const lineCost = 32

// A Sink takes lines, which end in a newline and are valid during the call. Calls do not overlap.
type Sink interface {
	WriteLine(level slog.Level, line []byte) error
}

// Queue is a Sink that never waits. It may be used by many goroutines.
type Queue struct {
	sink  Sink
	lost  func(lines int, cause error)
	wake  chan struct{} // has room for one
	ended chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex // guards what follows
	waiting batch
	missing int // lines that found the queue full since the goroutine last looked
	closed  bool
}

// batch is lines that are written one after the other.
type batch struct {
	text  []byte
	lines []line
}

// line is the end of a line in text, or, with done, a mark that somebody waits for.
type line struct {
	level slog.Level
	end   int
	done  chan struct{}
}

// New returns a queue before sink, which Close ends. lost is called by the queue's goroutine, after
// it has written a line again and at the end, with the number of lines that were lost before; the
// cause is what the sink has said last, or nil if the queue was full. lost may write to the queue,
// but at the end that is lost.
func New(sink Sink, lost func(lines int, cause error)) *Queue {
	q := &Queue{sink: sink, lost: lost, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// WriteLine copies a line into the queue. A line that finds no room, or that comes after Close, is
// lost. The error is nil always.
func (q *Queue) WriteLine(level slog.Level, text []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := &q.waiting
	if q.closed || len(w.text)+len(text)+(len(w.lines)+1)*lineCost > MaxBytes {
		q.missing++
		return nil
	}
	w.text = append(w.text, text...)
	w.lines = append(w.lines, line{level: level, end: len(w.text)})
	q.rouse()
	return nil
}

// Flush waits until what came before is written or lost, or until ctx ends.
func (q *Queue) Flush(ctx context.Context) error {
	done := make(chan struct{})
	q.mu.Lock()
	if q.closed {
		done = q.ended
	} else {
		q.waiting.lines = append(q.waiting.lines, line{end: len(q.waiting.text), done: done})
		q.rouse()
	}
	q.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write the last lines of the log: %w", context.Cause(ctx))
	}
}

// Close takes no more lines, and waits until what came before is written or lost, or until ctx ends.
// The sink is not used any more if the error is nil.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.rouse()
	q.mu.Unlock()
	return q.Flush(ctx)
}

// rouse has the goroutine look at what waits.
func (q *Queue) rouse() {
	select {
	case q.wake <- struct{}{}:
	default: // it will look anyway
	}
}

func (q *Queue) run() {
	defer close(q.ended)
	var b batch
	missing, cause := 0, error(nil)
	for range q.wake {
		n, closed := q.take(&b)
		missing += n
		failed, wrote, err := q.write(&b)
		if missing += failed; err != nil {
			cause = err
		}
		if missing > 0 && (wrote || closed) {
			q.lost(missing, cause)
			missing, cause = 0, nil
		}
		if closed {
			return
		}
	}
}

// keptBytes bounds the memory that a batch keeps for the next one.
const keptBytes = 64 << 10

// take takes what waits, and gives the memory of b for what comes meanwhile.
func (q *Queue) take(b *batch) (missing int, closed bool) {
	if cap(b.text) > keptBytes || cap(b.lines) > keptBytes/lineCost {
		*b = batch{}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	*b, q.waiting = q.waiting, batch{b.text[:0], b.lines[:0]}
	missing, q.missing = q.missing, 0
	return missing, q.closed
}

// write writes lines, and reports how many of them failed, and whether the last one did not.
func (q *Queue) write(b *batch) (failed int, wrote bool, cause error) {
	start := 0
	for _, l := range b.lines {
		if l.done != nil {
			close(l.done)
			continue
		}
		err := q.sink.WriteLine(l.level, b.text[start:l.end])
		if wrote = err == nil; !wrote {
			failed++
			cause = err
		}
		start = l.end
	}
	clear(b.lines)
	return failed, wrote, cause
}
