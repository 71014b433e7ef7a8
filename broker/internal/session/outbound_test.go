package session

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// send puts the next message of a session that is not stored in flight and returns its packet id.
func send(t *testing.T, s *Session, qos byte) uint16 {
	t.Helper()
	id := s.NextID()
	if !s.CanSend(id) {
		t.Fatalf("id %d cannot be sent with %d in flight", id, s.InFlight())
	}
	s.Sent(&store.Delivery{PacketID: id, QoS: qos}, 0, store.Sent)
	return id
}

func acknowledge(t *testing.T, s *Session, kind mqtt.Type, id uint16, reason mqtt.ReasonCode) Outcome {
	t.Helper()
	out, err := s.Acknowledge(&mqtt.Ack{Kind: kind, PacketID: id, Reason: reason})
	if err != nil {
		t.Fatalf("%v %d: %v", kind, id, err)
	}
	return out
}

func TestWindowOpensWithAcknowledgements(t *testing.T) {
	s := New(Config{Window: 2})
	first, second := send(t, s, 1), send(t, s, 2)
	if s.Room() != 0 || s.CanSend(s.NextID()) {
		t.Fatal("the window should be closed")
	}
	if out := acknowledge(t, s, mqtt.PUBREC, second, mqtt.Success); !out.Pubrel || out.Done {
		t.Fatalf("PUBREC asks for PUBREL and keeps its place: %+v", out)
	}
	if s.Room() != 0 {
		t.Fatal("a released message is still in flight")
	}
	if out := acknowledge(t, s, mqtt.PUBACK, first, mqtt.Success); !out.Done {
		t.Fatalf("PUBACK ends a QoS 1 message: %+v", out)
	}
	if out := acknowledge(t, s, mqtt.PUBCOMP, second, mqtt.Success); !out.Done || s.Room() != 2 {
		t.Fatalf("PUBCOMP ends a QoS 2 message: %+v, room %d", out, s.Room())
	}
}

func TestWindowIsFullAtItsBytesToo(t *testing.T) {
	s := New(Config{Window: 10, WindowBytes: 100})
	s.Sent(&store.Delivery{PacketID: 1, QoS: 1}, 99, store.Sent)
	if !s.CanSend(2) {
		t.Fatal("99 of 100 bytes are in flight: one more may go")
	}
	s.Sent(&store.Delivery{PacketID: 2, QoS: 2}, 500, store.Sent)
	acknowledge(t, s, mqtt.PUBACK, 1, mqtt.Success)
	acknowledge(t, s, mqtt.PUBREC, 2, mqtt.Success)
	if s.CanSend(3) {
		t.Fatal("500 of 100 bytes are in flight")
	}
	acknowledge(t, s, mqtt.PUBCOMP, 2, mqtt.Success)
	if !s.CanSend(3) {
		t.Fatal("nothing is in flight")
	}
}

func TestPubrecWithErrorEndsTheMessage(t *testing.T) {
	s := New(Config{Window: 1})
	id := send(t, s, 2)
	if out := acknowledge(t, s, mqtt.PUBREC, id, mqtt.QuotaExceeded); !out.Done || out.Pubrel || s.Room() != 1 {
		t.Fatalf("got %+v, room %d", out, s.Room())
	}
}

func TestUnknownAcknowledgementsChangeNothing(t *testing.T) {
	s := New(Config{Window: 5})
	send(t, s, 1)
	for _, id := range []uint16{0, 2, 65535} {
		for _, kind := range []mqtt.Type{mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBCOMP} {
			out := acknowledge(t, s, kind, id, mqtt.Success)
			if out.Known || out.Done || out.Pubrel != (kind == mqtt.PUBREC) {
				t.Errorf("%v %d: %+v", kind, id, out)
			}
		}
	}
}

func TestWrongAcknowledgementIsAProtocolError(t *testing.T) {
	for _, c := range []struct {
		qos  byte
		kind mqtt.Type
	}{{1, mqtt.PUBREC}, {1, mqtt.PUBCOMP}, {2, mqtt.PUBACK}, {2, mqtt.PUBCOMP}} {
		s := New(Config{Window: 5})
		id := send(t, s, c.qos)
		if _, err := s.Acknowledge(&mqtt.Ack{Kind: c.kind, PacketID: id}); !errors.Is(err, mqtt.ProtocolError) {
			t.Errorf("%v at QoS %d: %v", c.kind, c.qos, err)
		}
	}
}

