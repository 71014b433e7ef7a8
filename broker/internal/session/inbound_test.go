package session

import (
	"errors"
	"testing"

	"github.com/uniomq/unio/mqtt"
)

func published(topic string, alias uint16) *mqtt.Publish {
	p := &mqtt.Publish{Topic: []byte(topic)}
	if alias != none {
		p.Properties.SetTopicAlias(alias)
	}
	return p
}

const none = 0xFFFF // no alias

func TestTopicAliasIsResolved(t *testing.T) {
	s := New(Config{AliasMaximum: 2})
	for _, c := range []struct {
		topic string
		alias uint16
		want  string
		err   error
	}{
		{"plain", none, "plain", nil},
		{"", 1, "", mqtt.ProtocolError}, // never set
		{"a", 1, "a", nil},
		{"", 1, "a", nil},
		{"b", 1, "b", nil}, // replaced
		{"", 1, "b", nil},
		{"c", 0, "", mqtt.TopicAliasInvalid},
		{"c", 3, "", mqtt.TopicAliasInvalid},
	} {
		p := published(c.topic, c.alias)
		err := s.Resolve(p)
		if !errors.Is(err, c.err) || err == nil && string(p.Topic) != c.want {
			t.Errorf("topic %q alias %d: %q, %v; want %q, %v", c.topic, c.alias, p.Topic, err, c.want, c.err)
		}
	}
}

func TestTopicAliasesAreCopied(t *testing.T) {
	s := New(Config{AliasMaximum: 1})
	buffer := []byte("first")
	p := published("", 1)
	p.Topic = buffer
	if err := s.Resolve(p); err != nil {
		t.Fatal(err)
	}
	copy(buffer, "xxxxx")
	q := published("", 1)
	if err := s.Resolve(q); err != nil || string(q.Topic) != "first" {
		t.Fatalf("alias resolves to %q, %v", q.Topic, err)
	}
}

func TestReceiveMaximumCountsBothQoS(t *testing.T) {
	s := New(Config{ReceiveMaximum: 3})
	two := &mqtt.Publish{QoS: 2, PacketID: 7}
	if dup, err := s.Accept(two, 2); dup || err != nil {
		t.Fatalf("the third is allowed: %v %v", dup, err)
	}
	s.Receive(7)
	if dup, err := s.Accept(two, 9); !dup || err != nil {
		t.Fatalf("the same message again counts no more: %v %v", dup, err)
	}
	if !s.Full(2) || s.Full(1) {
		t.Fatal("the third fills the window")
	}
	if _, err := s.Accept(&mqtt.Publish{QoS: 2, PacketID: 8}, 2); !errors.Is(err, mqtt.ReceiveMaximumExceeded) {
		t.Fatalf("the fourth: %v", err)
	}
	if !s.Release(7) || s.Release(7) {
		t.Fatal("an id is released once")
	}
	if dup, err := s.Accept(two, 0); dup || err != nil {
		t.Fatalf("a released id is a new message: %v %v", dup, err)
	}
}

func TestReceivedIDsAreResumed(t *testing.T) {
	s := New(Config{ReceiveMaximum: 10, Received: []uint16{3}})
	if dup, err := s.Accept(&mqtt.Publish{QoS: 2, PacketID: 3}, 0); !dup || err != nil {
		t.Fatalf("got %v %v, want a duplicate", dup, err)
	}
}
