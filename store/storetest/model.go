package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/uniomq/unio/store"
)

// model is what a store should hold, in the simplest way.
type model struct {
	sessions map[string]*modelSession
	retained map[string]string
}

type modelSession struct {
	ref           store.Ref
	subscriptions map[string]byte
	received      map[uint16]bool
	queue         []modelDelivery
	last          uint64
	lastID        uint16
	sent          uint64
	will          string
}

type modelDelivery struct {
	ordinal uint64
	id      uint16
	qos     byte
	state   store.State
	payload string
	since   int // the command that put it there
}

func newModel() *model {
	return &model{sessions: make(map[string]*modelSession), retained: make(map[string]string)}
}

func (m *model) clone() *model {
	c := &model{sessions: make(map[string]*modelSession), retained: maps.Clone(m.retained)}
	for id, s := range m.sessions {
		n := *s
		n.subscriptions, n.received, n.queue = maps.Clone(s.subscriptions), maps.Clone(s.received), slices.Clone(s.queue)
		c.sessions[id] = &n
	}
	return c
}

func (m *model) String() string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(m.sessions)) {
		s := m.sessions[id]
		fmt.Fprintf(&b, "%s will=%q subscriptions=%v received=%v\n", id, s.will, s.subscriptions, slices.Sorted(maps.Keys(s.received)))
		for _, d := range s.queue {
			fmt.Fprintf(&b, "  %d/%d/%d/%d:%s\n", d.ordinal, d.id, d.qos, d.state, d.payload)
		}
	}
	fmt.Fprintln(&b, "retained", m.retained)
	return b.String()
}

// observe reads everything out of a store that was just started.
func observe(f *fixture, r *recovered) (string, error) {
	m := newModel()
	for t, msg := range r.retained {
		m.retained[t] = string(msg.Payload)
	}
	for id, s := range r.sessions {
		at, err := f.tryAttach(store.Attach{ClientID: id})
		if err != nil {
			return "", err
		}
		ms := &modelSession{subscriptions: make(map[string]byte), received: make(map[uint16]bool)}
		if s.Will != nil {
			ms.will = string(s.Will.Message.Payload)
		}
		for _, sub := range s.Subscriptions {
			ms.subscriptions[sub.Filter] = sub.Options
		}
		for id := range at.Received {
			ms.received[id] = true
		}
		queue, err := f.queue(at.Ref)
		if err != nil {
			return "", err
		}
		for _, d := range queue {
			ms.queue = append(ms.queue, modelDelivery{
				ordinal: d.Ordinal, id: d.PacketID, qos: d.QoS, state: d.State, payload: string(d.Message.Payload),
			})
		}
		m.sessions[id] = ms
	}
	return m.String(), nil
}

// program plays random commands against a store and a model.
type program struct {
	f      *fixture
	r      *rand.Rand
	model  *model
	states []string // of the model after each command
	models []*model
	acked  atomic.Int64 // commands that are durable, they and all before them
	wg     sync.WaitGroup
}

var programClients = []string{"a", "b", "c", "d"}

// step plays one command. It waits for sessions, and else not.
func (p *program) step() {
	if len(p.models) == 0 {
		p.models = []*model{p.model.clone()}
	}
	id := programClients[p.r.IntN(len(programClients))]
	s := p.model.sessions[id]
	if s == nil || p.r.IntN(12) == 0 {
		p.attach(id)
		return
	}
	tx := &store.Tx{Wait: true}
	switch p.r.IntN(11) {
	case 0, 1, 2, 3:
		p.enqueue(tx)
	case 4, 5:
		p.settle(tx, s)
	case 6:
		id := uint16(p.r.IntN(5) + 1)
		if s.received[id] {
			delete(s.received, id)
			tx.Release(s.ref, id)
		} else {
			s.received[id] = true
			tx.Receive(s.ref, id, p.r.Uint64())
		}
	case 7:
		filter := fmt.Sprint("f", p.r.IntN(5))
		if _, ok := s.subscriptions[filter]; ok && p.r.IntN(2) == 0 {
			delete(s.subscriptions, filter)
			tx.Unsubscribe(s.ref, filter)
		} else {
			s.subscriptions[filter] = byte(p.r.IntN(3))
			tx.Subscribe(s.ref, store.Subscription{Filter: filter, Options: s.subscriptions[filter]})
		}
	case 8:
		m := &store.Message{Topic: fmt.Sprint("t", p.r.IntN(5))}
		if p.r.IntN(3) > 0 {
			m.Payload = fmt.Append(nil, p.r.Uint64())
			p.model.retained[m.Topic] = string(m.Payload)
		} else {
			delete(p.model.retained, m.Topic)
		}
		tx.Retain(m)
	case 9:
		s.will = ""
		tx.ClearWill(s.ref)
	case 10:
		if p.r.IntN(4) == 0 {
			delete(p.model.sessions, id)
			tx.Remove(s.ref)
		}
	}
	p.commit(tx)
}

