// Package migrate turns what Mosquitto has stored into what Unio stores, and says what it could not take over.
//
// Plan does all the thinking and has no side effects: it neither reads files nor writes any. Who calls it reads the source
// with package mosquittodb, and gives the result to disk.Import.
//
// Two things are not the same in both brokers. Mosquitto delivers a QoS 2 message when its publisher releases it with PUBREL, Unio when
// it arrives. One that was received and not released is therefore delivered by Plan, to the sessions that it takes
// over, and its packet id is kept as received: when the publisher comes back it goes on with PUBREL, or with a PUBLISH that is recognized as a
// repetition. And Unio holds that what is in flight to a client has packet ids that go up.
package migrate

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/uniomq/unio/internal/mosquittodb"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/disk"
	"github.com/uniomq/unio/topic"
)

// Options are what is not in the file.
type Options struct {
	Now time.Time // what has expired by now is not taken over
	// Listener returns the name of the listener with a port; nil, or empty: the port itself.
	Listener func(port uint16) string
	// MountPoint returns the mount point of that listener; nil: there is none. Formats 3 and 4 do
	// not say which one a session's client came to.
	MountPoint func(port uint16) string
	// MaxExpiry is how long a session is kept at most without its client, persistent_client_expiration; 0: no limit.
	MaxExpiry time.Duration
}

// Plan returns what a store is to hold that takes over db, and what became of everything. The error is a *mosquittodb.Error.
func Plan(db *mosquittodb.DB, o Options) (*disk.Content, *Report, error) {
	p := &plan{
		o: o, db: db, report: newReport(db),
		messages: make(map[uint64]*store.Message), sessions: make(map[string]*session), left: make(map[string]bool),
		retained: make(map[string]*store.Message),
	}
	for _, step := range []func() error{p.readMessages, p.readClients, p.readSubscriptions, p.readDeliveries, p.readRetained} {
		if err := step(); err != nil {
			return nil, nil, err
		}
	}
	p.deliverReceived()
	return p.content(), p.report, nil
}

type plan struct {
	o        Options
	db       *mosquittodb.DB
	report   *Report
	messages map[uint64]*store.Message // without those whose topic is not valid
	sessions map[string]*session
	left     map[string]bool // ids of clients whose session is not taken over
	order    []*session
	retained map[string]*store.Message // by topic
	received []*store.Message          // QoS 2, not delivered yet
}

type session struct {
	disk.Session
	sent, queued []store.Delivery
}

func (p *plan) readMessages() error {
	for i := range p.db.Messages {
		in := &p.db.Messages[i]
		if err := topic.ValidName(in.Topic); err != nil {
			p.report.leave(messagesInvalid, fmt.Sprintf("%q: %v", in.Topic, err))
			continue
		}
		m := &store.Message{
			Topic: in.Topic, Payload: in.Payload, ClientID: in.ClientID, Username: in.Username, Listener: p.listener(in.Port), QoS: in.QoS, Retain: in.Retain,
		}
		if in.Expires != 0 {
			m.Expires = time.Unix(in.Expires, 0)
		}
		var err error
		if m.Properties, err = forwarded(in.Properties); err != nil {
			return &mosquittodb.Error{Offset: in.Offset, What: fmt.Sprintf("message to %q: properties: %v", in.Topic, err)}
		}
		p.messages[in.ID] = m
	}
	return nil
}

func (p *plan) listener(port uint16) string {
	if port == 0 {
		return ""
	}
	if p.o.Listener != nil {
		if name := p.o.Listener(port); name != "" {
			return name
		}
	}
	return strconv.Itoa(int(port))
}

// forwarded takes from a message's properties those that go on to its receivers.
func forwarded(properties []byte) ([]byte, error) {
	if len(properties) == 0 {
		return nil, nil
	}
	var p mqtt.Properties
	if err := p.DecodeForwarded(properties); err != nil {
		return nil, err
	}
	return p.AppendForwarded(nil), nil
}

