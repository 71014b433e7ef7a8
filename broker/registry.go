package broker

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// subscriber is a session as others see it: what the registry finds by its key and
// the index by filter. It exists as long as the session, connected or not; a new session of the
// same client is a new subscriber.
type subscriber struct {
	key  string               // store.Key
	ref  store.Ref            // zero: not stored, ends with its connection. Set before the first subscription
	conn atomic.Pointer[conn] // nil: offline

	old  atomic.Bool // its client last spoke a version before 5.0
	held bool        // by whoever attaches, detaches or ends the session; the registry's shard guards it
	dead bool        // ended; the holder sets it, and the registry's shard guards that
	// The holder owns what follows.
	placed  bool      // one of MaxSessions
	away    *away     // nil: its client is connected
	filters filterSet // its subscriptions, for anybody
	// revoked are filters that the Authorizer denied when it was asked again, without $share and the
	// group; nil: none. A restart forgets them.
	revoked atomic.Pointer[filterSet]
}

// away is what is pending of a session while its client is not connected.
type away struct {
	will *will
	due  time.Time // the session expires; zero: never
	timer
}

const registryShards = 64

// registry finds a session by its store.Key, and lets one at a time hold it: whoever attaches
// or detaches a connection may have to wait for the store, or for an older connection to end.
type registry struct {
	seed   maphash.Seed
	shards [registryShards]registryShard
}

type registryShard struct {
	mu    sync.Mutex
	byKey map[string]*subscriber
	wait  map[string]*waiters // by key, where somebody waits for a session that is held
}

// waiters wait for a session that is held. Each is woken once, when it is its turn.
type waiters struct {
	brief []chan turn // for those who hold an existing session for a moment; they come first
	// attach is for the newest connection that wants to have the session. There is one at most: a
	// newer connection takes the place.
	attach chan turn
}

// turn is what a waiter gets: a session, which it holds now, or nil. For a brief waiter nil means
// that the session has ended, for a connection that a newer one has come.
type turn struct {
	sub   *subscriber
	fresh bool
}

// errSuperseded refuses a connection that waited for its session when a newer one with the same
// client id came. It has no CONNACK yet, so that it cannot be told SessionTakenOver, which only
// DISCONNECT can say.
var errSuperseded = fmt.Errorf("a newer connection with its client id came while it waited for the session: %w", mqtt.ServerBusy)

func (r *registry) init() {
	r.seed = maphash.MakeSeed()
	for i := range r.shards {
		r.shards[i].byKey = make(map[string]*subscriber)
		r.shards[i].wait = make(map[string]*waiters)
	}
}

func (r *registry) shard(key string) *registryShard {
	return &r.shards[maphash.String(r.seed, key)%registryShards]
}

// find returns the session of a client, nil if there is none.
func (r *registry) find(key string) *subscriber {
	sh := r.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sub := sh.byKey[key]; sub != nil && !sub.dead {
		return sub
	}
	return nil
}

// acquire returns the session of a client, or a fresh one, and holds it. It waits until nobody else
// holds it, but no longer than ctx, and not when a newer connection waits for it.
// [MQTT-3.1.3-2]
func (r *registry) acquire(ctx context.Context, key string) (sub *subscriber, fresh bool, err error) {
	sh := r.shard(key)
	sh.mu.Lock()
	sub = sh.byKey[key]
	switch {
	case sub == nil:
		sub, fresh = &subscriber{key: key, held: true}, true
		sh.byKey[key] = sub
	case !sub.held:
		sub.held = true
	default:
		ch := sh.queue(key).supersede()
		sh.mu.Unlock()
		return sh.await(ctx, key, ch)
	}
	sh.mu.Unlock()
	return sub, fresh, nil
}

// queue returns those who wait for a session that is held. mu is held.
func (sh *registryShard) queue(key string) *waiters {
	w := sh.wait[key]
	if w == nil {
		w = new(waiters)
		sh.wait[key] = w
	}
	return w
}

// supersede makes a new connection the one that waits, and tells the one that did so far.
func (w *waiters) supersede() chan turn {
	if w.attach != nil {
		w.attach <- turn{}
	}
	w.attach = make(chan turn, 1)
	return w.attach
}

// await waits for a connection's turn.
func (sh *registryShard) await(ctx context.Context, key string, ch chan turn) (*subscriber, bool, error) {
	var got turn
	select {
	case got = <-ch:
	case <-ctx.Done():
		sh.mu.Lock()
		if w := sh.wait[key]; w != nil && w.attach == ch {
			w.attach = nil
			sh.mu.Unlock()
			return nil, false, ctx.Err()
		}
		sh.mu.Unlock()
		got = <-ch // it had its turn before
	}
	if got.sub == nil {
		return nil, false, errSuperseded
	}
	return got.sub, got.fresh, nil
}

