//go:build unix

package broker

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// bare is a layer that does nothing.
type bare struct{ *net.TCPConn }

func (bare) TryRead(sock io.Reader, p []byte) (int, error)  { return sock.Read(p) }
func (bare) TryWrite(sock io.Writer, p []byte) (int, error) { return sock.Write(p) }
func (bare) TryClose(io.Writer)                             {}

// bareListener is a listener whose connections have a layer.
type bareListener struct{ net.Listener }

func (l bareListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return bare{nc.(*net.TCPConn)}, nil
}

// doorway is a way in which connections are read.
type doorway struct {
	name   string
	o      Options
	listen func(t *testing.T) (net.Listener, func() (net.Conn, error))
}

// doorways are the ways in which connections are read.
var doorways = []doorway{
	{"event loops", Options{}, func(t *testing.T) (net.Listener, func() (net.Conn, error)) { return listenTCP(t, false) }},
	{"goroutines", Options{GoroutinePerConnection: true}, func(t *testing.T) (net.Listener, func() (net.Conn, error)) { return listenTCP(t, false) }},
	{"layers", Options{}, func(t *testing.T) (net.Listener, func() (net.Conn, error)) { return listenTCP(t, true) }},
	{"no sockets", Options{}, func(*testing.T) (net.Listener, func() (net.Conn, error)) {
		l := memnet.Listen()
		return l, l.Dial
	}},
}

func listenTCP(t *testing.T, layered bool) (net.Listener, func() (net.Conn, error)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dial := func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }
	if layered {
		return bareListener{l}, dial
	}
	return l, dial
}

// open serves a broker until the test ends, and returns what connects to it.
func (d doorway) open(t *testing.T, o Options) (*Broker, func() net.Conn) {
	t.Helper()
	l, dial := d.listen(t)
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(b.Shutdown(context.Background()), <-served); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return b, func() net.Conn {
		nc, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		return nc
	}
}

// messageToEnd comes behind all that matters.
var messageToEnd = store.Message{Topic: "end"}

// heardOut is what a broker tells of what it was sent.
type heardOut struct {
	mu     sync.Mutex
	topics []string
	stop   chan struct{} // closed to let a message to "hold" go on
}

func (h *heardOut) Intercept(_ *Client, p *mqtt.Publish) error {
	if string(p.Topic) == "hold" {
		<-h.stop
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.topics = append(h.topics, string(p.Topic))
	return nil
}

func (h *heardOut) seen(topic string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(h.topics), func(s string) bool { return s != topic }))
}

// TestTakeoverHandlesFirstWhatTheOldConnectionSent has a client say something and goodbye, and come again at once, while the
// broker is still busy with what it said before.
func TestTakeoverHandlesFirstWhatTheOldConnectionSent(t *testing.T) {
	t.Parallel()
	for _, d := range doorways {
		t.Run(d.name, func(t *testing.T) {
			h := &heardOut{stop: make(chan struct{})}
			o := d.o
			o.Interceptors = []Interceptor{h}
			b, connect := d.open(t, o)
			watch := connect()
			exchange(t, watch, &mqtt.Connect{ClientID: "watch", CleanStart: true})
			exchange(t, watch, &mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "#"}}})
			old := connect()
			exchange(t, old, &mqtt.Connect{ClientID: "c", CleanStart: true, Will: &mqtt.Will{Topic: "will"}})
			sub := b.registry.find("c")
			was := sub.conn.Load()
			out := (&mqtt.Publish{Topic: []byte("hold")}).Append(nil, mqtt.V5)
			if _, err := old.Write(out); err != nil {
				t.Fatal(err)
			}
			out = out[:0]
			for range 20 {
				out = (&mqtt.Publish{Topic: []byte("t"), Payload: []byte("x")}).Append(out, mqtt.V5)
			}
			out = (&mqtt.Disconnect{}).Append(out, mqtt.V5)
			if _, err := old.Write(out); err != nil {
				t.Fatal(err)
			}
			_ = old.Close()
			again := connect()
			if _, err := again.Write((&mqtt.Connect{ClientID: "c"}).Append(nil, mqtt.V5)); err != nil {
				t.Fatal(err)
			}
			for was.allowance.Load() == 0 && !was.fenced.Load() {
				runtime.Gosched()
			}
			close(h.stop)
			if a, ok := next(t, again, new([]byte)).(*mqtt.Connack); !ok || a.SessionPresent {
				t.Errorf("the second one got %+v", a)
			}
			if n := h.seen("t"); n != 20 {
				t.Errorf("%d of 20 messages were handled", n)
			}
			_ = b.Publish(&messageToEnd)
			for in := []byte(nil); ; {
				m, ok := next(t, watch, &in).(*mqtt.Publish)
				if !ok || string(m.Topic) == "will" {
					t.Fatalf("a will of a client that had said goodbye: %+v", m)
				}
				if string(m.Topic) == messageToEnd.Topic {
					return
				}
			}
		})
	}
}

// TestTakeoverDoesNotHearOutForEver has an old connection go on sending while a newer one takes its
// session over.
func TestTakeoverDoesNotHearOutForEver(t *testing.T) {
	t.Parallel()
	for _, d := range doorways {
		t.Run(d.name, func(t *testing.T) {
			_, connect := d.open(t, d.o)
			old := connect()
			exchange(t, old, &mqtt.Connect{ClientID: "c", CleanStart: true})
			flood := []byte(strings.Repeat(string((&mqtt.Publish{Topic: []byte("t")}).Append(nil, mqtt.V5)), 1000))
			go func() {
				for {
					if _, err := old.Write(flood); err != nil {
						return
					}
				}
			}()
			go func() { _, _ = io.Copy(io.Discard, old) }()
			again := connect()
			exchange(t, again, &mqtt.Connect{ClientID: "c"})
			exchange(t, again, &mqtt.Pingreq{})
			_ = old.Close()
		})
	}
}

// TestIdleConnectionIsToldOfTakeover: one that has nothing more to say learns at once who it lost
// its session to.
func TestIdleConnectionIsToldOfTakeover(t *testing.T) {
	t.Parallel()
	for _, d := range doorways {
		t.Run(d.name, func(t *testing.T) {
			_, connect := d.open(t, d.o)
			old := connect()
			exchange(t, old, &mqtt.Connect{ClientID: "c", CleanStart: true})
			again := connect()
			exchange(t, again, &mqtt.Connect{ClientID: "c"})
			if p, ok := next(t, old, new([]byte)).(*mqtt.Disconnect); !ok || p.Reason != mqtt.SessionTakenOver {
				t.Errorf("the old one got %+v", p)
			}
		})
	}
}

// exchange sends a packet and waits for the answer.
func exchange(t *testing.T, nc net.Conn, p mqtt.Packet) {
	t.Helper()
	if _, err := nc.Write(p.Append(nil, mqtt.V5)); err != nil {
		t.Fatal(err)
	}
	next(t, nc, new([]byte))
}

// next reads a packet. in is what has been read and not returned.
func next(t *testing.T, nc net.Conn, in *[]byte) mqtt.Packet {
	t.Helper()
	for {
		frame, rest, err := mqtt.Split(*in, 0)
		if err != nil {
			t.Fatal(err)
		}
		if frame != nil {
			*in = rest
			p, err := mqtt.Decode(mqtt.V5, frame)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		buf := make([]byte, 4096)
		n, err := nc.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		*in = append(*in, buf[:n]...)
	}
}
