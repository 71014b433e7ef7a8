package disk

import (
	"context"
	"encoding/binary"
	"maps"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/uniomq/unio/store"
)

// number gives out a number for a ref or a body that was never given out before. The counter is written far ahead, in the batch
// that first uses what it grants.
func (s *Store) number(b *pebble.Batch) (uint64, error) {
	s.counter++
	if s.counter >= s.granted {
		s.granted = s.counter + counterBlock
		if err := b.Set([]byte{kindCounter}, binary.AppendUvarint(nil, s.granted), nil); err != nil {
			return 0, err
		}
	}
	return s.counter, nil
}

// applyAttach makes the session the caller's.
func (s *Store) applyAttach(g *group, a *attach) error {
	if a.ctx.Err() != nil {
		a.late = context.Cause(a.ctx)
		return nil
	}
	key := store.Key(a.ClientID, a.MountPoint)
	sess := s.byKey[key]
	if sess != nil && (a.Clean || sess.expired(a.Now)) {
		g.sync = true
		if err := s.remove(g, sess); err != nil {
			return err
		}
		sess = nil
	}
	switch {
	case sess == nil && !a.Keep:
		return nil
	case sess == nil:
		n, err := s.number(g.batch)
		if err != nil {
			return err
		}
		sess = &session{key: key, ref: newRef(key, n)}
		sess.box = &mailbox{ref: sess.ref}
		s.byKey[sess.key], s.byRef[sess.ref] = sess, sess
	default:
		if _, err := s.box(sess); err != nil {
			return err
		}
		a.at.Present, a.at.Received = true, maps.Clone(sess.received)
	}
	a.at.Ref, a.box = sess.ref, sess.box
	sess.attached, sess.crashed, sess.expires, sess.expiry, sess.will = true, false, time.Time{}, a.Expiry, a.Will
	g.sync = true
	g.effects = append(g.effects, effect{kind: attached, box: sess.box, owner: a.Owner})
	return s.writeSession(g.batch, sess)
}

func (s *Store) writeSession(b *pebble.Batch, sess *session) error {
	s.scratch[0] = refKey(s.scratch[0], kindSession, sess.ref)
	s.scratch[1] = appendSession(s.scratch[1][:0], sess)
	return b.Set(s.scratch[0], s.scratch[1], nil)
}

// box returns the session's queue, whose totals are read when it is first needed.
func (s *Store) box(sess *session) (*mailbox, error) {
	if sess.box != nil {
		return sess.box, nil
	}
	box := &mailbox{ref: sess.ref}
	v, err := s.get(refKey(nil, kindProgress, sess.ref))
	if err != nil {
		return nil, err
	}
	if v != nil {
		if box.sent, err = decodeProgress(v); err != nil {
			return nil, damaged(refKey(nil, kindProgress, sess.ref), err)
		}
	}
	box.last, box.total, box.lastID = box.sent.ordinal, box.sent.total, box.sent.id
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: refKey(nil, kindEntry, sess.ref), UpperBound: refKey(nil, kindEntry, sess.ref+1)})
	if err != nil {
		return nil, err
	}
	if it.Last() && ordinalOf(it.Key()) > box.last {
		e, err := decodeEntry(ordinalOf(it.Key()), it.Value(), false)
		if err != nil {
			_ = it.Close()
			return nil, damaged(it.Key(), err)
		}
		box.last, box.total, box.lastID = e.ordinal, e.total, e.id
	}
	if err := it.Close(); err != nil {
		return nil, err
	}
	box.visible = box.last
	if sess.crashed {
		sess.uncertain = box.last
	}
	box.uncertain = sess.uncertain
	sess.box, sess.may = box, true
	return box, nil
}

// applyTx applies a transaction's commands.
func (s *Store) applyTx(g *group, tx *store.Tx) error {
	for i := 0; i < len(tx.Commands); i++ {
		c := &tx.Commands[i]
		if c.Op == store.Retain {
			if err := s.retain(g.batch, c.Message); err != nil {
				return err
			}
			g.sync = g.sync || tx.Wait
			continue
		}
		if c.Op == store.Enqueue {
			n, err := s.enqueue(g, tx.Commands[i:])
			if err != nil {
				return err
			}
			g.sync = g.sync || tx.Wait
			i += n - 1
			continue
		}
		if c.Op == store.Forget {
			if err := s.forget(g.batch, c.Ref, c.Ordinal); err != nil {
				return err
			}
			g.sync = g.sync || tx.Wait
			continue
		}
		sess := s.byRef[c.Ref]
		if sess == nil {
			continue
		}
		if err := s.apply(g, sess, c); err != nil {
			return err
		}
		switch c.Op {
		case store.SetSent, store.Settle, store.ClearWill: // may be lost from the log's end
		default:
			g.sync = g.sync || tx.Wait
		}
	}
	return nil
}