// hold holds a session, unless it has ended.
func (r *registry) hold(sub *subscriber) bool {
	sh := r.shard(sub.key)
	sh.mu.Lock()
	if sub.dead || sh.byKey[sub.key] != sub {
		sh.mu.Unlock()
		return false
	}
	if !sub.held {
		sub.held = true
		sh.mu.Unlock()
		return true
	}
	w, ch := sh.queue(sub.key), make(chan turn, 1)
	w.brief = append(w.brief, ch)
	sh.mu.Unlock()
	return (<-ch).sub != nil
}

// release ends acquire and hold: the next one that waits holds the session now. After a session's
// end the connection that waits gets a fresh one.
func (r *registry) release(sub *subscriber) {
	sh := r.shard(sub.key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	w := sh.wait[sub.key]
	if sub.dead {
		delete(sh.byKey, sub.key)
		w.end()
	}
	switch {
	case w == nil:
		sub.held = false
		return
	case len(w.brief) > 0:
		w.brief[0] <- turn{sub: sub}
		w.brief = w.brief[1:]
	case w.attach != nil && sub.dead:
		sh.byKey[sub.key] = &subscriber{key: sub.key, held: true}
		w.attach <- turn{sh.byKey[sub.key], true}
		w.attach = nil
	case w.attach != nil:
		w.attach <- turn{sub: sub}
		w.attach = nil
	default: // the one that waited does so no more
		sub.held = false
	}
	if len(w.brief) == 0 && w.attach == nil {
		delete(sh.wait, sub.key)
	}
}

// end tells the brief waiters that the session has ended. w may be nil.
func (w *waiters) end() {
	if w == nil {
		return
	}
	for _, ch := range w.brief {
		ch <- turn{}
	}
	w.brief = nil
}

// remove ends a held session. It is found no more, and its client gets a fresh one when its holder,
// who keeps it, releases or renews it.
func (r *registry) remove(sub *subscriber) {
	sh := r.shard(sub.key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sub.dead = true
}

// renew returns a fresh session in place of one that was removed, for its holder, who holds that
// then.
func (r *registry) renew(sub *subscriber) *subscriber {
	sh := r.shard(sub.key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.wait[sub.key].end()
	fresh := &subscriber{key: sub.key, held: true}
	sh.byKey[sub.key] = fresh
	return fresh
}

// filterSet holds the filters of one session: few in a slice, many in a map. Whoever subscribes or unsubscribes tells it; nothing is locked
// within its lock.
type filterSet struct {
	mu     sync.Mutex
	few    []string
	many   map[string]struct{}
	shared int // how many are of shared subscriptions
}

const fewFilters = 16

// add puts in a filter, once.
func (f *filterSet) add(filter string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.many[filter]; ok || slices.Contains(f.few, filter) {
		return
	}
	f.shared += sharedCount(filter)
	if f.many == nil && len(f.few) < fewFilters {
		f.few = append(f.few, filter)
		return
	}
	if f.many == nil {
		f.many = make(map[string]struct{}, 2*fewFilters)
		for _, s := range f.few {
			f.many[s] = struct{}{}
		}
		f.few = nil
	}
	f.many[filter] = struct{}{}
}

func (f *filterSet) has(filter string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.many[filter]
	return ok || slices.Contains(f.few, filter)
}

// count returns how many filters there are, and how many of them are of shared subscriptions.
func (f *filterSet) count() (all, shared int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.few) + len(f.many), f.shared
}

// remove takes out a filter that is in.
func (f *filterSet) remove(filter string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shared -= sharedCount(filter)
	delete(f.many, filter)
	for i, s := range f.few {
		if s == filter {
			last := len(f.few) - 1
			f.few[i], f.few[last] = f.few[last], ""
			f.few = f.few[:last]
			return
		}
	}
}

// clear forgets all filters and returns them.
func (f *filterSet) clear() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.list()
	f.few, f.many, f.shared = nil, nil, 0
	return all
}

// all returns every filter.
func (f *filterSet) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list()
}

// any reports whether match is true for some filter. It must not wait.
func (f *filterSet) any(match func(filter string) bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.ContainsFunc(f.few, match) {
		return true
	}
	for filter := range f.many {
		if match(filter) {
			return true
		}
	}
	return false
}

// list is all, with mu held.
func (f *filterSet) list() []string {
	all := make([]string, 0, len(f.few)+len(f.many))
	all = append(all, f.few...)
	for s := range f.many {
		all = append(all, s)
	}
	return all
}
