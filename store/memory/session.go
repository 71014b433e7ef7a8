package memory

import (
	"math"
	"time"

	"github.com/uniomq/unio/internal/fifo"
	"github.com/uniomq/unio/store"
)

// session is one client's mailbox. Its shard's mutex guards it.
//
// The queue is of deliveries with consecutive ordinals, so that an ordinal is an index; a settled one
// stays as a gap, without message, until all before it are settled.
type session struct {
	key     string
	ref     store.Ref
	owner   any       // nil while no connection has it
	expires time.Time // zero: never, or attached
	// wakeable is whether the owner has seen all there was: set by a Next that
	// returned less than it could, cleared when the owner is woken.
	wakeable bool
	grouped  bool // something of a shared subscription was in the queue

	queue    fifo.Queue[store.Delivery]
	last     uint64 // ordinal of the newest delivery ever
	lastID   uint16 // packet id of the newest delivery at QoS 1 or 2
	sent     uint64 // deliveries up to this ordinal have been sent
	waiting  int    // deliveries above sent
	bytes    int64  // their size
	received map[uint16]uint64
}

func (s *session) expired(now time.Time) bool {
	return !s.expires.IsZero() && !now.Before(s.expires)
}

// apply carries out one command and reports whether the owner must be woken.
func (s *session) apply(c *store.Command) (wake bool) {
	switch c.Op {
	case store.Enqueue:
		return s.enqueue(c)
	case store.SetSent:
		s.setSent(c.Ordinal)
	case store.SetReleased:
		if d := s.at(c.Ordinal); d != nil {
			d.State = store.Released
		}
	case store.Settle:
		s.settle(c.Ordinal)
	case store.Receive:
		if s.received == nil {
			s.received = make(map[uint16]uint64)
		}
		s.received[c.PacketID] = c.Digest
	case store.Release:
		delete(s.received, c.PacketID)
	case store.Detach:
		s.owner = nil
		if c.Expiry != store.ExpiryNever {
			s.expires = c.At.Add(time.Duration(c.Expiry) * time.Second)
		}
	case store.Subscribe, store.Unsubscribe, store.ClearWill, store.Retain, store.Remove, store.Forget:
		// Only asked for after a restart, which nothing here survives; Remove is the shard's.
	}
	return false
}

func (s *session) enqueue(c *store.Command) (wake bool) {
	size := c.Delivery.Message.Size()
	if c.Limit.Messages > 0 && s.waiting >= c.Limit.Messages || c.Limit.Bytes > 0 && s.waiting > 0 && s.bytes+size > c.Limit.Bytes {
		c.Dropped = true
		return false
	}
	d := c.Delivery
	s.last++
	c.Ordinal = s.last
	d.Ordinal, d.PacketID, d.State = s.last, 0, store.Queued
	if d.QoS > 0 {
		s.lastID = s.lastID%math.MaxUint16 + 1
		d.PacketID = s.lastID
	}
	s.queue.Push(d)
	s.grouped = s.grouped || d.Group != ""
	s.waiting++
	s.bytes += size
	wake = s.owner != nil && s.wakeable
	if wake {
		s.wakeable = false
	}
	return wake
}

// at returns the unsettled delivery with the ordinal, or nil.
func (s *session) at(ordinal uint64) *store.Delivery {
	i := s.index(ordinal)
	if ordinal > s.last || i < 0 {
		return nil
	}
	d := s.queue.At(i)
	if d.Message == nil {
		return nil
	}
	return d
}

// all is what the queue holds, gaps included.
func (s *session) all() []store.Delivery {
	all := make([]store.Delivery, s.queue.Len())
	for i := range all {
		all[i] = *s.queue.At(i)
	}
	return all
}

// index is where the ordinal stands, or would stand, in the queue.
func (s *session) index(ordinal uint64) int { return s.queue.Len() - 1 - int(s.last-ordinal) }

func (s *session) setSent(ordinal uint64) {
	for o := s.sent + 1; o <= min(ordinal, s.last); o++ {
		if d := s.at(o); d != nil {
			d.State = store.Sent
			s.unwait(d)
		}
	}
	s.sent = max(s.sent, min(ordinal, s.last))
}

func (s *session) unwait(d *store.Delivery) {
	s.waiting--
	s.bytes -= d.Message.Size()
}

func (s *session) settle(ordinal uint64) {
	d := s.at(ordinal)
	if d == nil {
		return
	}
	s.setSent(ordinal)
	*d = store.Delivery{Ordinal: ordinal}
	for s.queue.Len() > 0 && s.queue.At(0).Message == nil {
		s.queue.Pop()
	}
}

func (s *session) next(after uint64, dst []store.Delivery) []store.Delivery {
	first := s.queue.Len()
	if after < s.last {
		first = max(s.index(after+1), 0)
	}
	for i := first; i < s.queue.Len(); i++ {
		d := s.queue.At(i)
		if d.Message == nil {
			continue
		}
		if len(dst) == cap(dst) {
			s.wakeable = false // the owner comes again without being woken
			return dst
		}
		dst = append(dst, *d)
	}
	s.wakeable = true
	return dst
}
