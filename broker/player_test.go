package broker_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
	"github.com/uniomq/unio/store/storetest"
)

// world is a broker in memory with a few clients that do what a program says, and the history of it.
type world struct {
	t *testing.T
	b *broker.Broker
	l *memnet.Listener

	mu      sync.Mutex // guards the history and the players
	history *history
	players []*player
}

// player is one client id, with what a client keeps of its session.
type player struct {
	w     *world
	id    int
	link  *link // nil: not connected
	next  uint16
	n     int
	auto  bool      // acknowledge at once
	saved bool      // the broker keeps the session when the connection ends
	until time.Time // then the session that it keeps is gone; zero: never

	unacked  []*mqtt.Publish // published, and not yet acknowledged
	released []uint16        // PUBRECs that were answered by PUBREL, without PUBCOMP
	received map[uint16]bool // QoS 2 messages taken, until PUBREL
	due      []mqtt.Packet   // acknowledgements that the player owes
	filters  map[uint16]*subscription
}

// link is one connection of a player. Its reader takes part in the history until the link is cut.
type link struct {
	p        *player
	c        *client
	version  mqtt.Version
	window   int
	aliases  map[uint16]string // the broker's
	given    map[string]uint16 // the player's
	maxAlias uint16
	inflight map[uint16]bool
	connack  *mqtt.Connack
	cut      bool
}

const (
	players   = 4
	expiry    = 3600                     // seconds, of sessions of 5.0 that are kept
	breath    = 5 * time.Second          // more than any step takes
	storeWait = 3 * time.Millisecond     // of the slow store
	window    = 20                       // the broker's limit of messages in flight
	unlimited = store.ExpiryNever        // of sessions before 5.0
	maxOpen   = window - 5               // messages that a player has under way
	long      = 2 * expiry * time.Second // after it no session of 5.0 is left
)

func newWorld(t *testing.T, slow bool) *world {
	var s store.Store = memory.New()
	if slow {
		s = storetest.NewSlow(s, func() time.Duration { return storeWait })
	}
	w := &world{t: t, history: newHistory()}
	w.b, w.l = serve(t, broker.Options{Store: s, Limits: broker.Limits{MaxQueuedMessages: -1}})
	for i := range players {
		w.players = append(w.players, &player{w: w, id: i, received: map[uint16]bool{}, filters: map[uint16]*subscription{}})
	}
	return w
}

// kind of a connection.
type kind struct {
	version mqtt.Version
	clean   bool
	keep    bool // the session outlives the connection
	window  uint16
	aliases uint16
	will    bool
}

// connect connects the player, taking over its own connection if it has one.
func (p *player) connect(k kind) {
	w := p.w
	w.mu.Lock()
	present := p.saved && (p.until.IsZero() || time.Now().Before(p.until)) && !k.clean
	if p.link != nil {
		present = !k.clean && p.saved
		p.leave()
	}
	if !present {
		p.forget()
	}
	msg := mqtt.Connect{Version: k.version, CleanStart: k.clean, ClientID: fmt.Sprint("player", p.id)}
	if k.version == mqtt.V5 {
		if k.keep {
			msg.Properties.SetSessionExpiry(expiry)
		}
		msg.Properties.SetReceiveMaximum(k.window)
		if k.aliases > 0 {
			msg.Properties.SetTopicAliasMaximum(k.aliases)
		}
	}
	if k.will {
		m := p.message("w", 1, false)
		m.settled = true
		msg.Will = &mqtt.Will{Topic: m.topic, Payload: []byte(p.payload()), QoS: 1}
	}
	l := &link{p: p, version: k.version, window: window, aliases: map[uint16]string{}, given: map[string]uint16{}, maxAlias: k.aliases, inflight: map[uint16]bool{}}
	if k.version == mqtt.V5 {
		l.window = min(window, int(k.window))
	}
	l.c = dial(w.t, w.l, k.version)
	p.link, p.saved = l, k.keep
	w.mu.Unlock()
	go l.read()
	l.write(&msg)
	time.Sleep(breath)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case l.connack == nil:
		w.history.fault("client %d got no CONNACK", p.id)
	case l.connack.Reason != mqtt.Success:
		w.history.fault("client %d was refused with %v", p.id, l.connack.Reason)
	case l.connack.SessionPresent != present:
		w.history.fault("client %d: session present is %v, want %v", p.id, l.connack.SessionPresent, present)
	}
	if present {
		p.resume()
	}
}

// resume sends again what is not acknowledged [MQTT-4.4.0-1].
func (p *player) resume() {
	for _, m := range p.unacked {
		p.w.history.messages[string(m.Payload)].resent = true
		again := *m
		again.Dup = true
		p.link.write(&again)
	}
	for _, id := range p.released {
		p.link.write(&mqtt.Ack{Kind: mqtt.PUBREL, PacketID: id})
	}
}

