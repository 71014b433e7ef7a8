package disk

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// A message for several sessions is written once, as a body that their entries refer to by number. How many do is counted in memory, by the
// committer alone. The body is deleted in the batch that deletes the last entry, and that is the order on the disk too: an entry never outlives
// its body. After a start the bodies from before are counted by reading all queues, in the background: until that
// is done, what they lose is noted as a debt.
//
// Counters on the disk, merged into the body by Pebble, would need no counting after a start. They wait for Pebble: deleting by
// merging is broken in the versions to this day (cockroachdb/pebble#6168).
type bodies struct {
	count   map[uint64]int // below zero: a debt
	counted uint64         // bodies up to this number are from before the start, and not counted yet; 0: all are
}

// add notes a new body that n entries refer to.
func (b *bodies) add(number uint64, n int) { b.count[number] = n }

// drop takes n references away and reports whether the body has none left.
func (b *bodies) drop(number uint64, n int) bool {
	left := b.count[number] - n
	if left == 0 && number > b.counted {
		delete(b.count, number)
		return true
	}
	b.count[number] = left
	return false
}

// dropBody takes references away, and deletes the body with the last one.
func (s *Store) dropBody(b *pebble.Batch, number uint64, n int) error {
	if number == 0 || !s.bodies.drop(number, n) {
		return nil
	}
	return b.SingleDelete(bodyKey(s.scratch[0], number), nil)
}

// countBodies counts the references to the bodies from before the start as they were then.
func (s *Store) countBodies(then *pebble.Snapshot) {
	defer func() { _ = then.Close() }()
	count, err := s.readReferences(then)
	if errors.Is(err, errStopped) {
		return
	}
	s.fail(err)
	s.work.put(work{apply: func(g *group) error {
		s.bodies.counted = 0
		for number, n := range count {
			if n += s.bodies.count[number]; n > 0 {
				s.bodies.count[number] = n
				continue
			}
			delete(s.bodies.count, number)
			if err := g.batch.SingleDelete(bodyKey(s.scratch[0], number), nil); err != nil {
				return err
			}
		}
		return nil
	}})
}

// readReferences returns how many entries refer to each body, 0 for a body that has outlived them.
func (s *Store) readReferences(then *pebble.Snapshot) (map[uint64]int, error) {
	count := make(map[uint64]int)
	err := each(then, kindBody, func(key, _ []byte) error {
		count[numberOf(key)] = 0
		return s.stopped()
	})
	if err != nil || len(count) == 0 {
		return count, err
	}
	return count, each(then, kindEntry, func(key, value []byte) error {
		e, err := decodeEntry(ordinalOf(key), value, false)
		if err != nil {
			return damaged(key, err)
		}
		if e.body != 0 {
			count[e.body]++
		}
		return s.stopped()
	})
}
