package disk

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/uniomq/unio/store"
)

// read is the task to fetch what comes next in a queue.
type read struct {
	box    *mailbox
	attach *attach // to be answered when the first is there; nil: wake the owner
}

// Next implements store.Store.
func (s *Store) Next(ref store.Ref, after uint64, dst []store.Delivery) []store.Delivery {
	box := s.boxes.find(ref)
	if box == nil || s.failed() != nil {
		return dst
	}
	box.mu.Lock()
	defer box.mu.Unlock()
	dst, more := box.next(after, dst)
	if more {
		box.reading = true
		s.reads.put(read{box: box})
	}
	return dst
}

// readAll is a reader.
func (s *Store) readAll() {
	for {
		r, ok := s.reads.one()
		if !ok {
			return
		}
		owner, wake, err := s.fill(r.box)
		s.fail(err)
		switch {
		case r.attach != nil:
			r.attach.done(r.attach.at, err)
		case wake:
			s.wake([]any{owner})
		}
	}
}

// fill reads the next entries of a queue into memory, and returns its owner if that is to be woken.
func (s *Store) fill(box *mailbox) (owner any, wake bool, err error) {
	box.mu.Lock()
	generation, after, to, room := box.generation, box.loaded, box.visible, windowMessages-box.window
	box.mu.Unlock()
	for {
		entries, end, err := s.readEntries(box.ref, after, to, room)
		if err != nil {
			return nil, false, err
		}
		box.mu.Lock()
		if box.generation != generation {
			box.mu.Unlock()
			return nil, false, nil // somebody else's by now
		}
		for _, e := range entries {
			if e.state == store.Queued && e.ordinal <= box.sent.ordinal {
				e.state = store.Sent
			}
			box.push(e)
		}
		box.loaded = end
		if len(entries) > 0 || box.loaded == box.visible {
			box.reading = false
			if len(entries) > 0 {
				owner, wake = box.news()
			}
			box.mu.Unlock()
			return owner, wake, nil
		}
		after, to = end, box.visible // nothing but gaps, and there is more by now
		box.mu.Unlock()
	}
}

// readEntries reads entries behind an ordinal and up to another one, and says how far it has come.
func (s *Store) readEntries(ref store.Ref, after, to uint64, room int) (entries []entry, end uint64, err error) {
	if after >= to {
		return nil, to, nil
	}
	bound := entryKey(nil, kindEntry, ref, to)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: entryKey(nil, kindEntry, ref, after+1), UpperBound: append(bound, 0)})
	if err != nil {
		return nil, after, err
	}
	defer func() {
		if closeErr := it.Close(); err == nil {
			err = closeErr
		}
	}()
	end = to
	size := int64(0)
	for ok := it.First(); ok; ok = it.Next() {
		if len(entries) >= room || size >= windowBytes {
			end = entries[len(entries)-1].ordinal
			break
		}
		e, err := decodeEntry(ordinalOf(it.Key()), it.Value(), true)
		if err == nil && e.body != 0 {
			e.message, err = s.readBody(e.body)
		}
		if err != nil {
			return nil, after, damaged(it.Key(), err)
		}
		size += e.message.Size()
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return nil, end, nil
	}
	return entries, end, s.readReleased(ref, entries)
}

func (s *Store) readBody(number uint64) (*store.Message, error) {
	v, closer, err := s.db.Get(bodyKey(nil, number))
	if err != nil {
		return nil, err
	}
	m, err := decodeMessage(v)
	if err != nil {
		return nil, err
	}
	return m, closer.Close()
}

// readReleased marks the entries that PUBREC came for.
func (s *Store) readReleased(ref store.Ref, entries []entry) error {
	first, last := entries[0].ordinal, entries[len(entries)-1].ordinal
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: entryKey(nil, kindReleased, ref, first), UpperBound: append(entryKey(nil, kindReleased, ref, last), 0),
	})
	if err != nil {
		return err
	}
	i := 0
	for ok := it.First(); ok; ok = it.Next() {
		for i < len(entries) && entries[i].ordinal < ordinalOf(it.Key()) {
			i++
		}
		if i < len(entries) && entries[i].ordinal == ordinalOf(it.Key()) {
			entries[i].state = store.Released
		}
	}
	return it.Close()
}