func (p *plan) readClients() error {
	for i := range p.db.Clients {
		in := &p.db.Clients[i]
		expires, ends := p.expires(in)
		switch {
		case in.ID == "":
			p.report.leave(sessionsUnnamed, strconv.FormatInt(in.Offset, 10))
		case ends:
			p.report.leave(sessionsEnded, strconv.Quote(in.ID))
			p.left[in.ID] = true
		case !expires.IsZero() && !p.o.Now.Before(expires):
			p.report.leave(sessionsExpired, fmt.Sprintf("%q, %s", in.ID, expires.UTC().Format(time.DateTime)))
			p.left[in.ID] = true
		case p.sessions[in.ID] != nil:
			return &mosquittodb.Error{Offset: in.Offset, What: fmt.Sprintf("the client %q is in the file twice", in.ID)}
		default:
			s := &session{Session: disk.Session{LastID: in.LastID}}
			s.ClientID, s.Expiry, s.ExpiresAt = in.ID, in.Expiry, expires
			if in.Port != 0 && p.o.MountPoint != nil {
				s.MountPoint = p.o.MountPoint(in.Port)
			}
			p.sessions[in.ID], p.order = s, append(p.order, s)
		}
	}
	return nil
}

// expires is when a client's session expires; or it ends with its connection, which the end of Mosquitto has ended.
func (p *plan) expires(c *mosquittodb.Client) (at time.Time, ends bool) {
	interval := time.Duration(c.Expiry) * time.Second
	never := c.Expiry == mosquittodb.ExpiryNever
	switch {
	case c.Expiry == 0:
		return at, true
	case never && p.o.MaxExpiry == 0:
		return at, false
	case c.Expires != 0:
		return time.Unix(c.Expires, 0), false
	case never && c.Disconnect != 0:
		return time.Unix(c.Disconnect, 0).Add(p.o.MaxExpiry), false
	case never || p.o.MaxExpiry > 0 && p.o.MaxExpiry < interval:
		interval = p.o.MaxExpiry
	}
	return p.o.Now.Add(interval), false // it was connected
}

// session finds a client's session, for something that is left out if there is none.
func (p *plan) session(id string, what reason) *session {
	s := p.sessions[id]
	if s == nil && !p.left[id] { // what goes with its session is not reported beside it
		p.report.leave(what, strconv.Quote(id))
	}
	return s
}

func (p *plan) readSubscriptions() error {
	for i := range p.db.Subscriptions {
		in := &p.db.Subscriptions[i]
		s := p.session(in.ClientID, subscriptionsAlone)
		if s == nil {
			continue
		}
		if err := topic.ValidFilter(in.Filter); err != nil {
			p.report.leave(subscriptionsInvalid, fmt.Sprintf("%q of %q: %v", in.Filter, in.ClientID, err))
			continue
		}
		// Retain handling says what SUBSCRIBE itself brings, and is of no use any more.
		s.Subscriptions = append(s.Subscriptions, store.Subscription{Filter: in.Filter, Options: in.Options & 0x3F, ID: in.ID})
	}
	return nil
}

func (p *plan) readRetained() error {
	for i := range p.db.Retained {
		m := p.messages[p.db.Retained[i].Message]
		switch {
		case m == nil:
			p.report.leave(retainedMissing, fmt.Sprintf("offset %d", p.db.Retained[i].Offset))
		case m.Expired(p.o.Now):
			p.report.leave(retainedExpired, strconv.Quote(m.Topic))
		case len(m.Payload) > 0:
			p.retain(m)
		}
	}
	return nil
}

// retain makes m its topic's retained message.
func (p *plan) retain(m *store.Message) {
	if len(m.Payload) == 0 {
		delete(p.retained, m.Topic)
		return
	}
	if !m.Retain { // as Mosquitto has it of a message that was retained by other means
		kept := *m
		kept.Retain = true
		m = &kept
	}
	p.retained[m.Topic] = m
}

// content puts together what was planned.
func (p *plan) content() *disk.Content {
	c := &disk.Content{}
	for _, s := range p.order {
		p.sortSent(s)
		s.Queue = append(s.sent, s.queued...)
		c.Sessions = append(c.Sessions, s.Session)
		p.report.count(s)
	}
	for _, name := range slices.Sorted(maps.Keys(p.retained)) {
		c.Retained = append(c.Retained, p.retained[name])
	}
	p.report.Retained = len(c.Retained)
	return c
}

// sortSent puts what is in flight into the order of its packet ids, which Unio relies on. It is in that order already, unless Mosquitto was restarted
// meanwhile.
func (p *plan) sortSent(s *session) {
	var first uint16
	distance := func(i int) uint16 { return s.sent[i].PacketID - first } // QoS 0 has id 0 and is not in flight: see place
	if len(s.sent) > 0 {
		first = s.sent[0].PacketID
	}
	less := func(i, j int) bool { return distance(i) < distance(j) }
	if !sort.SliceIsSorted(s.sent, less) {
		sort.SliceStable(s.sent, less)
		p.report.note("Messages in flight to %q are sent again in another order than before: their packet ids did not go up.", s.ClientID)
	}
}
