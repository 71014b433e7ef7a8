// Package memory is the store that keeps nothing once the process has ended. It
// holds the sessions and queues of clients in memory, and needs neither their
// subscriptions nor the retained messages, which nobody can ask it for.
//
// It starts no goroutine: Commit applies at once, wakes the owners and calls Done before it returns.
package memory

import (
	"context"
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/store"
)

const shards = 64

// Store implements store.Store.
type Store struct {
	wake   func([]any)
	orphan func(store.Ref, []store.Delivery, func())
	seed   maphash.Seed
	closed atomic.Bool
	shards [shards]shard
}

var _ store.Store = (*Store)(nil)

// A shard holds the sessions whose keys hash to it. A Ref holds its shard's number in the low bits.
type shard struct {
	mu    sync.Mutex
	last  uint64
	byRef map[store.Ref]*session
	byKey map[string]*session
}

// New returns an empty store.
func New() *Store {
	s := &Store{seed: maphash.MakeSeed(), wake: func([]any) {}}
	for i := range s.shards {
		s.shards[i].byRef = make(map[store.Ref]*session)
		s.shards[i].byKey = make(map[string]*session)
	}
	return s
}

// Start implements store.Store; there is nothing to recover.
func (s *Store) Start(wake func([]any), r store.Recovery) error {
	s.wake, s.orphan = wake, r.Orphaned
	return nil
}

// orphaned hands over what a session has left behind, which nobody else has any more.
func (s *Store) orphaned(old *session) {
	if old != nil && old.grouped && s.orphan != nil {
		s.orphan(old.ref, old.all(), func() {})
	}
}

// Full implements store.Store: memory is bounded elsewhere.
func (s *Store) Full() bool { return false }

// Close implements store.Store.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

// Attach implements store.Store.
func (s *Store) Attach(ctx context.Context, a store.Attach, done func(store.Attached, error)) {
	if ctx.Err() != nil {
		done(store.Attached{}, context.Cause(ctx))
		return
	}
	if s.closed.Load() {
		done(store.Attached{}, store.ErrClosed)
		return
	}
	key := store.Key(a.ClientID, a.MountPoint)
	n := maphash.String(s.seed, key) % shards
	at, ended := s.shards[n].attach(n, key, a)
	s.orphaned(ended)
	done(at, nil)
}

// attach also returns the session that ended with that, nil: there was none.
func (sh *shard) attach(n uint64, key string, a store.Attach) (at store.Attached, ended *session) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old := sh.byKey[key]
	if old != nil && (a.Clean || old.expired(a.Now)) {
		sh.remove(old)
		old, ended = nil, old
	}
	if old != nil {
		old.owner, old.expires, old.wakeable = a.Owner, time.Time{}, true
		return store.Attached{Ref: old.ref, Present: true, Received: maps.Clone(old.received)}, nil
	}
	if !a.Keep {
		return store.Attached{}, ended
	}
	sh.last++
	sess := &session{key: key, ref: store.Ref(sh.last*shards + n), owner: a.Owner, wakeable: true}
	sh.byKey[key], sh.byRef[sess.ref] = sess, sess
	return store.Attached{Ref: sess.ref}, ended
}

func (sh *shard) remove(sess *session) {
	delete(sh.byRef, sess.ref)
	if sh.byKey[sess.key] == sess {
		delete(sh.byKey, sess.key)
	}
}

// Commit implements store.Store.
func (s *Store) Commit(tx *store.Tx) {
	if s.closed.Load() {
		tx.Done(store.ErrClosed)
		return
	}
	for i := range tx.Commands {
		c := &tx.Commands[i]
		if c.Ref == 0 {
			continue // Retain: the broker's own tree is all that is needed
		}
		sh := &s.shards[c.Ref%shards]
		sh.mu.Lock()
		sess := sh.byRef[c.Ref]
		switch {
		case sess == nil:
			c.Void = c.Op == store.Enqueue
		case c.Op == store.Remove:
			sh.remove(sess)
		case sess.apply(c):
			tx.Owners = append(tx.Owners, sess.owner)
		}
		sh.mu.Unlock()
		if c.Op == store.Remove {
			s.orphaned(sess)
		}
	}
	if len(tx.Owners) > 0 {
		s.wake(tx.Owners)
	}
	tx.Done(nil)
}

// Next implements store.Store.
func (s *Store) Next(ref store.Ref, after uint64, dst []store.Delivery) []store.Delivery {
	sh := &s.shards[ref%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sess := sh.byRef[ref]; sess != nil {
		return sess.next(after, dst)
	}
	return dst
}
