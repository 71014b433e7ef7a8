package broker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
)

// hoarder is a connection that sends the beginning of a packet, keeps nothing of it in memory, and
// then says no more.
type hoarder struct {
	net.Conn // for addresses
	left     []byte
	more     int // zeros behind left
	gone     chan struct{}
	leave    sync.Once
}

// hoard returns a connection that sends as much as it may of a CONNECT of size bytes.
func hoard(size int) *hoarder {
	near, _ := memnet.Pipe()
	body := size - 4
	head := []byte{0x10, byte(body) | 0x80, byte(body>>7) | 0x80, byte(body >> 14)}
	return &hoarder{Conn: near, left: head, more: body - 1, gone: make(chan struct{})}
}

func (h *hoarder) Read(p []byte) (int, error) {
	switch {
	case len(h.left) > 0:
		n := copy(p, h.left)
		h.left = h.left[n:]
		return n, nil
	case h.more > 0:
		n := min(len(p), h.more)
		clear(p[:n])
		h.more -= n
		return n, nil
	}
	<-h.gone
	return 0, os.ErrDeadlineExceeded
}

func (h *hoarder) end() { h.leave.Do(func() { close(h.gone) }) }

func (h *hoarder) SetDeadline(time.Time) error { return nil }

func (h *hoarder) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		h.end()
	}
	return nil
}

func (h *hoarder) Close() error {
	h.end()
	return h.Conn.Close()
}

// alsoFrom is a listener whose connections come from another one, and from more.
type alsoFrom struct {
	*memnet.Listener
	more chan net.Conn
	both chan arrival
}

type arrival struct {
	nc  net.Conn
	err error
}

func newAlsoFrom() alsoFrom {
	a := alsoFrom{memnet.Listen(), make(chan net.Conn), make(chan arrival)}
	go func() {
		for {
			nc, err := a.Listener.Accept()
			a.both <- arrival{nc, err}
			if err != nil {
				return
			}
		}
	}()
	return a
}

func (a alsoFrom) Accept() (net.Conn, error) {
	select {
	case nc := <-a.more:
		return nc, nil
	case c := <-a.both:
		return c.nc, c.err
	}
}

