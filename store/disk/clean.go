package disk

import (
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/uniomq/unio/store"
)

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

// cleanKeys is how many keys the cleaner deletes in one batch.
const cleanKeys = 512

// clean deletes what ended sessions have left behind, in small steps. It needs no sync: what is lost of it is done again.
func (s *Store) clean() {
	for {
		select {
		case <-s.garbage:
		case <-s.stop:
			return
		}
		var all []remains
		err := each(s.db, kindGarbage, func(key, value []byte) error {
			r := remains{ref: refOf(key)}
			if len(value) > 0 { // older ones have none
				d := decoder{p: value}
				if r.uncertain = d.uint(); d.bad {
					return errMalformed
				}
			}
			all = append(all, r)
			return nil
		})
		for _, r := range all {
			if err == nil {
				err = s.cleanSession(&r)
			}
		}
		if errors.Is(err, errStopped) {
			return
		}
		if err != nil {
			s.fail(err)
			return
		}
	}
}

// errStopped says that the store is being closed.
var errStopped = errors.New("stopped")

func (s *Store) stopped() error {
	select {
	case <-s.stop:
		return errStopped
	default:
		return nil
	}
}

// remains is what an ended session has left behind.
type remains struct {
	ref       store.Ref
	uncertain uint64 // as in session
	sent      uint64
	orphans   []store.Delivery // of shared subscriptions, found and not handed over yet
	bytes     int64            // of their messages
}

// cleanSession deletes what one session has left behind.
func (s *Store) cleanSession(r *remains) error {
	v, err := s.get(refKey(nil, kindProgress, r.ref))
	if err != nil {
		return err
	}
	if v != nil {
		p, err := decodeProgress(v)
		if err != nil {
			return damaged(refKey(nil, kindProgress, r.ref), err)
		}
		r.sent = p.ordinal
	}
	for _, kind := range ofSession {
		for {
			done, err := s.cleanSome(kind, r)
			if err == nil {
				err = s.handOver(r)
			}
			if err != nil {
				return err
			}
			if done {
				break
			}
		}
	}
	return s.db.Delete(refKey(nil, kindGarbage, r.ref), pebble.NoSync)
}

// handOver gives away what is an orphan, and waits until it is somebody else's.
func (s *Store) handOver(r *remains) error {
	if len(r.orphans) == 0 {
		return nil
	}
	ds := r.orphans
	r.orphans, r.bytes = nil, 0
	given := make(chan struct{})
	s.orphaned(r.ref, ds, func() { close(given) })
	select {
	case <-given:
	case <-s.stop:
		return errStopped
	}
	behind := make(chan error, 1) // all that was committed before
	s.Commit(&store.Tx{Done: func(err error) { behind <- err }})
	if err := <-behind; !errors.Is(err, store.ErrClosed) {
		return err
	}
	return errStopped
}

// orphan makes an entry of a shared subscription an orphan.
func (s *Store) orphan(r *remains, ordinal uint64, value []byte) error {
	e, err := decodeEntry(ordinal, value, true)
	if err != nil {
		return err
	}
	if e.body != 0 {
		if e.message, err = s.readBody(e.body); err != nil {
			return err
		}
	}
	if e.ordinal <= r.sent {
		e.state = store.Sent
	}
	box := mailbox{uncertain: r.uncertain}
	r.orphans = append(r.orphans, box.delivery(&e))
	r.bytes += e.message.Size()
	return nil
}

// cleanSome deletes some keys of a kind, but for orphans.
func (s *Store) cleanSome(kind byte, r *remains) (done bool, err error) {
	if err := s.stopped(); err != nil {
		return false, err
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: refKey(nil, kind, r.ref), UpperBound: refKey(nil, kind, r.ref+1)})
	if err != nil {
		return false, err
	}
	defer func() {
		if closeErr := it.Close(); err == nil {
			err = closeErr
		}
	}()
	b := s.db.NewBatch()
	shared := make(map[uint64]int)
	more := it.First()
	for n := 0; more && n < cleanKeys && r.bytes < windowBytes; n++ {
		if kind != kindEntry {
			err = b.Delete(it.Key(), nil)
		} else {
			err = s.cleanEntry(b, r, it, shared)
		}
		if err != nil {
			return false, err
		}
		more = it.Next()
	}
	if err := s.db.Apply(b, pebble.NoSync); err != nil {
		return false, err
	}
	if len(shared) > 0 { // only now: a body is deleted behind the last entry
		s.work.put(work{apply: func(g *group) error {
			for number, n := range shared {
				if err := s.dropBody(g.batch, number, n); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	return !more, nil
}

// cleanEntry deletes an entry, and counts the body that it refers to, or finds an orphan.
func (s *Store) cleanEntry(b *pebble.Batch, r *remains, it *pebble.Iterator, shared map[uint64]int) error {
	e, err := decodeEntry(ordinalOf(it.Key()), it.Value(), false)
	if err != nil {
		return damaged(it.Key(), err)
	}
	if e.group != "" && s.orphaned != nil {
		return s.orphan(r, e.ordinal, it.Value())
	}
	if e.body != 0 {
		shared[e.body]++
	}
	return deleteEntry(b, r.ref, &e)
}
