package memory

import (
	"math"
	"time"

	"github.com/uniomq/unio/store"
)

// session is one client's mailbox. Its shard's mutex guards it.
//
// The queue is a slice of deliveries with consecutive ordinals, so that an
// ordinal is an index; a settled one stays as a gap, without message, until all before it are settled.
type session struct {
	key     string
	ref     store.Ref
	owner   any       // nil while no connection has it
	expires time.Time // zero: never, or attached
	// wakeable is whether the owner has seen all there was: set by a Next that
	// returned less than it could, cleared when the owner is woken.
	wakeable bool
	grouped  bool // something of a shared subscription was in the queue

	queue    []store.Delivery
	head     int    // queue[:head] is settled and gone
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
	s.queue = append(s.queue, d)
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
	if ordinal > s.last || i < s.head || s.queue[i].Message == nil {
		return nil
	}
	return &s.queue[i]
}

// index is where the ordinal stands, or would stand, in the queue.
func (s *session) index(ordinal uint64) int { return len(s.queue) - 1 - int(s.last-ordinal) }

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
	for s.head < len(s.queue) && s.queue[s.head].Message == nil {
		s.head++
	}
	switch {
	case s.head == len(s.queue) && cap(s.queue) > 32:
		s.queue, s.head = nil, 0 // an empty mailbox holds no memory
	case s.head == len(s.queue):
		s.queue, s.head = s.queue[:0], 0
	case s.head > 32 && s.head > len(s.queue)/2:
		n := copy(s.queue, s.queue[s.head:])
		clear(s.queue[n:])
		s.queue, s.head = s.queue[:n], 0
	}
}

func (s *session) next(after uint64, dst []store.Delivery) []store.Delivery {
	first := s.head
	if after >= s.last {
		first = len(s.queue)
	} else if i := s.index(after + 1); i > first {
		first = i
	}
	for i := first; i < len(s.queue); i++ {
		if s.queue[i].Message == nil {
			continue
		}
		if len(dst) == cap(dst) {
			s.wakeable = false // the owner comes again without being woken
			return dst
		}
		dst = append(dst, s.queue[i])
	}
	s.wakeable = true
	return dst
}
