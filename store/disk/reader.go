package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/uniomq/unio/store"
)

// ErrNoStore says that there is no store in a folder.
var ErrNoStore = errors.New("there is no store")

// Reader reads a store that no broker has open. It changes nothing.
type Reader struct {
	s    Store // of which the reading functions are used
	lock *pebble.Lock
}

// OpenReader opens the store in a folder for reading. The error is, or wraps, ErrNoStore, ErrInUse or ErrVersion, or tells of damage.
func OpenReader(dir string) (*Reader, error) {
	is, err := isStore(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !is:
		return nil, fmt.Errorf("%s: %w", dir, ErrNoStore)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	r := &Reader{s: Store{dir: dir}}
	if r.lock, err = pebble.LockDirectory(dir, vfs.Default); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w (%w)", dir, ErrInUse, err)
	}
	cache := pebble.NewCache(cacheSize)
	defer cache.Unref()
	r.s.db, err = pebble.Open(dir, &pebble.Options{FS: vfs.Default, Lock: r.lock, Cache: cache, ReadOnly: true, Logger: silent{}})
	if err == nil {
		err = r.checkFormat()
	}
	if err != nil {
		if r.s.db != nil {
			err = errors.Join(err, r.s.db.Close())
		}
		return nil, fmt.Errorf("store: %s: %w", dir, errors.Join(err, r.lock.Close()))
	}
	return r, nil
}

func (r *Reader) checkFormat() error {
	v, err := r.s.get([]byte{kindFormat})
	if err != nil {
		return err
	}
	if len(v) != 1 || v[0] != format { // a store has it from its first moment
		return fmt.Errorf("%w: %v", ErrVersion, v)
	}
	return nil
}

// Close ends reading.
func (r *Reader) Close() error {
	return errors.Join(r.s.db.Close(), r.lock.Close())
}

// release ends reading and leaves the lock to the caller.
func (r *Reader) release() (*pebble.Lock, error) {
	if err := r.s.db.Close(); err != nil {
		return nil, errors.Join(err, r.lock.Close())
	}
	return r.lock, nil
}

// empty reports whether the store holds no session and no retained message.
func (r *Reader) empty() (bool, error) {
	for _, kind := range [...]byte{kindSession, kindRetained} {
		c, err := newCursor(r.s.db, kind)
		if err != nil {
			return false, err
		}
		some := c.valid
		if err := c.it.Close(); err != nil || some {
			return false, err
		}
	}
	return true, nil
}

// Stored is a session as it is found in a store.
type Stored struct {
	store.Session
	Attached         bool     // it was connected when the store was written last
	Received         []uint16 // packet ids of QoS 2 messages received and not yet released
	Queued, InFlight int      // deliveries not sent yet, and those sent and not acknowledged
}

// Sessions calls fn for each session.
func (r *Reader) Sessions(fn func(*Stored) error) error {
	return each(r.s.db, kindSession, func(key, value []byte) error {
		sess, err := decodeSession(refOf(key), value)
		if err != nil {
			return err
		}
		out := &Stored{Attached: sess.attached, Session: sess.kept()}
		if err := r.fill(out); err != nil {
			return err
		}
		return fn(out)
	})
}

// fill adds what belongs to a session.
func (r *Reader) fill(s *Stored) error {
	err := r.of(kindSubscription, s.Ref, func(key, value []byte) error {
		sub, err := decodeSubscription(string(key[refSize:]), value)
		s.Subscriptions = append(s.Subscriptions, sub)
		return err
	})
	if err != nil {
		return err
	}
	err = r.of(kindReceived, s.Ref, func(key, _ []byte) error {
		if len(key) != refSize+2 {
			return errMalformed
		}
		s.Received = append(s.Received, binary.BigEndian.Uint16(key[refSize:]))
		return nil
	})
	if err != nil {
		return err
	}
	sent, err := r.sent(s.Ref)
	if err != nil {
		return err
	}
	return r.of(kindEntry, s.Ref, func(key, _ []byte) error {
		if ordinalOf(key) <= sent {
			s.InFlight++
		} else {
			s.Queued++
		}
		return nil
	})
}

// sent is the ordinal up to which a session's queue was sent.
func (r *Reader) sent(ref store.Ref) (uint64, error) {
	key := refKey(nil, kindProgress, ref)
	v, err := r.s.get(key)
	if err != nil || v == nil {
		return 0, err
	}
	p, err := decodeProgress(v)
	if err != nil {
		return 0, damaged(key, err)
	}
	return p.ordinal, nil
}

// of calls fn for the keys of a kind that a session has.
func (r *Reader) of(kind byte, ref store.Ref, fn func(key, value []byte) error) error {
	c, err := newCursor(r.s.db, kind)
	if err != nil {
		return err
	}
	c.valid = c.it.SeekGE(refKey(nil, kind, ref))
	return errors.Join(c.of(ref, fn), c.it.Close())
}

// Queue calls fn for each delivery of a session, in order.
func (r *Reader) Queue(ref store.Ref, fn func(*store.Delivery) error) error {
	sent, err := r.sent(ref)
	if err != nil {
		return err
	}
	box := &mailbox{ref: ref}
	for after := uint64(0); after < math.MaxUint64; {
		entries, end, err := r.s.readEntries(ref, after, math.MaxUint64, windowMessages)
		if err != nil {
			return err
		}
		for i := range entries {
			e := &entries[i]
			if e.state == store.Queued && e.ordinal <= sent {
				e.state = store.Sent
			}
			d := box.delivery(e)
			if err := fn(&d); err != nil {
				return err
			}
		}
		after = end
	}
	return nil
}

// Retained calls fn for each retained message.
func (r *Reader) Retained(fn func(*store.Message) error) error {
	return each(r.s.db, kindRetained, func(_, value []byte) error {
		m, err := decodeMessage(value)
		if err != nil {
			return err
		}
		return fn(m)
	})
}

// verify reads everything once, so that what is damaged or missing is found.
func (r *Reader) verify() error {
	err := r.Sessions(func(s *Stored) error { return r.Queue(s.Ref, func(*store.Delivery) error { return nil }) })
	if err != nil {
		return err
	}
	return r.Retained(func(*store.Message) error { return nil })
}
