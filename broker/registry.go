package broker

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/store"
)

// subscriber is a session as others see it: what the registry finds by client id and
// the index by filter. It exists as long as the session, connected or not; a new session of the
// same client is a new subscriber.
type subscriber struct {
	id   string
	ref  store.Ref            // zero: not stored, ends with its connection. Set before the first subscription
	conn atomic.Pointer[conn] // nil: offline

	old  atomic.Bool // its client last spoke a version before 5.0
	held bool        // by whoever attaches, detaches or ends the session; the registry's shard guards it
	// The holder owns what follows.
	dead    bool                     // ended
	away    *away                    // nil: its client is connected
	filters filterSet                // its subscriptions, for anybody
	revoked atomic.Pointer[[]string] // filters that the Authorizer denied when it was asked again, without $share and the group; nil: none. A restart forgets them
}

// away is what is pending of a session while its client is not connected.
type away struct {
	will *will
	due  time.Time // the session expires; zero: never
	timer
}

const registryShards = 64

// registry finds the session of a client id, and lets one at a time hold it: whoever attaches
// or detaches a connection may have to wait for the store, or for an older connection to end.
type registry struct {
	seed   maphash.Seed
	shards [registryShards]registryShard
}

type registryShard struct {
	mu   sync.Mutex
	free sync.Cond // some session is no longer held, or has ended
	byID map[string]*subscriber
}

func (r *registry) init() {
	r.seed = maphash.MakeSeed()
	for i := range r.shards {
		r.shards[i].free.L = &r.shards[i].mu
		r.shards[i].byID = make(map[string]*subscriber)
	}
}

func (r *registry) shard(id string) *registryShard {
	return &r.shards[maphash.String(r.seed, id)%registryShards]
}

// find returns the session of a client, nil if there is none.
func (r *registry) find(id string) *subscriber {
	sh := r.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.byID[id]
}

// acquire returns the session of a client, or a fresh one, and holds it.
// [MQTT-3.1.3-2]
func (r *registry) acquire(id string) (sub *subscriber, fresh bool) {
	sh := r.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for {
		sub = sh.byID[id]
		if sub == nil {
			sub = &subscriber{id: id, held: true}
			sh.byID[id] = sub
			return sub, true
		}
		if !sub.held {
			sub.held = true
			return sub, false
		}
		sh.free.Wait()
	}
}

// hold holds a session, unless it has ended.
func (r *registry) hold(sub *subscriber) bool {
	sh := r.shard(sub.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for sh.byID[sub.id] == sub {
		if !sub.held {
			sub.held = true
			return true
		}
		sh.free.Wait()
	}
	return false
}

// release ends acquire and hold.
func (r *registry) release(sub *subscriber) {
	sh := r.shard(sub.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sub.held = false
	sh.free.Broadcast()
}

// remove takes a held session out. Its holder keeps it, and releases it.
func (r *registry) remove(sub *subscriber) {
	sub.dead = true
	sh := r.shard(sub.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.byID, sub.id)
	sh.free.Broadcast()
}

// filterSet holds the filters of one session: few in a slice, many in a map. Whoever subscribes or unsubscribes tells it; nothing is locked
// within its lock.
type filterSet struct {
	mu   sync.Mutex
	few  []string
	many map[string]struct{}
}

const fewFilters = 16

// add puts in a filter that is not in yet.
func (f *filterSet) add(filter string) {
	f.mu.Lock()
	defer f.mu.Unlock()
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

func (f *filterSet) remove(filter string) {
	f.mu.Lock()
	defer f.mu.Unlock()
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
	f.few, f.many = nil, nil
	return all
}

// all returns every filter.
func (f *filterSet) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list()
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