// heap is what is in use, in bytes, when nothing is left to be collected.
func heap() int {
	runtime.GC()
	runtime.GC() // what pools have let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestWhatUnacceptedConnectionsSendIsBoundedInSum has 300 connections that each send as much of a
// CONNECT as they may.
func TestWhatUnacceptedConnectionsSendIsBoundedInSum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const crowd, sum, own, bound = 300, 4 << 20, 4 << 10, 8 << 20
		refused := make(chan error, crowd)
		b, err := broker.New(broker.Options{
			Limits: broker.Limits{MaxUnacceptedBytes: sum},
			Events: broker.Events{Refused: func(_ *broker.Client, err error) { refused <- err }},
		})
		if err != nil {
			t.Fatal(err)
		}
		l := newAlsoFrom()
		go func() { _ = b.Serve(l) }()
		conns := make([]*hoarder, crowd)
		for i := range conns {
			conns[i] = hoard(100 << 10)
		}
		before := heap()
		for _, h := range conns {
			l.more <- h
		}
		synctest.Wait()
		held := heap() - before
		t.Logf("%d connections hold %d bytes of heap, %d each", crowd, held, held/crowd)
		if held > bound || held < sum/2 {
			t.Errorf("%d connections hold %d bytes, want at most %d, of which %d are stacks and the like", crowd, held, bound, bound-sum-crowd*own)
		}
		// Those that came first had to go, and count as that.
		n := b.Stats()
		if out := n.RefusedBy[broker.RefuseUnaccepted]; n.Unaccepted+out != crowd || n.Unaccepted > sum/(96<<10) || n.Unaccepted == 0 {
			t.Errorf("%d connections are left, %d had to go", n.Unaccepted, out)
		}
		if err := <-refused; !errors.Is(err, broker.ErrUnaccepted) {
			t.Errorf("refused with %v", err)
		}
		// A client that means it comes in, with what the specification lets it bring.
		p := clean("large")
		p.Will = &mqtt.Will{Topic: "w", Payload: make([]byte, 60_000)}
		p.HasUsername, p.Username, p.HasPassword, p.Password = true, "ann", true, bytes.Repeat([]byte("p"), 30_000)
		if _, ack := connect(t, l.Listener, p); ack.Reason != mqtt.Success {
			t.Errorf("a large CONNECT: %v", ack.Reason)
		}
		if err := b.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// TestWhoWaitsForTheBrokerKeepsItsRoom has clients whose CONNECT is complete fill the lobby: nobody
// has them go, and others of usual size come in.
func TestWhoWaitsForTheBrokerKeepsItsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &held{answer: make(chan struct{})}
		b, l := serve(t, broker.Options{Limits: broker.Limits{MaxUnacceptedBytes: 130 << 10}, Authenticator: slow})
		large := func(id string) *client {
			p := clean(id)
			p.HasUsername, p.Username, p.HasPassword, p.Password = true, "slow", true, make([]byte, 60_000)
			c := dial(t, l, p.Version)
			go c.send(&p) // which waits for the reader
			synctest.Wait()
			return c
		}
		first, second, third := large("1"), large("2"), large("3")
		if p := third.read(); p != nil {
			t.Errorf("the third one got %v", p)
		}
		if _, ack := connect(t, l, clean("usual")); ack.Reason != mqtt.Success {
			t.Errorf("a usual CONNECT: %v", ack.Reason)
		}
		close(slow.answer)
		for i, c := range []*client{first, second} {
			if ack, ok := c.read().(*mqtt.Connack); !ok || ack.Reason != mqtt.Success {
				t.Errorf("client %d got %v", i, ack)
			}
		}
		synctest.Wait() // CONNACK comes before the counters
		if n := b.Stats(); n.RefusedBy[broker.RefuseUnaccepted] != 1 || n.Unaccepted != 0 {
			t.Errorf("%+v", n)
		}
		large("4") // there is room again
		if n := b.Stats(); n.Connections != 4 {
			t.Errorf("%d clients are connected", n.Connections)
		}
	})
}

// held is an Authenticator that lets "slow" wait.
type held struct{ answer chan struct{} }

