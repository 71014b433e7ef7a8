package storetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// Slow is a store whose Attach and Commit take effect later, in order, on a goroutine of its own, as those of a
// store on a disk do.
type Slow struct {
	store.Store
	delay func() time.Duration

	mu     sync.Mutex
	work   []func()
	more   sync.Cond
	closed bool
	done   chan struct{}
}

// NewSlow returns s made slow: each operation takes what delay returns.
func NewSlow(s store.Store, delay func() time.Duration) *Slow {
	d := &Slow{Store: s, delay: delay, done: make(chan struct{})}
	d.more.L = &d.mu
	return d
}

// Start implements store.Store.
func (d *Slow) Start(wake func([]any), r store.Recovery) error {
	go d.run()
	return d.Store.Start(wake, r)
}

func (d *Slow) run() {
	defer close(d.done)
	for {
		d.mu.Lock()
		for len(d.work) == 0 && !d.closed {
			d.more.Wait()
		}
		if len(d.work) == 0 {
			d.mu.Unlock()
			return
		}
		f := d.work[0]
		d.work = d.work[1:]
		d.mu.Unlock()
		<-time.After(d.delay())
		f()
	}
}

func (d *Slow) later(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		go f()
		return
	}
	d.work = append(d.work, f)
	d.more.Signal()
}

// Attach implements store.Store.
func (d *Slow) Attach(ctx context.Context, a store.Attach, done func(store.Attached, error)) {
	d.later(func() { d.Store.Attach(ctx, a, done) })
}

// Commit implements store.Store.
func (d *Slow) Commit(tx *store.Tx) { d.later(func() { d.Store.Commit(tx) }) }

// Close implements store.Store.
func (d *Slow) Close() error {
	d.mu.Lock()
	d.closed = true
	d.more.Signal()
	d.mu.Unlock()
	<-d.done
	return d.Store.Close()
}

// Faults of a store of several machines, for [Failing].
var (
	// ErrNoQuorum: too few of them can be reached. Nothing durable is possible for now.
	ErrNoQuorum = fmt.Errorf("no quorum: %w", mqtt.ServerUnavailable)
	// ErrOwnerLost: the sessions are another machine's now, and so are their clients.
	ErrOwnerLost = fmt.Errorf("another machine owns the session: %w", mqtt.SessionTakenOver)
)

// Failing is a store whose Attach and Commit fail while Err returns an error.
type Failing struct {
	store.Store
	Err func() error
}

// Attach implements store.Store.
func (f *Failing) Attach(ctx context.Context, a store.Attach, done func(store.Attached, error)) {
	if err := f.Err(); err != nil {
		done(store.Attached{}, err)
		return
	}
	f.Store.Attach(ctx, a, done)
}

// Commit implements store.Store.
func (f *Failing) Commit(tx *store.Tx) {
	if err := f.Err(); err != nil {
		tx.Done(err)
		return
	}
	f.Store.Commit(tx)
}
