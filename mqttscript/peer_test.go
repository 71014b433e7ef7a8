package mqttscript_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/mqttscript"
)

// peer is what a script meets in these tests: not a broker, but a thing that
// answers each packet in a fixed way. A PUBLISH comes back to its own sender,
// unless its topic is one of those in misbehave.
type peer struct {
	listener *memnet.Listener
	conns    sync.WaitGroup

	mu       sync.Mutex
	log      []string // CONNECT ids, retained topics, control calls
	lives    map[net.Conn]bool
	offers   string
	lasting  bool // keeps state for the next run
	dialable bool
}

// misbehave maps topics to the bytes that answer a PUBLISH with that topic, before
// the connection is closed.
var misbehave = map[string][]byte{
	"quit":    nil,
	"garbage": {0xff, 0xff, 0xff, 0xff, 0xff},
	"torn":    {0x30, 0x20, 0x00},
	"invalid": {0xd0, 0x01, 0x00},
	"client":  {0xc0, 0x00},
}

func newPeer() *peer {
	return &peer{listener: memnet.Listen(), lives: map[net.Conn]bool{}, dialable: true}
}

func (p *peer) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.lives[conn] = true
		p.mu.Unlock()
		p.conns.Go(func() {
			defer conn.Close()
			p.talk(conn)
		})
	}
}

func (p *peer) talk(conn net.Conn) {
	var buf []byte
	part := make([]byte, 4096)
	version := mqtt.V311
	for {
		n, err := conn.Read(part)
		if err != nil {
			return
		}
		buf = append(buf, part[:n]...)
		for {
			frame, rest, err := mqtt.Split(buf, 0)
			if err != nil || frame == nil {
				break
			}
			buf = append([]byte(nil), rest...)
			packet, err := mqtt.Decode(version, frame)
			if err != nil {
				return
			}
			if c, ok := packet.(*mqtt.Connect); ok {
				version = c.Version
			}
			answer, goOn := p.answer(packet, version)
			if _, err := conn.Write(answer); err != nil || !goOn {
				return
			}
		}
	}
}

// answer returns what the peer says to a packet, and whether it stays.
func (p *peer) answer(packet mqtt.Packet, v mqtt.Version) ([]byte, bool) {
	switch q := packet.(type) {
	case *mqtt.Connect:
		p.note("CONNECT " + q.ClientID)
		ack := &mqtt.Connack{}
		if q.ClientID == "refused" {
			ack.Reason = mqtt.ReasonCode(0x87)
		}
		if v == mqtt.V5 {
			ack.Properties.Set(mqtt.PropTopicAliasMaximum)
			ack.Properties.TopicAliasMaximum = 10
		}
		return ack.Append(nil, v), ack.Reason == 0
	case *mqtt.Publish:
		return p.publish(q, v)
	case *mqtt.Subscribe:
		ack := &mqtt.Suback{PacketID: q.PacketID}
		for range q.Subscriptions {
			ack.Reasons = append(ack.Reasons, 0)
		}
		return ack.Append(nil, v), true
	case *mqtt.Unsubscribe:
		return (&mqtt.Unsuback{PacketID: q.PacketID, Reasons: make([]mqtt.ReasonCode, len(q.Filters))}).Append(nil, v), true
	case *mqtt.Pingreq:
		return (&mqtt.Pingresp{}).Append(nil, v), true
	case *mqtt.Disconnect:
		return nil, q.Reason == mqtt.ReasonCode(0x04) // which the peer ignores
	case *mqtt.Auth:
		return q.Append(nil, v), true
	}
	return nil, true
}

func (p *peer) publish(q *mqtt.Publish, v mqtt.Version) ([]byte, bool) {
	if q.Retain {
		p.note("retain " + string(q.Topic) + "=" + string(q.Payload))
	}
	if bytes, ok := misbehave[string(q.Topic)]; ok {
		return bytes, false
	}
	var out []byte
	if q.QoS == 1 {
		out = (&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: q.PacketID}).Append(nil, v)
	}
	switch string(q.Topic) {
	case "silent":
		return out, true
	case "goodbye":
		return (&mqtt.Disconnect{Reason: mqtt.ReasonCode(0x8e)}).Append(out, v), false
	}
	return q.Append(out, v), true
}

func (p *peer) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, what)
}

func (p *peer) notes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.log...)
}

func (p *peer) Dial(context.Context) (net.Conn, error) {
	if !p.dialable {
		return nil, io.ErrNoProgress
	}
	return p.listener.Dial()
}

func (p *peer) Offers(need string) bool { return need == p.offers }

func (p *peer) Ephemeral() bool { return !p.lasting }

// controlled is a peer under control.
type controlled struct{ *peer }

func (c controlled) Restart() error { c.hangUp("restart"); return nil }
func (c controlled) Kill() error    { c.hangUp("kill"); return nil }

func (c controlled) Option(key, value string) error {
	c.note("option " + key + "=" + value)
	return nil
}

func (c controlled) hangUp(what string) {
	c.note(what)
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.lives {
		conn.Close()
	}
}

// inBubble runs f with a serving peer, in virtual time.
func inBubble(t *testing.T, f func(t *testing.T, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPeer()
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.serve()
		}()
		f(t, p)
		p.listener.Close()
		<-done
		p.conns.Wait()
	})
}

func parse(t *testing.T, src string) *mqttscript.Script {
	t.Helper()
	s, err := mqttscript.Parse("test.mqtt", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// passes runs a script against the peer and fails the test unless it passes.
func passes(t *testing.T, p mqttscript.Target, v mqtt.Version, src string) mqttscript.Result {
	t.Helper()
	r := mqttscript.Run(t.Context(), parse(t, src), v, p)
	if r.Status != mqttscript.Passed {
		t.Errorf("%s", r.Transcript())
	}
	return r
}

const minute = time.Minute