func TestPacketIDIsNotUsedTwiceWhileTheOldestIsInFlight(t *testing.T) {
	s := New(Config{Window: 65535})
	oldest := send(t, s, 1)
	for range 65534 {
		acknowledge(t, s, mqtt.PUBACK, send(t, s, 1), mqtt.Success)
	}
	if id := s.NextID(); id != oldest || s.CanSend(id) {
		t.Fatalf("next is %d; it must wait for the oldest, %d", id, oldest)
	}
	acknowledge(t, s, mqtt.PUBACK, oldest, mqtt.Success)
	if id := send(t, s, 1); id != 1 {
		t.Fatalf("after 65535 comes %d, want 1", id)
	}
}

// TestAcknowledgementsInAnyOrder compares with a map.
func TestAcknowledgementsInAnyOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const window = 50
	s := New(Config{Window: window})
	inFlight := map[uint16]bool{}
	for range 300_000 {
		if id := s.NextID(); r.IntN(2) == 0 && s.CanSend(id) {
			if inFlight[id] {
				t.Fatalf("id %d is used twice", id)
			}
			s.Sent(&store.Delivery{PacketID: id, QoS: 1}, 0, store.Sent)
			inFlight[id] = true
			continue
		}
		for id := range inFlight { // any
			if !acknowledge(t, s, mqtt.PUBACK, id, mqtt.Success).Done {
				t.Fatalf("id %d is in flight, but not known", id)
			}
			delete(inFlight, id)
			break
		}
		if s.InFlight() != len(inFlight) || s.Room() != window-len(inFlight) {
			t.Fatalf("%d in flight, want %d", s.InFlight(), len(inFlight))
		}
	}
}

func TestQueueKeepsOrderAndLimits(t *testing.T) {
	s := New(Config{Window: 1, Queue: store.Limit{Messages: 3, Bytes: 10}})
	push := func(payload string) bool {
		return s.Push(&store.Delivery{Message: &store.Message{Payload: []byte(payload)}})
	}
	if !push("larger than the whole limit") {
		t.Fatal("a single message always fits")
	}
	if push("x") {
		t.Fatal("the limit in bytes did not hold")
	}
	s.Pop()
	for _, p := range []string{"a", "b", "c"} {
		if !push(p) {
			t.Fatalf("%q was refused below the limit", p)
		}
	}
	if push("d") || s.Waiting() != 3 {
		t.Fatal("the limit in messages did not hold")
	}
	for _, p := range []string{"a", "b", "c"} {
		if got := string(s.Front().Message.Payload); got != p {
			t.Fatalf("front is %q, want %q", got, p)
		}
		s.Pop()
	}
	if s.Front() != nil || s.Waiting() != 0 {
		t.Fatal("the queue should be empty")
	}
}

func TestLongQueueGivesMemoryBackInOrder(t *testing.T) {
	s := New(Config{Window: 1})
	for i := range 1000 {
		s.Push(&store.Delivery{Ordinal: uint64(i), Message: &store.Message{}})
	}
	for i := range 1000 {
		if s.Front().Ordinal != uint64(i) {
			t.Fatalf("front is %d, want %d", s.Front().Ordinal, i)
		}
		s.Pop()
	}
	if !reflect.ValueOf(s.used.queue).IsZero() {
		t.Fatal("an empty queue holds memory")
	}
}

func TestAliasesAreHandedOutInOrder(t *testing.T) {
	s := New(Config{SendAliasMaximum: 2})
	for _, c := range []struct {
		topic string
		alias uint16
		known bool
	}{{"a", 1, false}, {"b", 2, false}, {"a", 1, true}, {"c", 0, false}, {"b", 2, true}} {
		if alias, known := s.Alias([]byte(c.topic)); alias != c.alias || known != c.known {
			t.Errorf("%s: alias %d, known %v; want %d, %v", c.topic, alias, known, c.alias, c.known)
		}
	}
}
