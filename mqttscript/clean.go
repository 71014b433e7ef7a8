package mqttscript

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// traces is what a run may leave in a broker that outlives it.
type traces struct {
	sessions map[string]bool // client ids
	retained map[string]bool // topics
	clients  map[string]bool // client ids without a stored session
	shared   bool            // some of them were members of shared groups, and may be so a moment longer than connected
}

// note remembers a packet that was sent.
func (t *traces) note(p mqtt.Packet) {
	if t.sessions == nil {
		t.sessions, t.retained, t.clients = map[string]bool{}, map[string]bool{}, map[string]bool{}
	}
	switch p := p.(type) {
	case *mqtt.Connect:
		if p.ClientID != "" && (!p.CleanStart || p.Properties.Has(mqtt.PropSessionExpiry)) {
			t.sessions[p.ClientID] = true
		} else if p.ClientID != "" {
			t.clients[p.ClientID] = true
		}
		if p.Will != nil && p.Will.Retain {
			t.retained[p.Will.Topic] = true
		}
	case *mqtt.Subscribe:
		for _, s := range p.Subscriptions {
			t.shared = t.shared || strings.HasPrefix(s.Filter, "$share/")
		}
	case *mqtt.Publish:
		if p.Retain && len(p.Topic) > 0 {
			t.retained[string(p.Topic)] = true
		}
	}
}

// hangUp ends the connections that are still open, with DISCONNECT where one is
// due so that no will is published.
func (x *run) hangUp() {
	for _, c := range x.sorted() {
		if c.conn == nil {
			continue
		}
		if c.accepted && !c.disconnected {
			_ = x.write(c, (&mqtt.Disconnect{}).Append(nil, c.version)) // the broker may have closed
			x.awaitEnd(c)
		}
		x.drop(c)
	}
}

// awaitEnd gives the broker a moment to close the connection; packets that still
// come are passed over. The run's result is known by now.
func (x *run) awaitEnd(c *client) {
	limit := time.NewTimer(x.Timeout)
	defer limit.Stop()
	for {
		frame, err := c.conn.peek()
		switch {
		case frame != nil:
			c.conn.pop()
			continue
		case err != nil:
			return
		}
		select {
		case <-x.arrived:
		case <-limit.C:
			return
		}
	}
}

// clean removes the sessions and retained messages that the script has made, so
// that the next one finds the broker as this one did. It does its best: what fails
// here says nothing about the broker that the script has not said.
func (x *run) clean() {
	if e, ok := x.target.(Ephemeral); ok && e.Ephemeral() {
		return
	}
	x.ctx = context.WithoutCancel(x.ctx)
	if x.traces.shared {
		maps.Copy(x.traces.sessions, x.traces.clients)
	}
	for _, id := range slices.Sorted(maps.Keys(x.traces.sessions)) {
		if x.cleaner(id) {
			x.hangUp()
		}
	}
	if len(x.traces.retained) == 0 || !x.cleaner("mqttscript-clean") {
		return
	}
	c := x.client("cleaner")
	for _, topic := range slices.Sorted(maps.Keys(x.traces.retained)) {
		p := &mqtt.Publish{Topic: []byte(topic), Retain: true}
		_ = x.write(c, p.Append(nil, c.version))
	}
	_ = x.ping(c)
	x.hangUp()
}

// cleaner connects with a client id and a clean start.
func (x *run) cleaner(id string) bool {
	x.clients = map[string]*client{}
	c, err := x.open("cleaner")
	if err != nil {
		return false
	}
	connect := &mqtt.Connect{Version: c.version, CleanStart: true, ClientID: id}
	if x.write(c, connect.Append(nil, c.version)) != nil {
		return false
	}
	err = x.until("CONNACK", func() (bool, error) {
		frame, err := c.conn.peek()
		if frame == nil {
			return false, err
		}
		x.take(c, 0)
		return true, nil
	})
	return err == nil && c.accepted
}
