package broker_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
)

// from has its connections come from chosen addresses, one after the other.
type from struct {
	net.Listener
	addresses chan string
}

func (f from) Accept() (net.Conn, error) {
	nc, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return remote{nc, &net.TCPAddr{IP: net.ParseIP(<-f.addresses), Port: 1}}, nil
}

type remote struct {
	net.Conn
	addr net.Addr
}

func (r remote) RemoteAddr() net.Addr { return r.addr }

// closed reports whether the broker has closed a connection that sent nothing.
func closed(t *testing.T, nc net.Conn) bool {
	t.Helper()
	synctest.Wait()
	_ = nc.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := nc.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

func TestConnectionRateOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := broker.New(broker.Options{Limits: broker.Limits{MaxConnectionRate: 2}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = b.Shutdown(context.Background()) }()
		l := memnet.Listen()
		f := from{l, make(chan string, 1)}
		go func() { _ = b.Serve(f) }()
		for i, c := range []struct {
			from   string
			refuse bool
		}{
			{"192.0.2.1", false},
			{"192.0.2.1", false},
			{"192.0.2.1", true},
			{"::ffff:192.0.2.1", true}, // the same one
			{"192.0.2.2", false},
			{"2001:db8::1", false},
			{"2001:db8::2", false},
			{"2001:db8::3", true}, // the same network
			{"2001:db8:0:1::1", false},
		} {
			f.addresses <- c.from
			nc, err := l.Dial()
			if err != nil {
				t.Fatal(err)
			}
			if got := closed(t, nc); got != c.refuse {
				t.Errorf("connection %d, from %s: closed is %v", i, c.from, got)
			}
		}
		if n := b.Stats().RefusedBy[broker.RefuseRate]; n != 3 {
			t.Errorf("%d refusals were counted", n)
		}
		time.Sleep(time.Second) // of virtual time
		f.addresses <- "192.0.2.1"
		nc, err := l.Dial()
		if err != nil {
			t.Fatal(err)
		}
		if closed(t, nc) {
			t.Error("refused a second later")
		}
	})
}

func TestConnectionsWithoutConnectAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := make(chan error, 9)
		b, l := serve(t, broker.Options{
			Limits: broker.Limits{MaxUnaccepted: 3},
			Events: broker.Events{Refused: func(_ *broker.Client, err error) { refused <- err }},
		})
		connect(t, l, clean("bystander"))
		synctest.Wait()
		var silent []net.Conn
		for range 4 {
			nc, err := l.Dial()
			if err != nil {
				t.Fatal(err)
			}
			silent = append(silent, nc)
			synctest.Wait()
		}
		if !closed(t, silent[3]) || closed(t, silent[0]) {
			t.Error("the fourth one was to be closed, and not the first")
		}
		if err := <-refused; len(refused) > 0 || !errors.Is(err, broker.ErrUnaccepted) || b.Stats().RefusedBy[broker.RefuseUnaccepted] != 1 {
			t.Errorf("refused with %v, counted %v", err, b.Stats().RefusedBy)
		}
		time.Sleep(10 * time.Second) // ConnectTimeout
		synctest.Wait()
		if n := b.Stats(); n.Unaccepted != 0 || n.RefusedBy[broker.RefuseTimeout] != 3 {
			t.Errorf("%d connections wait still, refusals are %v", n.Unaccepted, n.RefusedBy)
		}
		connect(t, l, clean("later"))
	})
}

func TestRefusalsAreCountedByCause(t *testing.T) {
	gone := make(chan struct{})
	b, l := serve(t, broker.Options{
		Limits: broker.Limits{MaxSessions: 1}, Authenticator: passwords{"ann": "good"},
		Events: broker.Events{Refused: func(_ *broker.Client, err error) {
			if errors.Is(err, io.EOF) {
				close(gone)
			}
		}},
	})
	send := func(p []byte) {
		nc, err := l.Dial()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = nc.Write(p)
		_, _ = io.Copy(io.Discard, nc)
	}
	user := func(id, password string) []byte {
		p := clean(id)
		p.HasUsername, p.Username = true, "ann"
		p.HasPassword, p.Password = true, []byte(password)
		return p.Append(nil, mqtt.V5)
	}
	first := dial(t, l, mqtt.V5)
	_, _ = first.nc.Write(user("first", "good"))
	if _, ok := first.read().(*mqtt.Connack); !ok {
		t.Fatal("no CONNACK")
	}
	send(user("a", "bad"))
	send(user("b", "good"))
	send([]byte("GET / HTTP/1.1\r\n\r\n"))
	send([]byte{0x10, 2, 0, 0})
	nc, err := l.Dial()
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.Close()
	<-gone
	want := map[broker.RefuseCause]int64{broker.RefuseCredentials: 1, broker.RefuseBusy: 1, broker.RefuseProtocol: 2, broker.RefuseClosed: 1}
	for i, n := range b.Stats().RefusedBy {
		if cause := broker.RefuseCause(i); n != want[cause] {
			t.Errorf("%d were refused because of %v, want %d", n, cause, want[cause])
		}
	}
}

func TestWhoSpeaksAnotherProtocolIsToldFromIt(t *testing.T) {
	for prefix, want := range map[string]string{
		"\x16\x03\x01\x02\x00\x01": "TLS", "GET /mqtt HTTP/1.1\r\n": "HTTP", "PROXY TCP4 ": "PROXY",
		"\r\n\r\n\x00\r\nQUIT\n!": "PROXY", "\x30": "not CONNECT",
	} {
		refused := make(chan error, 1)
		_, l := serve(t, broker.Options{Events: broker.Events{Refused: func(_ *broker.Client, err error) { refused <- err }}})
		nc, err := l.Dial()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write([]byte(prefix)); err != nil {
			t.Fatal(err)
		}
		if err := <-refused; !strings.Contains(err.Error(), want) { // at once: the client has sent no whole packet
			t.Errorf("%q was refused with %v, want %s", prefix, err, want)
		}
	}
}
