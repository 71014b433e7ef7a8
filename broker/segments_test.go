package broker_test

import (
	"net"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// segmented has what clients send arrive byte by byte, from the byte with a number on.
type segmented struct {
	*memnet.Listener
	from int
}

func (s segmented) Accept() (net.Conn, error) {
	nc, err := s.Listener.Accept()
	return &segments{Conn: nc, whole: s.from}, err
}

type segments struct {
	net.Conn
	whole int // bytes that may still arrive together
}

func (s *segments) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p[:min(len(p), max(s.whole, 1))])
	s.whole -= n
	return n, err
}

// TestOneByteSegmentsBehindALargePartialPacketCostNoMore publishes a small message that arrives
// byte by byte, a large one that does not, and a large one whose end does.
func TestOneByteSegmentsBehindALargePartialPacketCostNoMore(t *testing.T) {
	cost := func(whole, segments int) time.Duration {
		b, _ := serve(t, broker.Options{})
		l := memnet.Listen()
		served := make(chan error, 1)
		go func() { served <- b.Serve(segmented{l, whole}) }()
		defer func() {
			_ = l.Close()
			if err := <-served; err == nil {
				t.Error("serving ended without an error")
			}
		}()
		connect := clean("c")
		packet := connect.Append(nil, mqtt.V5)
		publish := mqtt.Publish{QoS: 1, PacketID: 1, Topic: []byte("t"), Payload: make([]byte, whole+segments)}
		c := dial(t, l, mqtt.V5)
		packet = publish.Append(packet, mqtt.V5)
		before := testenv.CPUTime(t)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = c.nc.Write(packet)
		}()
		if _, ok := c.read().(*mqtt.Connack); !ok {
			t.Fatal("no CONNACK")
		}
		if a, ok := c.read().(*mqtt.Ack); !ok || a.Kind != mqtt.PUBACK || a.Reason.Failed() {
			t.Fatalf("instead of PUBACK came %+v", a)
		}
		<-sent
		return testenv.CPUTime(t) - before
	}
	const large, segments = 1_900_000, 3000
	alone, together := cost(0, segments), cost(large, 1)
	if both := cost(large, segments); both > 10*(alone+together) {
		t.Errorf("%d segments cost %v of CPU time, %d bytes %v, and one behind the other %v", segments, alone, large, together, both)
	}
}
