package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uniomq/unio/broker/internal/session"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// attach gives c the session of its client id, taking it over from an older connection, and appends
// CONNACK. When it returns, messages may already follow.
// [MQTT-3.1.4-4, -5, MQTT-3.2.0-2]
func (b *Broker) attach(ctx context.Context, c *conn, clean bool, connack *mqtt.Connack) error {
	sub, fresh, replaced, err := b.ownSession(ctx, c, clean)
	if err != nil {
		return err
	}
	defer b.registry.release(sub)
	at, err := b.attachStore(c, sub, fresh, replaced)
	if err == nil && !fresh && at.Ref != sub.ref {
		err = errSessionLost
	}
	if err != nil {
		b.disown(c, sub, fresh)
		return err
	}
	if fresh {
		sub.ref = at.Ref
	}
	b.timers.set(sub, time.Time{})
	sub.away = nil                      // [MQTT-3.1.3-9] with a will that was still delayed
	connack.SessionPresent = at.Present // [MQTT-3.2.2-2, -3]
	sub.old.Store(c.version < mqtt.V5)
	c.sub, c.sess = sub, session.New(c.sessionConfig(at))
	b.counters.peak()
	if event := b.options.Load().Events.Connected; event != nil {
		event(c.client)
	}
	bt := b.newBatch()
	defer bt.finish(nil)
	rules := b.rechecks.Load()
	if !fresh {
		c.recheck(bt) // it may be somebody else, or under other rules, than when they were made
		c.bridge(bt)
	}
	c.mu.Lock()
	if c.phase == session.Opening && bt.packet(c, connack) { // [MQTT-3.2.0-1] before anything else
		c.phase.Enter(session.Live)
	}
	c.mu.Unlock()
	sub.conn.Store(c)
	c.accepted.Store(true)
	if b.rechecks.Load() != rules { // Recheck may have come too early to see c
		c.recheck(bt)
	}
	c.mu.Lock()
	c.pump(bt) // what waited; whatever comes from now on wakes the connection
	c.mu.Unlock()
	return nil
}

// errSessionLost says that the store has forgotten a session that it did not end.
var errSessionLost = fmt.Errorf("the store has lost the session: %w", mqtt.UnspecifiedError)

// ownSession returns the session to use, and holds it, after c has got its place, and whatever had
// the session before has let go. A fresh one may replace one that the store still has.
// [MQTT-3.1.2-5, -6, MQTT-3.1.4-2, -4]
func (b *Broker) ownSession(ctx context.Context, c *conn, clean bool) (sub *subscriber, fresh, replaced bool, err error) {
	sub, fresh, err = b.registry.acquire(ctx, c.sessionKey())
	if err != nil {
		return nil, false, false, err
	}
	old := sub.conn.Load()
	err = c.takePlace(old)
	switch {
	case err != nil:
	case fresh:
		err = sub.takePlace(b)
	case old != nil:
		old.hearOut(ctx)
		old.interrupt(mqtt.SessionTakenOver) // [MQTT-3.1.4-3]
		err = old.awaitEnd(ctx)
	}
	if err != nil {
		b.disown(c, sub, fresh)
		b.registry.release(sub)
		return nil, false, false, err
	}
	if !fresh {
		sub, fresh, replaced = b.succeed(sub, old, clean)
	}
	return sub, fresh, replaced, nil
}

// succeed ends what old, which may be nil, had of the session: from here on it stages nothing more,
// so that what follows is behind it in the store. A session that ends with that, or is not wanted
// any more, gives its place to the fresh one that is returned.
func (b *Broker) succeed(sub *subscriber, old *conn, clean bool) (_ *subscriber, fresh, replaced bool) {
	sub.placed = false // nobody else is to get the place
	if old != nil {
		b.leave(sub, old)
	}
	if !sub.dead && (clean || sub.expired(time.Now())) {
		// It ends in the store with the Attach that follows, so that CONNACK waits for that.
		replaced = sub.ref != 0
		b.endSession(sub) // [MQTT-3.1.2-4]
	}
	if fresh = sub.dead; fresh {
		sub = b.registry.renew(sub)
	}
	sub.placed = true
	return sub, fresh, replaced
}

// disown takes back what ownSession has given to a connection that gets no session.
func (b *Broker) disown(c *conn, sub *subscriber, fresh bool) {
	if fresh {
		b.registry.remove(sub)
		sub.leavePlace(b)
	}
	c.leavePlace()
}

func (s *subscriber) expired(now time.Time) bool {
	return s.away != nil && !s.away.due.IsZero() && !now.Before(s.away.due)
}

// attachStore asks the store for the session, if it has, or is to have, one. How long a store takes is
// not the client's doing: ConnectTimeout does not count here.
// [MQTT-3.1.2-7]
func (b *Broker) attachStore(c *conn, sub *subscriber, fresh, replaced bool) (store.Attached, error) {
	if c.expiry == 0 && sub.ref == 0 && !replaced {
		return store.Attached{}, nil
	}
	if sub.ref == 0 && c.expiry > 0 && b.full() {
		return store.Attached{}, errStoreFull
	}
	a := store.Attach{
		ClientID: c.client.ID, MountPoint: c.lo.MountPoint, Clean: fresh, Keep: c.expiry > 0, Expiry: c.expiry, Now: time.Now(), Owner: sub,
	}
	if w := c.will(); w != nil {
		a.Will = &w.Will
	}
	type answer struct {
		at  store.Attached
		err error
	}
	ch := make(chan answer, 1)
	b.store.Attach(b.ctx, a, func(at store.Attached, err error) { ch <- answer{at, err} })
	ans := <-ch
	return ans.at, ans.err
}

