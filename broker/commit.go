package broker

import (
	"sync"
	"sync/atomic"

	"github.com/uniomq/unio/broker/internal/session"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// ack is a packet owed to a client: PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK or PINGRESP.
type ack struct {
	kind    mqtt.Type
	reason  mqtt.ReasonCode
	id      uint16
	why     string            // what the client is told of a denial
	reasons []mqtt.ReasonCode // SUBACK, UNSUBACK
	opens   bool              // SUBACK: retained messages follow it
	ends    []string          // UNSUBACK: filters whose retained messages end with it
}

// commit is one store transaction with the acknowledgements that promise it.
type commit struct {
	b        *Broker
	tx       store.Tx
	c        *conn // owed the acks; nil: nobody
	acks     []ack
	owed     int           // PUBACKs among acks
	queued   []*subscriber // whose session each Enqueue of tx is for
	retained []retaining   // by tx
	staged   []stagedRetained
	done     bool // guarded by c.mu: the acks may go, as soon as those before them have gone

	err   error
	state atomic.Int32 // who comes second, Done or the return of Commit, releases
}

var commits sync.Pool

func (b *Broker) newCommit() *commit {
	cm, _ := commits.Get().(*commit)
	if cm == nil {
		cm = new(commit)
		cm.tx.Done = cm.durable
	}
	cm.b = b
	return cm
}

const firstCame = 1

// settleUp commits what the batch has staged and releases the acknowledgements, or
// leaves that to the store's callback. c is as for finish.
func (bt *batch) settleUp(c *conn) {
	cm := bt.commit
	if cm == nil {
		if len(bt.acks) > 0 {
			bt.release(c)
		}
		return
	}
	bt.commit = nil
	// What the broker does of its own accord nobody waits for, and nobody would send it again.
	cm.tx.Wait = c == nil || len(bt.acks) > 0
	if len(bt.acks) > 0 {
		cm.c, cm.owed = c, bt.owed
		cm.acks = append(cm.acks, bt.acks...)
		bt.clearAcks()
		c.mu.Lock()
		c.promise(cm)
		c.mu.Unlock()
	}
	cm.b.store.Commit(&cm.tx)
	if cm.state.Add(1) > firstCame {
		cm.release(bt)
	}
}

// release lets acknowledgements go that promise nothing durable; they still keep their
// place behind earlier ones [MQTT-4.6.0-2].
func (bt *batch) release(c *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending() > 0 {
		cm := bt.b.newCommit()
		cm.c, cm.owed, cm.done = c, bt.owed, true
		cm.acks = append(cm.acks, bt.acks...)
		c.promise(cm)
	} else if c.phase < session.Closing {
		c.acknowledge(bt, bt.acks)
	}
	bt.clearAcks()
}

// promise puts a commit behind those whose acknowledgements are not released. mu is held.
func (c *conn) promise(cm *commit) {
	w := c.withWaits()
	w.pending = append(w.pending, cm)
	c.owed.Add(int32(cm.owed))
}

func (bt *batch) clearAcks() {
	clear(bt.acks)
	bt.acks, bt.owed = bt.acks[:0], 0
}

// durable is the transaction's Done.
func (cm *commit) durable(err error) {
	cm.err = err
	if cm.state.Add(1) > firstCame { // Commit has returned before: this is the store's goroutine
		bt := cm.b.newBatch()
		defer bt.finish(nil)
		cm.release(bt)
	}
}

// release is called once, when the transaction is durable and Commit has returned.
// [MQTT-4.6.0-3, MQTT-4.8.0-2]
func (cm *commit) release(bt *batch) {
	if cm.err == nil && len(cm.staged) > 0 {
		staged := cm.staged
		cm.staged = nil
		arrived(staged, &cm.tx)
		defer goOn(bt, staged)
	}
	cm.tellDrops()
	if cm.err == nil {
		cm.b.reconcile(cm.retained)
	}
	c := cm.c
	if c == nil {
		cm.free()
		return
	}
	if cm.err != nil { // nothing may be acknowledged, now or later
		c.interrupt(reason(cm.err, mqtt.UnspecifiedError))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cm.done = true
	w := c.withWaits()
	n := 0
	for ; n < len(w.pending) && w.pending[n].done; n++ {
		first := w.pending[n]
		c.owed.Add(-int32(first.owed))
		c.acknowledge(bt, first.acks)
		first.free()
	}
	if n > 0 {
		w.pending = append(w.pending[:0], w.pending[n:]...)
		c.unpause()
	}
}

// tellDrops counts and tells of what the store has dropped, and has passed on what came to a shared
// subscription when its session had ended meanwhile. A panic of the hook must not keep the
// acknowledgements, nor end the store's goroutine.
func (cm *commit) tellDrops() {
	defer func() {
		if v := recover(); v != nil {
			client := &Client{Partial: true}
			if cm.c != nil {
				client = cm.c.client
			}
			cm.b.panicked(client, v, nil)
		}
	}()
	queued := cm.queued
	for i := range cm.tx.Commands {
		cmd := &cm.tx.Commands[i]
		if cmd.Op != store.Enqueue {
			continue
		}
		sub := queued[0]
		queued = queued[1:]
		switch {
		case cmd.Dropped:
			drop(cm.b, sub.clientID(), DropQueueFull, cmd.Delivery.Message.Topic)
		case cmd.Void && cmd.Delivery.Group != "":
			cm.b.bequeath(0, []store.Delivery{cmd.Delivery}, func() {})
		}
	}
}

func (cm *commit) free() {
	cm.tx.Reset()
	clear(cm.acks)
	cm.acks = cm.acks[:0]
	clear(cm.queued)
	cm.queued = cm.queued[:0]
	clear(cm.retained)
	cm.retained = cm.retained[:0]
	cm.staged = nil
	cm.b, cm.c, cm.owed, cm.done, cm.err = nil, nil, 0, false, nil
	cm.state.Store(0)
	commits.Put(cm)
}

// owesNothing forgets commits whose acknowledgements are not released: the connection is closed. c.mu
// is held.
func (c *conn) owesNothing() {
	if w := c.waits; w != nil {
		w.pending = nil
	}
}

// acknowledge appends the packets that are owed. c.mu is held.
// [MQTT-4.6.0-4]
func (c *conn) acknowledge(bt *batch, acks []ack) {
	for i := range acks {
		a := &acks[i]
		switch a.kind {
		case mqtt.SUBACK:
			p := mqtt.Suback{PacketID: a.id, Reasons: a.reasons}
			c.explain(&p.Properties, a)
			bt.packet(c, &p)
			if bl := c.backlog(); a.opens && bl != nil {
				bl.opening--
			}
			c.pump(bt)
		case mqtt.UNSUBACK:
			p := mqtt.Unsuback{PacketID: a.id, Reasons: a.reasons}
			c.explain(&p.Properties, a)
			bt.packet(c, &p)
			c.unexpect(a.ends...)
		case mqtt.PINGRESP:
			bt.packet(c, &mqtt.Pingresp{})
		default:
			bt.ack = mqtt.Ack{Kind: a.kind, PacketID: a.id, Reason: a.reason, Properties: bt.ack.Properties}
			bt.ack.Properties.Reset()
			c.explain(&bt.ack.Properties, a)
			bt.packet(c, &bt.ack)
		}
	}
}
