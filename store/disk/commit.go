package disk

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/uniomq/unio/store"
)

// work is a transaction, a request for a session, or something of the store's own.
type work struct {
	tx     *store.Tx
	attach *attach
	apply  func(*group) error
}

type attach struct {
	store.Attach
	ctx  context.Context
	done func(store.Attached, error)
	late error // ctx had ended: nothing was done
	at   store.Attached
	box  *mailbox // of the session, nil: none
}

// group is what is committed together.
type group struct {
	works   []work
	effects []effect
	batch   *pebble.Batch
	sync    bool // somebody waits for its durability
	garbage bool // a session has left something behind
	err     error
}

// effect is what becomes visible when a group is durable.
type effect struct {
	kind  effectKind
	box   *mailbox
	entry entry // arrived
	owner any   // attached
}

type effectKind uint8

const (
	arrived effectKind = iota
	attached
	detached
)

// Commit implements store.Store.
func (s *Store) Commit(tx *store.Tx) {
	if !s.work.put(work{tx: tx}) {
		tx.Done(store.ErrClosed)
	}
}

// Attach implements store.Store.
func (s *Store) Attach(ctx context.Context, a store.Attach, done func(store.Attached, error)) {
	if !s.work.put(work{attach: &attach{Attach: a, ctx: ctx, done: done}}) {
		done(store.Attached{}, store.ErrClosed)
	}
}

// commitAll is the committer. Pebble ends the goroutine, or panics, when it cannot write; another one then
// tells everybody.
func (s *Store) commitAll() {
	var g *group
	defer func() {
		if p := recover(); p != nil {
			s.fail(fmt.Errorf("writing: %v", p))
		}
		if g == nil { // the end
			close(s.groups)
			s.tasks.Done()
			return
		}
		g.err = s.failed()
		s.groups <- g
		go s.commitAll()
	}()
	written := 0
	for {
		g = &group{works: s.work.take(nil)}
		if len(g.works) == 0 {
			g = nil
			return
		}
		g.err = s.write(g)
		s.fail(g.err)
		if g.batch != nil {
			if written += g.batch.Len(); written > int(s.o.Reserve/8) {
				written = 0
				s.checkSpace()
			}
		}
		if g.garbage {
			select {
			case s.garbage <- struct{}{}:
			default:
			}
		}
		s.groups <- g
	}
}

// write applies a group and puts it into the log.
func (s *Store) write(g *group) error {
	if err := s.failed(); err != nil {
		return err
	}
	g.batch = s.db.NewBatch()
	for i := range g.works {
		w := &g.works[i]
		var err error
		switch {
		case w.tx != nil:
			err = s.applyTx(g, w.tx)
		case w.attach != nil:
			err = s.applyAttach(g, w.attach)
		default:
			err = w.apply(g)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case g.batch.Empty():
		g.sync = false
		return nil
	case g.sync:
		return s.db.ApplyNoSyncWait(g.batch, pebble.Sync)
	default:
		s.lazy.Store(true)
		return s.db.Apply(g.batch, pebble.NoSync)
	}
}

// completeAll is the completer.
func (s *Store) completeAll() {
	defer s.tasks.Done()
	var owners []any
	for g := range s.groups {
		if g.err == nil && g.sync {
			g.err = g.batch.SyncWait()
			s.fail(g.err)
		}
		if g.err == nil {
			g.err = s.failed() // a late sync, or an earlier group
		}
		if g.err == nil && g.batch != nil {
			s.fail(g.batch.Close())
		}
		owners = s.publish(g, owners[:0])
		if len(owners) > 0 {
			s.wake(owners)
			clear(owners)
		}
		for i := range g.works {
			switch w := &g.works[i]; {
			case w.tx != nil:
				w.tx.Done(g.err)
			case w.attach == nil:
			case g.err != nil:
				w.attach.done(store.Attached{}, g.err)
			case w.attach.late != nil:
				w.attach.done(store.Attached{}, w.attach.late)
			case w.attach.box == nil:
				w.attach.done(w.attach.at, nil)
			default: // when the first of its queue is in memory
				s.reads.put(read{box: w.attach.box, attach: w.attach})
			}
		}
	}
}

// publish makes visible what has become durable, and adds the owners that have something new.
func (s *Store) publish(g *group, owners []any) []any {
	if g.err != nil {
		return owners
	}
	for i := range g.effects {
		switch e := &g.effects[i]; e.kind {
		case arrived:
			if owner, wake := e.box.arrive(&e.entry); wake {
				owners = append(owners, owner)
			}
		case attached:
			e.box.attach(e.owner)
			s.boxes.put(e.box)
		case detached:
			e.box.detach()
			s.boxes.remove(e.box.ref)
		}
	}
	return owners
}