func (p *program) attach(id string) {
	p.wait()
	a := store.Attach{ClientID: id, Keep: true, Expiry: 60, Clean: p.r.IntN(4) == 0}
	s := p.model.sessions[id]
	if a.Clean || s == nil {
		s = &modelSession{subscriptions: make(map[string]byte), received: make(map[uint16]bool)}
		p.model.sessions[id] = s
	}
	s.will = ""
	if p.r.IntN(2) == 0 {
		s.will = fmt.Sprint("will", p.r.Uint32())
		a.Will = &store.Will{Message: &store.Message{Topic: "w", Payload: []byte(s.will)}}
	}
	s.ref = p.f.attach(a).Ref
	p.note()
	p.acked.Store(int64(len(p.states) - 1))
}

// note keeps the model's state.
func (p *program) note() {
	p.states = append(p.states, p.model.String())
	p.models = append(p.models, p.model.clone())
}

func (p *program) commit(tx *store.Tx) {
	p.note()
	n := int64(len(p.states) - 1)
	// What may be lost from the end is not acknowledged by its own Done, but by that of something later.
	lazy := !slices.ContainsFunc(tx.Commands, func(c store.Command) bool {
		return c.Op != store.SetSent && c.Op != store.Settle && c.Op != store.ClearWill
	})
	p.wg.Add(1)
	tx.Done = func(err error) {
		defer p.wg.Done()
		if err != nil {
			p.f.t.Errorf("commit: %v", err)
		} else if !lazy {
			p.acked.Store(n)
		}
	}
	p.f.store.Commit(tx)
}

func (p *program) wait() { p.wg.Wait() }

// enqueue puts one message into the queues of some sessions.
func (p *program) enqueue(tx *store.Tx) {
	m := &store.Message{Topic: "t", Payload: fmt.Append(nil, p.r.Uint32())}
	for _, id := range programClients {
		s := p.model.sessions[id]
		if s == nil || p.r.IntN(2) == 0 {
			continue
		}
		s.last++
		d := modelDelivery{ordinal: s.last, qos: byte(p.r.IntN(3)), payload: string(m.Payload), since: len(p.states)}
		if d.qos > 0 {
			s.lastID++
			d.id = s.lastID
		}
		s.queue = append(s.queue, d)
		tx.Enqueue(s.ref, store.Delivery{Message: m, QoS: d.qos}, store.Limit{})
	}
}

// settle takes a delivery some steps further, and others with it.
func (p *program) settle(tx *store.Tx, s *modelSession) {
	n := 0
	for n < len(s.queue) && int64(s.queue[n].since) <= p.acked.Load() {
		n++
	}
	if n == 0 {
		return
	}
	d := &s.queue[p.r.IntN(n)]
	sent := func() {
		s.sent = max(s.sent, d.ordinal)
		for i := range s.queue {
			if s.queue[i].ordinal <= s.sent && s.queue[i].state == store.Queued {
				s.queue[i].state = store.Sent
			}
		}
	}
	switch p.r.IntN(4) {
	case 0:
		sent()
		tx.SetSent(s.ref, d.ordinal)
	case 1:
		if d.qos == 2 {
			sent()
			tx.SetSent(s.ref, d.ordinal)
			d.state = store.Released
			tx.SetReleased(s.ref, d.ordinal)
			break
		}
		fallthrough
	default:
		sent()
		tx.Settle(s.ref, d.ordinal)
		s.queue = slices.DeleteFunc(s.queue, func(e modelDelivery) bool { return e.ordinal == d.ordinal })
	}
}
