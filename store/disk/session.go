package disk

import (
	"sort"
	"sync"
	"time"

	"github.com/uniomq/unio/store"
)

// session is what is known of every stored session without reading. The committer owns it.
type session struct {
	key       string // store.Key
	ref       store.Ref
	expires   time.Time // zero: never, or attached
	expiry    uint32
	attached  bool
	crashed   bool   // was attached when the process before this one ended
	may       bool   // may hold more than its own record: see remove
	uncertain uint64 // deliveries up to this ordinal may have been sent without a trace
	will      *store.Will
	received  map[uint16]uint64
	box       *mailbox // nil until its queue is needed
}

func (s *session) expired(now time.Time) bool { return !s.expires.IsZero() && !now.Before(s.expires) }

// kept is what others are told of the session, without its subscriptions.
func (s *session) kept() store.Session {
	id, point := store.SplitKey(s.key)
	return store.Session{Ref: s.ref, ClientID: id, MountPoint: point, Expiry: s.expiry, ExpiresAt: s.expires, Will: s.will}
}

// mailbox is a queue as far as it is in memory: the totals always, entries only while a connection has the session, and of
// those that are not sent yet no more than a window.
type mailbox struct {
	ref store.Ref

	// The committer owns these: what was written, durable or not.
	last   uint64 // ordinal of the newest delivery ever
	lastID uint16 // packet id given out last
	total  uint64 // bytes enqueued ever

	mu         sync.Mutex // guards the rest
	sent       progress   // only the committer changes it
	uncertain  uint64     // as in session
	attached   bool       // some connection has it
	owner      any
	wakeable   bool    // the owner has seen all that there was in memory
	reading    bool    // a read is on its way, and will append what it finds
	generation uint64  // attachments; a read for an earlier one is void
	visible    uint64  // deliveries up to this ordinal are durable
	floor      uint64  // deliveries up to this ordinal are settled
	loaded     uint64  // those up to this ordinal are, or were, among entries
	entries    []entry // in order; settled ones go when all before them have
	window     int     // entries that hold a message
	bytes      int64   // of these messages
}

// What a mailbox holds of messages at most, unless one is larger.
const (
	windowMessages = 1024
	windowBytes    = 256 << 10
)

func (b *mailbox) room() bool { return b.window < windowMessages && b.bytes < windowBytes }

// find returns the unsettled entry with the ordinal, if it is in memory.
func (b *mailbox) find(ordinal uint64) *entry {
	if n := len(b.entries); n == 0 || ordinal < b.entries[0].ordinal || ordinal > b.entries[n-1].ordinal {
		return nil
	}
	i := b.behind(ordinal - 1)
	if i == len(b.entries) || b.entries[i].ordinal != ordinal || b.entries[i].settled {
		return nil
	}
	return &b.entries[i]
}

// behind is the index of the first entry with an ordinal above after.
func (b *mailbox) behind(after uint64) int {
	if n := len(b.entries); n > 0 && after >= b.entries[0].ordinal && b.entries[n-1].ordinal-b.entries[0].ordinal == uint64(n-1) {
		return int(min(after-b.entries[0].ordinal+1, uint64(n))) // without gaps, as mostly
	}
	return sort.Search(len(b.entries), func(i int) bool { return b.entries[i].ordinal > after })
}

// arrive takes note that an entry is durable. It stays in memory if all before it are, and if there is room. It returns the owner if that is to be woken.
func (b *mailbox) arrive(e *entry) (owner any, wake bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	atEnd := b.loaded == b.visible && !b.reading
	b.visible = e.ordinal
	if !b.attached || !atEnd || !b.room() {
		return nil, false // a read will find it; see wants
	}
	b.push(*e)
	return b.news()
}

// news returns the owner if it is to be woken now.
func (b *mailbox) news() (owner any, wake bool) {
	if !b.attached || !b.wakeable {
		return nil, false
	}
	b.wakeable = false
	return b.owner, true
}