// recover reads all sessions, with their subscriptions, and the retained messages.
func (s *Store) recover(r store.Recovery) error {
	if err := s.recoverSessions(r); err != nil {
		return err
	}
	return each(s.db, kindRetained, func(key, value []byte) error {
		m, err := decodeMessage(value)
		if err != nil || r.Retained == nil {
			return err
		}
		return r.Retained(m)
	})
}

// each calls fn for every key of a kind.
func each(from pebble.Reader, kind byte, fn func(key, value []byte) error) (err error) {
	c, err := newCursor(from, kind)
	if err != nil {
		return err
	}
	for ; c.valid; c.next() {
		if err := fn(c.it.Key(), c.it.Value()); err != nil {
			key := append([]byte(nil), c.it.Key()...)
			_ = c.it.Close()
			return damaged(key, err)
		}
	}
	return c.it.Close()
}

// cursor walks over the keys of a kind.
type cursor struct {
	it    *pebble.Iterator
	valid bool
}

func newCursor(from pebble.Reader, kind byte) (*cursor, error) {
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: kindEnd(kind)})
	if err != nil {
		return nil, err
	}
	return &cursor{it: it, valid: it.First()}, nil
}

func (c *cursor) next() { c.valid = c.it.Next() }

// of calls fn for the keys of a session. Sessions must be asked for in order; keys of others between them are skipped.
func (c *cursor) of(ref store.Ref, fn func(key, value []byte) error) error {
	for ; c.valid && refOf(c.it.Key()) < ref; c.next() {
	}
	for ; c.valid && refOf(c.it.Key()) == ref; c.next() {
		if err := fn(c.it.Key(), c.it.Value()); err != nil {
			return damaged(c.it.Key(), err)
		}
	}
	return nil
}

func (s *Store) recoverSessions(r store.Recovery) error {
	subscriptions, err := newCursor(s.db, kindSubscription)
	if err != nil {
		return err
	}
	received, err := newCursor(s.db, kindReceived)
	if err != nil {
		return err
	}
	err = each(s.db, kindSession, func(key, value []byte) error {
		sess, err := decodeSession(refOf(key), value)
		if err != nil {
			return err
		}
		sess.may = true
		if sess.attached {
			sess.crashed, sess.attached = true, false
			if sess.expiry != store.ExpiryNever {
				sess.expires = r.Now.Add(seconds(sess.expiry))
			}
			if sess.will != nil {
				sess.will.At = r.Now.Add(seconds(sess.will.Delay))
			}
		}
		s.byKey[sess.key], s.byRef[sess.ref] = sess, sess
		err = received.of(sess.ref, func(key, value []byte) error {
			if len(key) != refSize+2 {
				return errMalformed
			}
			if sess.received == nil {
				sess.received = make(map[uint16]uint64)
			}
			var digest uint64 // 0: of a time when none was kept, or imported
			if len(value) == 8 {
				digest = binary.BigEndian.Uint64(value)
			}
			sess.received[binary.BigEndian.Uint16(key[refSize:])] = digest
			return nil
		})
		if err != nil {
			return err
		}
		out := sess.kept()
		err = subscriptions.of(sess.ref, func(key, value []byte) error {
			sub, err := decodeSubscription(string(key[refSize:]), value)
			out.Subscriptions = append(out.Subscriptions, sub)
			return err
		})
		if err != nil || r.Session == nil {
			return err
		}
		return r.Session(out)
	})
	for _, c := range []*cursor{subscriptions, received} {
		if closeErr := c.it.Close(); err == nil {
			err = closeErr
		}
	}
	return err
}