// forget is what a client does whose session is gone. w.mu is held.
func (p *player) forget() {
	for _, m := range p.unacked {
		p.w.history.messages[string(m.Payload)].settled = true
	}
	p.unacked, p.released, p.due = nil, nil, nil
	p.received = map[uint16]bool{}
	p.filters = map[uint16]*subscription{}
	now := p.w.history.tick()
	for _, s := range p.w.history.subscriptions {
		if s.client == p.id && s.to == 0 {
			s.to = now
		}
	}
}

// leave notes that the connection ends. w.mu is held.
func (p *player) leave() {
	p.link.cut = true
	if !p.saved {
		p.forget()
	}
	p.until = time.Time{}
	if p.link.version == mqtt.V5 {
		p.until = time.Now().Add(expiry * time.Second)
	}
	p.due = nil // what was not acknowledged comes again
	p.link = nil
}

// drop ends the connection, with DISCONNECT or without.
func (p *player) drop(politely bool) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.link == nil {
		return
	}
	if politely {
		p.link.write(&mqtt.Disconnect{})
	}
	_ = p.link.c.nc.Close()
	p.leave()
}

func (p *player) payload() string { return fmt.Sprintf("%d.%d", p.id, p.n) }

// message registers the player's next message. w.mu is held.
func (p *player) message(name string, qos byte, retain bool) *sent {
	p.n++
	m := &sent{topic: fmt.Sprintf("p%d/%s", p.id, name), from: p.id, n: p.n, qos: qos, retain: retain, at: p.w.history.tick()}
	if name == "s" {
		m.topic = fmt.Sprintf("s/%d", p.id)
	}
	p.w.history.messages[p.payload()] = m
	return m
}

func (p *player) publish(name string, qos byte, retain bool) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.link == nil || len(p.unacked)+len(p.released) >= maxOpen {
		return
	}
	m := p.message(name, qos, retain)
	out := &mqtt.Publish{QoS: qos, Retain: retain, Topic: []byte(m.topic), Payload: []byte(p.payload())}
	if qos > 0 {
		out.PacketID = p.packetID()
		p.unacked = append(p.unacked, out)
	}
	p.link.publish(out)
}

// publish sends a message for the first time, with an alias for its topic if that is one of the first few.
func (l *link) publish(m *mqtt.Publish) {
	if l.version != mqtt.V5 {
		l.write(m)
		return
	}
	sent := *m
	alias, known := l.given[string(m.Topic)]
	if !known && len(l.given) < givenAliases {
		alias = uint16(len(l.given) + 1)
		l.given[string(m.Topic)] = alias
	}
	if alias > 0 {
		sent.Properties.SetTopicAlias(alias)
	}
	if known {
		sent.Topic = nil
	}
	l.write(&sent)
}

// givenAliases is how many aliases a player gives: fewer than it has topics, so that some go without.
const givenAliases = 2

// packetID returns one that is free: fewer are in use than there are. w.mu is held.
func (p *player) packetID() uint16 {
	p.next = p.next%1000 + 1
	return p.next
}

func (p *player) subscribe(filter string, qos byte) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.link == nil {
		return
	}
	p.replace(filter)
	id := p.packetID()
	p.filters[id] = &subscription{client: p.id, filter: filter, qos: qos, stored: p.saved}
	// What may be delivered from now on is noted at once, what must be from SUBACK on.
	p.w.history.subscriptions = append(p.w.history.subscriptions, &subscription{client: p.id, filter: filter, to: p.w.history.tick()})
	p.link.write(&mqtt.Subscribe{PacketID: id, Subscriptions: []mqtt.Subscription{{Filter: filter, Options: mqtt.SubscribeOptions(qos)}}})
}

// replace notes that the subscription to filter ends, or has another QoS from now on. w.mu is held.
func (p *player) replace(filter string) {
	now := p.w.history.tick()
	for _, s := range p.w.history.subscriptions {
		if s.client == p.id && s.filter == filter && s.to == 0 {
			s.to = now
		}
	}
	for id, s := range p.filters { // a SUBACK that is still to come promises nothing
		if s.filter == filter {
			delete(p.filters, id)
		}
	}
}

func (p *player) unsubscribe(filter string) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.link == nil {
		return
	}
	p.replace(filter)
	p.link.write(&mqtt.Unsubscribe{PacketID: p.packetID(), Filters: []string{filter}})
}

// acknowledge sends one of the acknowledgements that are due, perhaps out of turn.
func (p *player) acknowledge(which int) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.link == nil || len(p.due) == 0 {
		return
	}
	i := which % len(p.due)
	p.answer(p.due[i])
	p.due = append(p.due[:i:i], p.due[i+1:]...)
}