func (h *held) Authenticate(ctx context.Context, c *broker.Client, _ []byte) error {
	if c.Username == "slow" {
		select {
		case <-h.answer:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

func (*held) Exchange(context.Context, *broker.Client, string) (broker.Exchange, error) {
	return nil, mqtt.BadAuthenticationMethod
}

// shaker is a connection with a handshake in which the client sends some bytes, and no more.
type shaker struct {
	*hoarder
	bytes int
	meter func(int) error
}

func (s *shaker) Meter(f func(held int) error) { s.meter = f }

func (s *shaker) HandshakeContext(context.Context) error {
	if err := s.meter(s.bytes); err != nil {
		return err
	}
	<-s.gone
	return io.ErrUnexpectedEOF
}

// TestHandshakesOfLayersHaveTheSameRoom has half as many clients that owe the rest of a handshake
// as fit, and then others.
func TestHandshakesOfLayersHaveTheSameRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := broker.New(broker.Options{Limits: broker.Limits{MaxUnacceptedBytes: 10 * 96 << 10}})
		if err != nil {
			t.Fatal(err)
		}
		l := newAlsoFrom()
		go func() { _ = b.Serve(l) }()
		for range 5 {
			l.more <- &shaker{hoarder: hoard(4), bytes: 100 << 10}
		}
		synctest.Wait()
		if n := b.Stats(); n.Unaccepted != 5 || n.Refused != 0 {
			t.Errorf("five handshakes: %+v", n)
		}
		for range 50 {
			l.more <- &shaker{hoarder: hoard(4), bytes: 4 << 10} // has room of its own
		}
		for range 7 {
			l.more <- hoard(100 << 10)
			synctest.Wait()
		}
		if n := b.Stats(); n.Unaccepted != 60 || n.RefusedBy[broker.RefuseUnaccepted] != 2 {
			t.Errorf("two too many: %+v", n)
		}
		if err := b.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestConnectAndAuthHaveASizeTogether(t *testing.T) {
	connectOf := func(size int) []byte {
		p := clean("c")
		p.HasUsername, p.Username = true, "ann"
		p.Will = &mqtt.Will{Topic: "w", Payload: make([]byte, 60_000)}
		p.HasPassword, p.Password = true, make([]byte, 1)
		p.Password = make([]byte, 1+size-len(p.Append(nil, mqtt.V5)))
		return p.Append(nil, mqtt.V5)
	}
	for size, want := range map[int]bool{100_003: true, 100 << 10: true, 100<<10 + 1: false} { // the first is the most that Mosquitto takes
		_, l := serve(t, broker.Options{})
		c := dial(t, l, mqtt.V5)
		p := connectOf(size)
		if len(p) != size {
			t.Fatalf("%d bytes, want %d", len(p), size)
		}
		go func() { _, _ = c.nc.Write(p) }()
		if _, ok := c.read().(*mqtt.Connack); ok != want {
			t.Errorf("CONNECT of %d bytes: accepted is %v", size, ok)
		}
	}
	// An exchange without end is one of too many bytes.
	synctest.Test(t, func(t *testing.T) {
		b, l := serve(t, broker.Options{Authenticator: endless{}})
		c := dial(t, l, mqtt.V5)
		p := clean("c")
		p.Properties.SetAuthMethod("endless")
		c.send(&p)
		a := mqtt.Auth{Reason: mqtt.ContinueAuthentication}
		a.Properties.SetAuthMethod("endless")
		a.Properties.SetAuthData(make([]byte, 1000))
		rounds := 0
		for ; rounds < 1000; rounds++ {
			if _, ok := c.read().(*mqtt.Auth); !ok {
				break
			}
			c.send(&a)
		}
		synctest.Wait()
		if rounds < 90 || rounds > 102 || b.Stats().Unaccepted != 0 {
			t.Errorf("%d rounds of 1 kB, %+v", rounds, b.Stats())
		}
	})
}

// endless is an Authenticator whose exchanges go on.
type endless struct{}

func (endless) Authenticate(context.Context, *broker.Client, []byte) error { return nil }
func (endless) Exchange(context.Context, *broker.Client, string) (broker.Exchange, error) {
	return endless{}, nil
}

func (endless) Next(context.Context, []byte) ([]byte, bool, error) { return []byte("more"), false, nil }

// TestAnExchangeUnderWayTakesNoClientsPlace has as many of them as there may be clients, and more.
func TestAnExchangeUnderWayTakesNoClientsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := serve(t, broker.Options{Limits: broker.Limits{MaxConnections: 1, MaxUnaccepted: 4}, Authenticator: endless{}})
		for range 4 {
			c := dial(t, l, mqtt.V5)
			p := clean("c")
			p.ClientID = ""
			p.Properties.SetAuthMethod("endless")
			c.send(&p)
			if _, ok := c.read().(*mqtt.Auth); !ok {
				t.Fatal("no AUTH")
			}
		}
		if n := b.Stats(); n.Unaccepted != 4 || n.Connections != 0 {
			t.Errorf("%+v", n)
		}
		nc, err := l.Dial()
		if err != nil {
			t.Fatal(err)
		}
		if !closed(t, nc) {
			t.Error("one more connection is not closed")
		}
		time.Sleep(10 * time.Second) // ConnectTimeout
		synctest.Wait()
		if n := b.Stats(); n.Unaccepted != 0 || n.RefusedBy[broker.RefuseTimeout] != 4 {
			t.Errorf("%+v", n)
		}
		if _, ack := connect(t, l, clean("client")); ack.Reason != mqtt.Success {
			t.Errorf("a client: %v", ack.Reason)
		}
	})
}
