package broker

import (
	"slices"
	"sync"

	"github.com/uniomq/unio/store"
)

// What a session that ends leaves behind of shared subscriptions goes to the other members
// [MQTT 5.0, 4.8.2]: messages at QoS 1 that it has not acknowledged, and those that were not sent. A
// message at QoS 2 that was sent goes to nobody else. If no other member is left they end with it.
//
// One goroutine passes all of it on, some messages at a time, so that nobody waits for a long queue.
// A message goes on once for each end of a session: there is no loop.

// heirs is what waits to be passed on.
type heirs struct {
	mu      sync.Mutex
	estates []estate
	kick    chan struct{} // there is something
}

// estate is what one session has left behind.
type estate struct {
	ref        store.Ref        // zero: it was not stored
	deliveries []store.Delivery // some of them may be of no group
	done       func()
}

func (h *heirs) init() { h.kick = make(chan struct{}, 1) }

func (h *heirs) take() (e estate, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.estates) == 0 {
		return e, false
	}
	e, h.estates[0] = h.estates[0], estate{}
	h.estates = h.estates[1:]
	return e, true
}

// bequeath has deliveries passed on, and done called then. It does not wait.
func (b *Broker) bequeath(ref store.Ref, ds []store.Delivery, done func()) {
	if len(ds) == 0 {
		done()
		return
	}
	h := &b.heirs
	h.mu.Lock()
	h.estates = append(h.estates, estate{ref, ds, done})
	h.mu.Unlock()
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

func (b *Broker) runHeirs() {
	defer b.wg.Done()
	for {
		select {
		case <-b.heirs.kick:
			b.passOnAll()
		case <-b.ctx.Done():
			return
		}
	}
}

// passedAtOnce is how many messages are passed on in one transaction.
const passedAtOnce = 64

// passOnAll passes on what there is.
func (b *Broker) passOnAll() {
	for e, ok := b.heirs.take(); ok; e, ok = b.heirs.take() {
		for part := range slices.Chunk(e.deliveries, passedAtOnce) {
			b.passOn(e.ref, part)
		}
		e.done()
	}
}

// passOn gives deliveries of an ended session to others, in one transaction with their end there.
func (b *Broker) passOn(ref store.Ref, ds []store.Delivery) {
	bt := b.newBatch()
	defer bt.finish(nil)
	for i := range ds {
		b.inherit(bt, &ds[i])
		if ref != 0 {
			bt.stage().Forget(ref, ds[i].Ordinal)
		}
	}
}

// inherit gives a delivery to another member of its group, if it may and if there is one.
// [MQTT-4.8.2-5]
func (b *Broker) inherit(bt *batch, d *store.Delivery) {
	unsent := d.State == store.Queued && !d.Uncertain
	if d.Group == "" || d.QoS == 0 || d.QoS == 2 && !unsent {
		return
	}
	defer func() { // of hooks
		if v := recover(); v != nil {
			b.panicked(&Client{ID: d.Message.ClientID, Partial: true}, v, nil)
		}
	}()
	if d.Message.Expired(bt.now) {
		drop(b, "", DropExpired, d.Message.Topic)
		return
	}
	g := b.index.Group(d.Group)
	if g == nil {
		return
	}
	bt.another()
	bt.message.use(d.Message, bt.now)
	b.share(bt, g)
}

// orphans is what is left of shared subscriptions on a connection that has ended, of a session that
// was not stored.
func (c *conn) orphans() []store.Delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sess.Orphans()
}
