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
		var refs []store.Ref
		err := each(s.db, kindGarbage, func(key, _ []byte) error {
			refs = append(refs, refOf(key))
			return nil
		})
		for _, ref := range refs {
			if err == nil {
				err = s.cleanSession(ref)
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

// cleanSession deletes what one session has left behind.
func (s *Store) cleanSession(ref store.Ref) error {
	for _, kind := range ofSession {
		for {
			done, err := s.cleanSome(kind, ref)
			if err != nil {
				return err
			}
			if done {
				break
			}
		}
	}
	return s.db.Delete(refKey(nil, kindGarbage, ref), pebble.NoSync)
}

// cleanSome deletes some keys of a kind.
func (s *Store) cleanSome(kind byte, ref store.Ref) (done bool, err error) {
	if err := s.stopped(); err != nil {
		return false, err
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: refKey(nil, kind, ref), UpperBound: refKey(nil, kind, ref+1)})
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
	n := 0
	for ok := it.First(); ok && n < cleanKeys; ok = it.Next() {
		n++
		if kind != kindEntry {
			err = b.Delete(it.Key(), nil)
		} else {
			var e entry
			if e, err = decodeEntry(ordinalOf(it.Key()), it.Value(), false); err == nil {
				err = deleteEntry(b, ref, &e)
			}
			if e.body != 0 {
				shared[e.body]++
			}
		}
		if err != nil {
			return false, err
		}
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
	return n < cleanKeys, nil
}