// push appends an entry that is durable.
func (b *mailbox) push(e entry) {
	b.loaded = e.ordinal
	b.entries = append(b.entries, e)
	b.window++
	b.bytes += e.message.Size()
}

// forget lets go of the entry's message.
func (b *mailbox) forget(e *entry) {
	if e.message != nil {
		b.window--
		b.bytes -= e.message.Size()
		e.message = nil
	}
}

// settle removes an entry.
func (b *mailbox) settle(e *entry) {
	b.forget(e)
	e.settled = true
	n := 0
	for n < len(b.entries) && b.entries[n].settled {
		n++
	}
	switch {
	case n == len(b.entries):
		b.entries = b.entries[:0]
		if cap(b.entries) > 64 {
			b.entries = nil // an empty queue holds no memory
		}
	case n > 0:
		b.entries = b.entries[n:]
	}
}

// markSent marks the entries in memory up to an ordinal.
func (b *mailbox) markSent(to progress) {
	for i := b.behind(b.sent.ordinal); i < len(b.entries) && b.entries[i].ordinal <= to.ordinal; i++ {
		if e := &b.entries[i]; e.state == store.Queued {
			e.state = store.Sent
		}
	}
	b.sent = to
}

// next appends deliveries to dst, and reports whether there are more on the disk that should be read now.
func (b *mailbox) next(after uint64, dst []store.Delivery) (_ []store.Delivery, read bool) {
	first := b.behind(after)
	for i := first - 1; i >= 0 && (b.entries[i].message != nil || b.entries[i].settled); i-- {
		b.forget(&b.entries[i]) // the owner has it
	}
	b.wakeable = true
	for i := first; i < len(b.entries); i++ {
		e := &b.entries[i]
		if e.settled || e.message == nil {
			continue
		}
		if len(dst) == cap(dst) {
			b.wakeable = false // the owner comes again without being woken
			break
		}
		dst = append(dst, b.delivery(e))
	}
	return dst, b.wants()
}

// wants reports whether a read should begin.
func (b *mailbox) wants() bool {
	return b.attached && !b.reading && b.loaded < b.visible && b.window < windowMessages/2 && b.bytes < windowBytes/2
}

func (b *mailbox) delivery(e *entry) store.Delivery {
	d := store.Delivery{
		Ordinal: e.ordinal, Message: e.message, Group: e.group, SubscriptionID: e.subID, QoS: e.qos, Retain: e.retain, State: e.state,
		Uncertain: e.state == store.Queued && e.ordinal <= b.uncertain,
	}
	if e.qos > 0 {
		d.PacketID = e.id
	}
	return d
}

// attach gives the queue to an owner. A read that fetches its beginning must follow.
func (b *mailbox) attach(owner any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reset()
	b.attached, b.owner, b.wakeable, b.reading = true, owner, true, true
}

func (b *mailbox) detach() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reset()
}

// reset drops what only a connection needs.
func (b *mailbox) reset() {
	if !b.reading && b.attached {
		b.floor = b.loaded
	}
	if len(b.entries) > 0 {
		b.floor = b.entries[0].ordinal - 1
	}
	b.attached, b.owner, b.entries, b.window, b.bytes, b.loaded, b.reading = false, nil, nil, 0, 0, b.floor, false
	b.generation++
}

// table finds the mailboxes of attached sessions, from any goroutine.
type table [64]struct {
	mu sync.Mutex
	m  map[store.Ref]*mailbox
}

func (t *table) init() {
	for i := range t {
		t[i].m = make(map[store.Ref]*mailbox)
	}
}

func (t *table) find(ref store.Ref) *mailbox {
	sh := &t[ref%64]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.m[ref]
}

func (t *table) put(b *mailbox) {
	sh := &t[b.ref%64]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.m[b.ref] = b
}

func (t *table) remove(ref store.Ref) {
	sh := &t[ref%64]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.m, ref)
}