func (c *conn) sessionConfig(at store.Attached) session.Config {
	l := c.b.options.Load()
	cfg := session.Config{Received: at.Received, Queue: l.queueLimit(), ReceiveMaximum: 65535}
	cfg.Window, cfg.WindowBytes = int(l.MaxInflight), l.MaxInflightBytes
	if c.version == mqtt.V5 {
		cfg.ReceiveMaximum = int(l.MaxInflight)
		cfg.AliasMaximum = c.lo.MaxTopicAlias
		cfg.Window = min(cfg.Window, int(c.receiveMaximum))
		cfg.SendAliasMaximum = min(c.aliasMaximum, c.lo.MaxTopicAliasBroker)
	}
	return cfg
}

// detach lets go of the session when the connection has ended, unless another
// connection has taken it over, which has then done so itself.
func (b *Broker) detach(c *conn) {
	if sub := c.sub; b.registry.hold(sub) {
		defer b.registry.release(sub)
		if sub.conn.Load() == c {
			b.leave(sub, c)
		}
	}
}

// leave is what happens to a session when its connection ends: the will is published or gets a
// due time, and the session ends or begins to expire. The caller holds sub.
// [MQTT-3.1.2-23, MQTT-4.1.0-1, -2]
func (b *Broker) leave(sub *subscriber, c *conn) {
	sub.conn.Store(nil)
	c.leavePlace()
	retained := c.takeBacklog()
	w := c.will()
	if errors.Is(c.closeCause(), errDisconnect) {
		w = nil // [MQTT-3.1.2-10]
	}
	now := time.Now()
	if sub.ref == 0 || c.expiry == 0 {
		b.publishWill(w)
		b.removeSession(sub, c)
		b.bequeath(0, c.orphans(), func() {})
		return
	}
	if w != nil && (w.Delay == 0 || b.isClosed()) {
		b.publishWill(w)
		w = nil
	}
	sub.away = new(away)
	if c.expiry != store.ExpiryNever {
		sub.away.due = now.Add(time.Duration(c.expiry) * time.Second)
	}
	var willAt time.Time
	if w != nil {
		willAt = now.Add(time.Duration(w.Delay) * time.Second)
		w = &will{client: w.client, Will: w.Will} // the store has the other one
		w.At = willAt
		sub.away.will = w
	}
	bt := b.newBatch()
	defer bt.finish(nil)
	c.keepRest(bt, retained)
	c.markSent(bt)
	bt.stage().Detach(sub.ref, now, c.expiry, willAt)
	b.timers.set(sub, sub.away.next())
}

// markSent tells the store how far the queue was sent to an ended connection: what others have
// staged of that may come too late.
func (c *conn) markSent(bt *batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cursor > 0 {
		bt.stage().SetSent(c.sub.ref, c.cursor)
	}
}

// next is when the offline session has something due: its will or its end.
func (a *away) next() time.Time {
	if a.will != nil && (a.due.IsZero() || a.will.At.Before(a.due)) {
		return a.will.At
	}
	return a.due
}

// endSession removes a session with its subscriptions, but not from the store. A will that was
// still delayed is published now [MQTT-3.1.3-9]. The caller holds sub.
// [MQTT-3.1.2-7, MQTT-4.8.2-5]
func (b *Broker) endSession(sub *subscriber) {
	b.timers.set(sub, time.Time{})
	for _, filter := range sub.filters.clear() {
		b.unsubscribe(sub, filter)
	}
	b.registry.remove(sub)
	sub.leavePlace(b)
	if sub.away != nil {
		w := sub.away.will
		sub.away.will = nil
		b.publishWill(w)
	}
}

// removeSession is endSession, and removes it from the store. c is the connection that it ends
// with, if it does.
func (b *Broker) removeSession(sub *subscriber, c *conn) {
	b.endSession(sub)
	if sub.ref != 0 {
		bt := b.newBatch()
		defer bt.finish(nil)
		if c != nil {
			c.markSent(bt)
		}
		bt.stage().Remove(sub.ref)
	}
}

// expire does what is due for an offline session.
// [MQTT-4.1.0-2]
func (b *Broker) expire(sub *subscriber) {
	if !b.registry.hold(sub) {
		return
	}
	defer b.registry.release(sub)
	if sub.away == nil {
		return
	}
	now := time.Now()
	if sub.expired(now) {
		b.counters.expired.Add(1)
		b.removeSession(sub, nil)
		return
	}
	if w := sub.away.will; w != nil && !now.Before(w.At) {
		sub.away.will = nil
		b.publishWill(w)
		bt := b.newBatch()
		defer bt.finish(nil)
		bt.stage().ClearWill(sub.ref)
	}
	b.timers.set(sub, sub.away.next())
}

// recoverSession takes up a session that the store has kept.
func (b *Broker) recoverSession(s store.Session) error {
	sub, _, err := b.registry.acquire(b.ctx, store.Key(s.ClientID, s.MountPoint))
	if err != nil {
		return err
	}
	defer b.registry.release(sub)
	b.counters.sessions.Add(1)
	sub.placed = true
	sub.ref, sub.away = s.Ref, &away{due: s.ExpiresAt}
	for _, f := range s.Subscriptions {
		b.subscribe(sub, f)
	}
	if s.Will != nil {
		m := s.Will.Message
		owner := &Client{ID: s.ClientID, Username: m.Username, HasUsername: m.Username != "", HasWill: true, Listener: m.Listener, Partial: true}
		sub.away.will = &will{client: owner, Will: *s.Will}
	}
	b.timers.set(sub, sub.away.next())
	return nil
}
