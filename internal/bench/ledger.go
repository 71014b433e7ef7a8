package bench

import (
	"encoding/binary"
	"sync"
)

// stampSize is how many bytes at the beginning of a payload say which message it is: the publisher's number and the message's
// sequence number, both big-endian.
const stampSize = 8

func putStamp(payload []byte, publisher, seq uint32) {
	binary.BigEndian.PutUint32(payload, publisher)
	binary.BigEndian.PutUint32(payload[4:], seq)
}

func stamp(payload []byte) (publisher, seq uint32) {
	return binary.BigEndian.Uint32(payload), binary.BigEndian.Uint32(payload[4:])
}

// verdict says what an arrival is.
type verdict uint8

const (
	fresh     verdict = iota
	late              // fresh, but behind one that was sent after it
	duplicate         // was here before
)

// A book knows what arrived at a subscriber.
type book interface {
	arrive(publisher, seq uint32) verdict
	// lost returns how many messages did not arrive, of a publisher that sent the sequence numbers 0 to sent-1. It is asked
	// when nothing arrives any more. Where several subscribers share the messages, one of them answers.
	lost(publisher, sent uint32) int
}

// ledger keeps account of one publisher's sequence. Sequence numbers wrap, so they are compared by their distance.
type ledger struct {
	next    uint32
	missing map[uint32]struct{} // below next and not here yet; nil until there is a gap
}

func (l *ledger) arrive(seq uint32) verdict {
	ahead := int32(seq - l.next)
	if ahead < 0 {
		if _, gap := l.missing[seq]; !gap {
			return duplicate
		}
		delete(l.missing, seq)
		return late
	}
	for ; l.next != seq; l.next++ {
		if l.missing == nil {
			l.missing = map[uint32]struct{}{}
		}
		l.missing[l.next] = struct{}{}
	}
	l.next++
	return fresh
}

func (l *ledger) lost(sent uint32) int { return len(l.missing) + int(sent-l.next) }

// ownBook is that of a subscriber that receives everything of its publishers, first to first+len(ledgers)-1.
type ownBook struct {
	first   uint32
	ledgers []ledger
}

func (b *ownBook) arrive(publisher, seq uint32) verdict {
	return b.ledgers[publisher-b.first].arrive(seq)
}

func (b *ownBook) lost(publisher, sent uint32) int {
	if i := publisher - b.first; int(i) < len(b.ledgers) {
		return b.ledgers[i].lost(sent)
	}
	return 0
}

// pool is what several subscribers receive together: each message goes to one of them.
type pool struct {
	mu      sync.Mutex
	ledgers []ledger
}

// shareBook is that of one subscriber of several. Between them there is no order; within one there is.
type shareBook struct {
	pool  *pool
	first bool     // answers for all
	next  []uint32 // by publisher: behind the highest that came here
}

func (b *shareBook) arrive(publisher, seq uint32) verdict {
	b.pool.mu.Lock()
	v := b.pool.ledgers[publisher].arrive(seq)
	b.pool.mu.Unlock()
	if v == duplicate {
		return v
	}
	if int32(seq-b.next[publisher]) < 0 {
		return late
	}
	b.next[publisher] = seq + 1
	return fresh
}

func (b *shareBook) lost(publisher, sent uint32) int {
	if !b.first {
		return 0
	}
	b.pool.mu.Lock()
	defer b.pool.mu.Unlock()
	return b.pool.ledgers[publisher].lost(sent)
}

// setBook is that of a subscriber that receives a set, whose order means nothing: retained messages.
type setBook struct {
	publishers uint32
	seen       []uint64 // a bit for each message; that of publisher p with number s is s*publishers+p
}

func newSetBook(publishers, messages int) *setBook {
	perPublisher := (messages + publishers - 1) / publishers
	return &setBook{publishers: uint32(publishers), seen: make([]uint64, (perPublisher*publishers+63)/64)}
}

func (b *setBook) arrive(publisher, seq uint32) verdict {
	i := seq*b.publishers + publisher
	if b.seen[i/64]&(1<<(i%64)) != 0 {
		return duplicate
	}
	b.seen[i/64] |= 1 << (i % 64)
	return fresh
}

func (b *setBook) lost(publisher, sent uint32) int {
	n := 0
	for s := range sent {
		if i := s*b.publishers + publisher; b.seen[i/64]&(1<<(i%64)) == 0 {
			n++
		}
	}
	return n
}