// answer sends an acknowledgement. w.mu is held.
func (p *player) answer(a mqtt.Packet) {
	ack := a.(*mqtt.Ack)
	if ack.Kind == mqtt.PUBACK || ack.Kind == mqtt.PUBCOMP {
		delete(p.link.inflight, ack.PacketID)
	}
	p.link.write(a)
}

func (l *link) write(p mqtt.Packet) { _, _ = l.c.nc.Write(p.Append(nil, l.version)) }

// read takes what comes until the connection ends.
func (l *link) read() {
	for {
		p := l.c.read()
		if p == nil {
			return
		}
		l.p.w.mu.Lock()
		if !l.cut {
			l.take(p)
		}
		l.p.w.mu.Unlock()
	}
}

// take is what a client does with a packet. w.mu is held.
func (l *link) take(packet mqtt.Packet) {
	p, h := l.p, l.p.w.history
	switch m := packet.(type) {
	case *mqtt.Connack:
		l.connack = m
	case *mqtt.Suback:
		if s := p.filters[m.PacketID]; s != nil && !m.Reasons[0].Failed() {
			delete(p.filters, m.PacketID)
			s.from = h.tick()
			h.subscriptions = append(h.subscriptions, s)
		}
	case *mqtt.Publish:
		l.deliver(m)
	case *mqtt.Ack:
		l.settle(m)
	case *mqtt.Disconnect:
		h.fault("client %d was disconnected: %v", p.id, m.Reason)
	}
}

// settle is what PUBACK, PUBREC, PUBREL and PUBCOMP mean to the player.
func (l *link) settle(a *mqtt.Ack) {
	p := l.p
	switch a.Kind {
	case mqtt.PUBREL:
		delete(p.received, a.PacketID)
		p.owe(&mqtt.Ack{Kind: mqtt.PUBCOMP, PacketID: a.PacketID})
	case mqtt.PUBCOMP:
		for i, id := range p.released {
			if id == a.PacketID {
				p.released = append(p.released[:i:i], p.released[i+1:]...)
				break
			}
		}
	case mqtt.PUBACK, mqtt.PUBREC:
		for i, m := range p.unacked {
			if m.PacketID != a.PacketID || (m.QoS == 1) != (a.Kind == mqtt.PUBACK) {
				continue
			}
			p.unacked = append(p.unacked[:i:i], p.unacked[i+1:]...)
			p.w.history.messages[string(m.Payload)].acked = true
			if m.QoS == 2 {
				p.released = append(p.released, m.PacketID)
			}
			break
		}
		if a.Kind == mqtt.PUBREC {
			l.write(&mqtt.Ack{Kind: mqtt.PUBREL, PacketID: a.PacketID})
		}
	default:
	}
}

// owe answers now, or leaves it to the program.
func (p *player) owe(a *mqtt.Ack) {
	if p.auto {
		p.answer(a)
	} else {
		p.due = append(p.due, a)
	}
}

// deliver is what a PUBLISH means to the player.
func (l *link) deliver(m *mqtt.Publish) {
	p, h := l.p, l.p.w.history
	name := string(m.Topic)
	if m.Properties.Has(mqtt.PropTopicAlias) {
		alias := m.Properties.TopicAlias
		if alias == 0 || alias > l.maxAlias {
			h.fault("client %d got topic alias %d, its maximum is %d", p.id, alias, l.maxAlias)
		}
		if name == "" {
			name = l.aliases[alias]
		}
		l.aliases[alias] = name
	}
	if name == "" {
		h.fault("client %d got a message without topic", p.id)
	}
	if m.QoS == 0 && (m.Dup || m.PacketID != 0) {
		h.fault("client %d got a message at QoS 0 with DUP or packet id", p.id)
	}
	if m.QoS > 0 {
		if l.inflight[m.PacketID] {
			h.fault("client %d: packet id %d is in flight and used again", p.id, m.PacketID)
		}
		l.inflight[m.PacketID] = true
		if len(l.inflight) > l.window {
			h.fault("client %d has %d messages in flight, its window is %d", p.id, len(l.inflight), l.window)
		}
	}
	again := m.QoS == 2 && p.received[m.PacketID]
	if !again {
		h.deliveries = append(h.deliveries, delivery{
			client: p.id, payload: string(m.Payload), topic: name, qos: m.QoS, retain: m.Retain, dup: m.Dup,
		})
	}
	switch m.QoS {
	case 1:
		p.owe(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: m.PacketID})
	case 2:
		p.received[m.PacketID] = true
		p.owe(&mqtt.Ack{Kind: mqtt.PUBREC, PacketID: m.PacketID})
	}
}