// apply applies one command of a session, other than Enqueue.
func (s *Store) apply(g *group, sess *session, c *store.Command) error {
	key := s.scratch[0]
	switch c.Op {
	case store.SetSent:
		return s.setSent(g.batch, sess, c.Ordinal)
	case store.SetReleased:
		return s.setReleased(g.batch, sess, c.Ordinal)
	case store.Settle:
		return s.settle(g.batch, sess, c.Ordinal)
	case store.Receive:
		if sess.received == nil {
			sess.received = make(map[uint16]uint64)
		}
		sess.received[c.PacketID] = c.Digest
		var digest [8]byte
		return g.batch.Set(receivedKey(key, sess.ref, c.PacketID), binary.BigEndian.AppendUint64(digest[:0], c.Digest), nil)
	case store.Release:
		delete(sess.received, c.PacketID)
		return g.batch.Delete(receivedKey(key, sess.ref, c.PacketID), nil)
	case store.Subscribe:
		sess.may = true
		s.scratch[1] = appendSubscription(s.scratch[1][:0], c.Subscription)
		return g.batch.Set(subscriptionKey(key, sess.ref, c.Subscription.Filter), s.scratch[1], nil)
	case store.Unsubscribe:
		return g.batch.Delete(subscriptionKey(key, sess.ref, c.Subscription.Filter), nil)
	case store.Detach:
		return s.detach(g, sess, c)
	case store.ClearWill:
		sess.will = nil
		return s.writeSession(g.batch, sess)
	case store.Remove:
		return s.remove(g, sess)
	case store.Enqueue, store.Retain, store.Forget: // not here
	}
	return nil
}

func (s *Store) retain(b *pebble.Batch, m *store.Message) error {
	s.scratch[0] = retainedKey(s.scratch[0], m.Topic)
	if len(m.Payload) == 0 {
		return b.Delete(s.scratch[0], nil)
	}
	s.scratch[1] = appendMessage(s.scratch[1][:0], m)
	return b.Set(s.scratch[0], s.scratch[1], nil)
}

func (s *Store) detach(g *group, sess *session, c *store.Command) error {
	sess.attached, sess.expiry, sess.expires = false, c.Expiry, time.Time{}
	if c.Expiry != store.ExpiryNever {
		sess.expires = c.At.Add(seconds(c.Expiry))
	}
	switch {
	case c.WillAt.IsZero():
		sess.will = nil
	case sess.will != nil:
		w := *sess.will
		w.At = c.WillAt
		sess.will = &w
	}
	if sess.box != nil {
		g.effects = append(g.effects, effect{kind: detached, box: sess.box})
	}
	return s.writeSession(g.batch, sess)
}

// remove ends a session. What it may hold besides its record is left to the cleaner, in the same batch.
func (s *Store) remove(g *group, sess *session) error {
	delete(s.byRef, sess.ref)
	if s.byKey[sess.key] == sess {
		delete(s.byKey, sess.key)
	}
	if sess.box != nil {
		g.effects = append(g.effects, effect{kind: detached, box: sess.box})
	}
	if sess.may || sess.box == nil || len(sess.received) > 0 {
		uncertain := sess.uncertain
		if sess.crashed && sess.box == nil {
			uncertain = math.MaxUint64 // whatever there is
		}
		s.scratch[1] = binary.AppendUvarint(s.scratch[1][:0], uncertain)
		if err := g.batch.Set(refKey(s.scratch[0], kindGarbage, sess.ref), s.scratch[1], nil); err != nil {
			return err
		}
		g.garbage = true
	}
	return g.batch.Delete(refKey(s.scratch[0], kindSession, sess.ref), nil)
}

// enqueue puts deliveries into queues: the first command's and those after it with the same message, which is written once if several
// queues take it. It returns how many commands it has dealt with.
func (s *Store) enqueue(g *group, cs []store.Command) (n int, err error) {
	m := cs[0].Delivery.Message
	taken := 0
	size := uint64(m.Size())
	for n < len(cs) && cs[n].Op == store.Enqueue && cs[n].Delivery.Message == m {
		c := &cs[n]
		n++
		sess := s.byRef[c.Ref]
		if sess == nil {
			c.Void = true
			continue
		}
		box, err := s.box(sess)
		if err != nil {
			return 0, err
		}
		if box.exceeds(c.Limit, size) {
			c.Dropped = true
			continue
		}
		sess.may = true
		box.last++
		c.Ordinal = box.last
		box.total += size
		if c.Delivery.QoS > 0 {
			box.lastID = box.lastID%math.MaxUint16 + 1
		}
		taken++
		d := &c.Delivery
		g.effects = append(g.effects, effect{kind: arrived, box: box, entry: entry{
			ordinal: box.last, total: box.total, message: m, group: d.Group, subID: d.SubscriptionID, id: box.lastID, qos: d.QoS, retain: d.Retain,
		}})
	}
	return n, s.writeEntries(g, g.effects[len(g.effects)-taken:], m)
}

// exceeds reports whether one more message is more than the limit. Only the committer changes what is looked at.
func (b *mailbox) exceeds(l store.Limit, size uint64) bool {
	waiting := b.last - b.sent.ordinal
	return l.Messages > 0 && waiting >= uint64(l.Messages) ||
		l.Bytes > 0 && waiting > 0 && b.total-b.sent.total+size > uint64(l.Bytes)
}

