package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/uniomq/unio/store"
)

// Content is what a store holds, or is to hold.
type Content struct {
	Sessions []Session
	Retained []*store.Message
}

// Session is a session that is not connected, with its queue. Ref is not used.
type Session struct {
	store.Session
	Received []uint16 // packet ids of QoS 2 messages received and not yet released
	// Queue begins with what was sent: states Sent and Released, whose packet ids are kept, and go up, round after 65535.
	// Behind it all is Queued, and packet ids are given out as they follow. Ordinals are given out too.
	Queue  []store.Delivery
	LastID uint16 // the packet id that the first of Queued follows, if nothing was sent
}

// NewFolder says how a folder is made by Import and Restore.
type NewFolder struct {
	Sync Sync // that the store will be opened with
	// Replace lets the new folder take the place of one that has content.
	Replace bool
	// Finish is called with the complete folder before it gets its name, so that it can be given to its owner; nil: nothing.
	Finish func(folder string) error
}

// ErrNotEmpty says that a folder has content, and was not touched.
var ErrNotEmpty = errors.New("the store has content already")

// Import makes the store dir of c. It writes beside it and renames at the end, so that dir is there as a whole or not at all. An empty
// store may be there before; one with content gives ErrNotEmpty, one that is open somewhere ErrInUse.
func Import(dir string, c *Content, o NewFolder) error {
	return o.build(dir, func(folder string) error { return fillFolder(folder, c, o.Sync) })
}

func fillFolder(folder string, c *Content, sync Sync) error {
	db, err := pebble.Open(folder, &pebble.Options{
		FS: vfs.Default, FormatMajorVersion: sync.libraryFormat(), MemTableSize: memTableSize, Logger: silent{},
	})
	if err != nil {
		return err
	}
	w := &importer{db: db, batch: db.NewBatch(), shared: make(map[*store.Message]uint64)}
	err = w.all(c)
	if err == nil {
		err = db.Flush()
	}
	return errors.Join(err, w.batch.Close(), db.Close())
}

// silent swallows what the library tells of its work; its errors come back from its functions.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("store: "+format, args...))
}

// importer writes a whole store.
type importer struct {
	db      *pebble.DB
	batch   *pebble.Batch
	counter uint64
	shared  map[*store.Message]uint64 // body numbers of messages that several deliveries refer to; 0: not written yet
	value   []byte
}

// importBatch is how many bytes are written at a time.
const importBatch = 1 << 20

func (w *importer) all(c *Content) error {
	w.set([]byte{kindFormat}, []byte{format})
	w.findShared(c)
	for i := range c.Sessions {
		if err := w.session(&c.Sessions[i]); err != nil {
			return fmt.Errorf("session %q: %w", c.Sessions[i].ClientID, err)
		}
	}
	for _, m := range c.Retained {
		w.value = appendMessage(w.value[:0], m)
		w.set(retainedKey(nil, m.Topic), w.value)
		if err := w.commit(importBatch, pebble.NoSync); err != nil {
			return err
		}
	}
	w.set([]byte{kindCounter}, binary.AppendUvarint(nil, w.counter+1))
	return w.commit(0, pebble.Sync)
}

// findShared finds the messages that more than one delivery has.
func (w *importer) findShared(c *Content) {
	seen := make(map[*store.Message]struct{})
	for i := range c.Sessions {
		for j := range c.Sessions[i].Queue {
			m := c.Sessions[i].Queue[j].Message
			if _, again := seen[m]; again {
				w.shared[m] = 0
			}
			seen[m] = struct{}{}
		}
	}
}

// set stages a key. What is wrong with the batch is told by its commit.
func (w *importer) set(key, value []byte) { _ = w.batch.Set(key, value, nil) }

// commit writes the batch if it has more than so many bytes.
func (w *importer) commit(size int, o *pebble.WriteOptions) error {
	if w.batch.Len() <= size {
		return nil
	}
	if err := w.db.Apply(w.batch, o); err != nil {
		return err
	}
	w.batch.Reset()
	return nil
}

func (w *importer) session(in *Session) error {
	w.counter++
	key := store.Key(in.ClientID, in.MountPoint)
	s := &session{key: key, ref: newRef(key, w.counter), expiry: in.Expiry, expires: in.ExpiresAt, will: in.Will}
	w.value = appendSession(w.value[:0], s)
	w.set(refKey(nil, kindSession, s.ref), w.value)
	for _, sub := range in.Subscriptions {
		w.set(subscriptionKey(nil, s.ref, sub.Filter), appendSubscription(nil, sub))
	}
	for _, id := range in.Received {
		w.set(receivedKey(nil, s.ref, id), nil)
	}
	at := progress{id: in.LastID}
	sent := at
	for i := range in.Queue {
		d := &in.Queue[i]
		at.ordinal++
		at.total += uint64(d.Message.Size())
		switch {
		case d.State == store.Queued && d.QoS > 0:
			at.id = at.id%math.MaxUint16 + 1
		case d.State == store.Queued:
		case sent.ordinal != at.ordinal-1:
			return errors.New("what was sent must come first")
		default:
			if d.QoS > 0 {
				at.id = d.PacketID
			}
			sent = at
		}
		w.delivery(s.ref, at, d)
		if err := w.commit(importBatch, pebble.NoSync); err != nil {
			return err
		}
	}
	if sent != (progress{}) {
		w.set(refKey(nil, kindProgress, s.ref), appendProgress(nil, sent))
	}
	return w.commit(importBatch, pebble.NoSync)
}

func (w *importer) delivery(ref store.Ref, at progress, d *store.Delivery) {
	e := entry{ordinal: at.ordinal, total: at.total, id: at.id, message: d.Message, subID: d.SubscriptionID, qos: d.QoS, retain: d.Retain}
	if number, ok := w.shared[d.Message]; ok {
		if number == 0 {
			w.counter++
			number = w.counter
			w.shared[d.Message] = number
			w.value = appendMessage(w.value[:0], d.Message)
			w.set(bodyKey(nil, number), w.value)
		}
		e.body = number
	}
	w.value = appendEntry(w.value[:0], &e)
	w.set(entryKey(nil, kindEntry, ref, e.ordinal), w.value)
	if d.State == store.Released {
		w.set(entryKey(nil, kindReleased, ref, e.ordinal), nil)
	}
}
