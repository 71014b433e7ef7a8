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
	if dup, err := s.Accept(7, 1, 2); dup || err != nil {
		t.Fatalf("the third is allowed: %v %v", dup, err)
	}
	s.Receive(7, 1)
	if dup, err := s.Accept(7, 1, 9); !dup || err != nil {
		t.Fatalf("the same message again counts no more: %v %v", dup, err)
	}
	if !s.Full(2) || s.Full(1) {
		t.Fatal("the third fills the window")
	}
	if _, err := s.Accept(8, 1, 2); !errors.Is(err, mqtt.ReceiveMaximumExceeded) {
		t.Fatalf("the fourth: %v", err)
	}
	if !s.Release(7) || s.Release(7) {
		t.Fatal("an id is released once")
	}
	if dup, err := s.Accept(7, 1, 0); dup || err != nil {
		t.Fatalf("a released id is a new message: %v %v", dup, err)
	}
}

func TestReceivedIDsAreResumed(t *testing.T) {
	s := New(Config{ReceiveMaximum: 10, Received: Received{3: 0, 4: 7}})
	for _, c := range []struct {
		id     uint16
		digest uint64
		want   bool
	}{{3, 7, true}, {4, 7, true}, {4, 8, false}, {5, 7, false}} { // of 3 nothing is known but its id
		if dup, err := s.Accept(c.id, c.digest, 0); dup != c.want || err != nil {
			t.Errorf("id %d, digest %d: %v %v, want %v", c.id, c.digest, dup, err, c.want)
		}
	}
}

func TestDigestTellsMessagesApart(t *testing.T) {
	seen := map[uint64]string{}
	for _, m := range [][2]string{{"t", ""}, {"t", "x"}, {"x", "t"}, {"tx", ""}, {"t", "xx"}, {"t", "y"}, {"u", "x"}} {
		d := Digest(&mqtt.Publish{Topic: []byte(m[0]), Payload: []byte(m[1])})
		if other, ok := seen[d]; ok || d == 0 {
			t.Errorf("%q has the digest %x, as %q", m, d, other)
		}
		seen[d] = m[0] + " " + m[1]
	}
}