// writeEntries writes the entries of one message.
func (s *Store) writeEntries(g *group, effects []effect, m *store.Message) error {
	var body uint64
	if len(effects) > 1 {
		n, err := s.number(g.batch)
		if err != nil {
			return err
		}
		body = n
		s.scratch[1] = appendMessage(s.scratch[1][:0], m)
		s.bodies.add(body, len(effects))
		if err := g.batch.Set(bodyKey(s.scratch[0], body), s.scratch[1], nil); err != nil {
			return err
		}
	}
	for i := range effects {
		e := &effects[i].entry
		e.body = body
		s.scratch[0] = entryKey(s.scratch[0], kindEntry, effects[i].box.ref, e.ordinal)
		s.scratch[1] = appendEntry(s.scratch[1][:0], e)
		if err := g.batch.Set(s.scratch[0], s.scratch[1], nil); err != nil {
			return err
		}
	}
	return nil
}

// setSent notes that all deliveries up to the ordinal were sent.
func (s *Store) setSent(b *pebble.Batch, sess *session, ordinal uint64) error {
	box, err := s.box(sess)
	if err != nil || min(ordinal, box.last) <= box.sent.ordinal {
		return err
	}
	to := progress{ordinal: box.last, total: box.total, id: box.lastID}
	if ordinal < box.last {
		e, ok, err := s.lookup(box, ordinal)
		if err != nil || !ok {
			return err
		}
		to = progress{ordinal: ordinal, total: e.total, id: e.id}
	}
	box.mu.Lock()
	box.markSent(to)
	box.mu.Unlock()
	s.scratch[1] = appendProgress(s.scratch[1][:0], to)
	return b.Set(refKey(s.scratch[0], kindProgress, sess.ref), s.scratch[1], nil)
}

// lookup finds an unsettled entry, without its message if that was handed out. An owner speaks of what it was given, which is in memory;
// reading is for the rest.
func (s *Store) lookup(box *mailbox, ordinal uint64) (entry, bool, error) {
	box.mu.Lock()
	e := box.find(ordinal)
	if e != nil {
		defer box.mu.Unlock()
		return *e, true, nil
	}
	box.mu.Unlock()
	key := entryKey(nil, kindEntry, box.ref, ordinal)
	v, err := s.get(key)
	if err != nil || v == nil {
		return entry{}, false, err
	}
	found, err := decodeEntry(ordinal, v, false)
	if err != nil {
		return entry{}, false, damaged(key, err)
	}
	v, err = s.get(entryKey(nil, kindReleased, box.ref, ordinal))
	if v != nil {
		found.state = store.Released
	}
	return found, true, err
}

func (s *Store) setReleased(b *pebble.Batch, sess *session, ordinal uint64) error {
	box, err := s.box(sess)
	if err != nil {
		return err
	}
	e, ok, err := s.lookup(box, ordinal)
	if err != nil || !ok || e.state == store.Released {
		return err
	}
	box.mu.Lock()
	if e := box.find(ordinal); e != nil {
		e.state = store.Released
	}
	box.mu.Unlock()
	return b.Set(entryKey(s.scratch[0], kindReleased, sess.ref, ordinal), nil, nil)
}

// settle deletes an entry.
func (s *Store) settle(b *pebble.Batch, sess *session, ordinal uint64) error {
	box, err := s.box(sess)
	if err != nil {
		return err
	}
	e, ok, err := s.lookup(box, ordinal)
	if err != nil || !ok {
		return err
	}
	if err := s.setSent(b, sess, ordinal); err != nil {
		return err
	}
	box.mu.Lock()
	if e := box.find(ordinal); e != nil {
		box.settle(e)
	}
	box.mu.Unlock()
	if err := deleteEntry(b, sess.ref, &e); err != nil {
		return err
	}
	return s.dropBody(b, e.body, 1)
}

// deleteEntry deletes an entry. It was written once: Pebble lets the two annihilate each other.
func deleteEntry(b *pebble.Batch, ref store.Ref, e *entry) error {
	var key [entrySize]byte
	if e.state == store.Released {
		if err := b.SingleDelete(entryKey(key[:], kindReleased, ref, e.ordinal), nil); err != nil {
			return err
		}
	}
	return b.SingleDelete(entryKey(key[:], kindEntry, ref, e.ordinal), nil)
}

// forget deletes an entry of an ended session.
func (s *Store) forget(b *pebble.Batch, ref store.Ref, ordinal uint64) error {
	key := entryKey(nil, kindEntry, ref, ordinal)
	v, err := s.get(key)
	if err != nil || v == nil {
		return err
	}
	e, err := decodeEntry(ordinal, v, false)
	if err != nil {
		return damaged(key, err)
	}
	if err := deleteEntry(b, ref, &e); err != nil {
		return err
	}
	return s.dropBody(b, e.body, 1)
}
