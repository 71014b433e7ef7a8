package broker

import (
	"hash/maphash"
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

	life sync.Mutex // held while a connection attaches, detaches, or the session ends; guards what follows
	dead bool       // ended: look again in the registry
	will *will      // pending, while offline
	due  time.Time  // expires; zero: never, or connected
	timer
	filters filterSet // its subscriptions; the connection's read loop owns it while there is one
}

const registryShards = 64

// registry finds the session of a client id.
type registry struct {
	seed   maphash.Seed
	shards [registryShards]struct {
		mu   sync.Mutex
		byID map[string]*subscriber
	}
}

func (r *registry) init() {
	r.seed = maphash.MakeSeed()
	for i := range r.shards {
		r.shards[i].byID = make(map[string]*subscriber)
	}
}

// find returns the session of a client, nil if there is none.
func (r *registry) find(id string) *subscriber {
	sh := &r.shards[maphash.String(r.seed, id)%registryShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.byID[id]
}

// acquire returns the session of a client, or a new one, with its life locked.
func (r *registry) acquire(id string) (sub *subscriber, fresh bool) {
	sh := &r.shards[maphash.String(r.seed, id)%registryShards]
	for {
		sh.mu.Lock()
		sub := sh.byID[id]
		if sub == nil {
			sub = &subscriber{id: id}
			sub.life.Lock()
			sh.byID[id] = sub
			sh.mu.Unlock()
			return sub, true
		}
		sh.mu.Unlock()
		sub.life.Lock()
		if !sub.dead {
			return sub, false
		}
		sub.life.Unlock()
	}
}

// remove takes a session out. Its life is locked.
func (r *registry) remove(sub *subscriber) {
	sub.dead = true
	sh := &r.shards[maphash.String(r.seed, sub.id)%registryShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.byID, sub.id)
}

// filterSet holds the filters of one session: few in a slice, many in a map.
type filterSet struct {
	few  []string
	many map[string]struct{}
}

const fewFilters = 16

// add puts in a filter that is not in yet.
func (f *filterSet) add(filter string) {
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

func (f *filterSet) remove(filter string) {
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

func (f *filterSet) len() int { return len(f.few) + len(f.many) }

// each calls fn for every filter.
func (f *filterSet) each(fn func(filter string)) {
	for _, s := range f.few {
		fn(s)
	}
	for s := range f.many {
		fn(s)
	}
}
