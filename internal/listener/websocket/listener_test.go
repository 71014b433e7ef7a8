package websocket

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/internal/memnet"
)

// patience is for what should happen at once.
const patience = 10 * time.Second

// server is a Listener on loopback, and what it refused.
type server struct {
	*Listener
	refusals chan string
}

func listen(t *testing.T, o Options) *server {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listenOn(t, inner, o)
}

func listenOn(t *testing.T, inner net.Listener, o Options) *server {
	t.Helper()
	s := &server{refusals: make(chan string, 100)}
	o.Refused = func(client net.Addr, cause error) {
		if client == nil {
			t.Error("a refusal without an address")
		}
		s.refusals <- cause.Error()
	}
	l, err := New(inner, o)
	if err != nil {
		t.Fatal(err)
	}
	s.Listener = l
	t.Cleanup(func() { _ = l.Close() })
	return s
}

// refusal returns the next refusal.
func (s *server) refusal(t *testing.T) string {
	t.Helper()
	select {
	case text := <-s.refusals:
		return text
	case <-time.After(patience):
		t.Error("nothing was refused")
		return ""
	}
}

func (s *server) dial(t *testing.T) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	return nc
}

// accept returns the next upgraded connection.
func (s *server) accept(t *testing.T) *Conn {
	t.Helper()
	nc, err := s.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc.(*Conn)
}

// request is an upgrade request that is good but for what edits change: "Name: value" replaces or adds a header, "-Name"
// removes one, and what begins with a method replaces the request line.
func request(edits ...string) string {
	lines := []string{
		"GET /mqtt HTTP/1.1", "Host: broker", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: mqtt",
	}
	for _, edit := range edits {
		name, _, header := strings.Cut(edit, ": ")
		name = strings.TrimPrefix(name, "-")
		switch {
		case strings.Contains(edit, " HTTP/"):
			lines[0] = edit
			continue
		case strings.HasPrefix(edit, "+"):
			lines = append(lines, edit[1:])
			continue
		}
		kept := lines[:1]
		for _, line := range lines[1:] {
			if !strings.HasPrefix(line, name+":") {
				kept = append(kept, line)
			}
		}
		if lines = kept; header {
			lines = append(lines, edit)
		}
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// answer is what came back for a request; nil: the connection ended without one.
type answer struct {
	status int
	header http.Header
	body   string
	rest   *bufio.Reader // what follows
}

// exchange sends a request and reads the answer.
func exchange(t *testing.T, nc net.Conn, request string) *answer {
	t.Helper()
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(nc)
	if _, err := r.Peek(1); err != nil {
		return nil
	}
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	a := &answer{status: response.StatusCode, header: response.Header, rest: r}
	if a.status != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		a.body = string(body)
	}
	return a
}

func (a *answer) String() string {
	if a == nil {
		return "none"
	}
	return fmt.Sprintf("%d %v %.50q", a.status, a.header, a.body)
}

func TestUpgradeIsGranted(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{Origins: []string{"https://one", "two"}})
	for _, tc := range []struct {
		name     string
		edits    []string
		protocol string
	}{
		{"plain", nil, "mqtt"},
		{"mqttv3.1", []string{"Sec-WebSocket-Protocol: mqttv3.1"}, "mqttv3.1"},
		{"among others", []string{"Sec-WebSocket-Protocol: chat,mqttv3.1 , mqtt"}, "mqttv3.1"},
		{"in two headers", []string{"Sec-WebSocket-Protocol: chat", "+Sec-WebSocket-Protocol: mqtt"}, "mqtt"},
		{"as Firefox sends it", []string{"Connection: keep-alive, Upgrade"}, "mqtt"},
		{"in other case", []string{"Upgrade: WebSocket", "Connection: upgrade"}, "mqtt"},
		{"other origin", []string{"Origin: two"}, "mqtt"},
		{"extensions", []string{"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"}, "mqtt"},
		{"any path", []string{"GET /some/where?x=y HTTP/1.1"}, "mqtt"},
	} {
		t.Run(tc.name, func(t *testing.T) { // one after the other: Accept does not say whose connection it is
			edits := append([]string{"Origin: https://one"}, tc.edits...)
			a := exchange(t, s.dial(t), request(edits...))
			if a == nil || a.status != http.StatusSwitchingProtocols {
				t.Fatalf("answer %v", a)
			}
			want := http.Header{
				"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
				"Sec-Websocket-Accept":   {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, // RFC 6455, 1.3
				"Sec-Websocket-Protocol": {tc.protocol},
			}
			if fmt.Sprint(a.header) != fmt.Sprint(want) {
				t.Errorf("headers %v, want %v", a.header, want)
			}
			s.accept(t)
		})
	}
}

func TestBadUpgradeIsRefused(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{Origins: []string{"good"}})
	for _, tc := range []struct {
		name   string
		edits  []string
		status int // 0: no answer
		cause  string
		body   string
	}{
		{"wrong version", []string{"Sec-WebSocket-Version: 8"}, 426, "Sec-WebSocket-Version must be 13", ""},
		{"no version", []string{"-Sec-WebSocket-Version"}, 426, "Sec-WebSocket-Version must be 13", ""},
		{"no protocol", []string{"-Sec-WebSocket-Protocol"}, 400, "must offer mqtt", ""},
		{"other protocol", []string{"Sec-WebSocket-Protocol: MQTT, chat"}, 400, "must offer mqtt", ""},
		{"no key", []string{"-Sec-WebSocket-Key"}, 400, "Sec-WebSocket-Key must", ""},
		{"two keys", []string{"+Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, 400, "Sec-WebSocket-Key must", ""},
		{"short key", []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZQ=="}, 400, "Sec-WebSocket-Key must", ""},
		{"no Connection", []string{"-Connection"}, 400, "Connection: Upgrade", ""},
		{"no Upgrade", []string{"-Upgrade"}, 426, "want an upgrade request", ""},
		{"HTTP/1.0", []string{"GET / HTTP/1.0"}, 400, "HTTP/1.1", ""},
		{"POST upgrade", []string{"POST / HTTP/1.1"}, 405, "must be a GET", ""},
		{"body", []string{"+Content-Length: 5"}, 400, "no body", "12345"},
		{"plain POST", []string{"POST / HTTP/1.1", "-Upgrade"}, 405, "only GET and HEAD", ""},
		{"OPTIONS *", []string{"OPTIONS * HTTP/1.1", "-Upgrade"}, 405, "only GET and HEAD", ""},
		{"no Host", []string{"-Host"}, 400, "no valid HTTP request", ""},
		{"wrong origin", []string{"Origin: bad"}, 0, `the origin ["bad"] is not allowed`, ""},
		{"longer origin", []string{"Origin: good.example"}, 0, "is not allowed", ""},
		{"no origin", []string{"-Origin"}, 0, "is not allowed", ""},
		{"two origins", []string{"+Origin: good"}, 0, "is not allowed", ""},
		{"wrong origin and no key", []string{"Origin: bad", "-Sec-WebSocket-Key"}, 0, "is not allowed", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := exchange(t, s.dial(t), request(append([]string{"Origin: good"}, tc.edits...)...)+tc.body)
			if cause := s.refusal(t); !strings.Contains(cause, tc.cause) {
				t.Errorf("cause %q, want %q", cause, tc.cause)
			}
			if a == nil {
				if tc.status != 0 {
					t.Errorf("no answer, want %d", tc.status)
				}
				return
			}
			if a.status != tc.status {
				t.Errorf("status %d, want %d", a.status, tc.status)
			}
			if got := a.header.Get("Sec-WebSocket-Version"); (tc.status == 426) != (got == "13") {
				t.Errorf("status %d with version %q", tc.status, got)
			}
			if _, err := io.Copy(io.Discard, a.rest); err != nil {
				t.Errorf("the connection did not end: %v", err)
			}
		})
	}
}

func TestWhatIsNoRequestIsClosedAndNamed(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{MaxHeaderBytes: 2000})
	for _, tc := range []struct{ name, send, cause string }{
		{"garbage", "\x00\x01\x02garbage\r\n\r\n", "no valid HTTP request"},
		{"MQTT", "\x10\x0C\x00\x04MQTT\x04\x02\x00\x3C\x00\x00\r\n\r\n", "MQTT without WebSocket"},
		{"TLS", "\x16\x03\x01\x00\x05hello\r\n\r\n", "TLS came to"},
		{"oversized headers", request("Cookie: " + strings.Repeat("x", 10_000)), "headers are too long"},
		{"an endless line", strings.Repeat("x", 100_000), "headers are too long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nc := s.dial(t)
			_, _ = io.WriteString(nc, tc.send) // may fail when the answer comes early
			_, _ = io.Copy(io.Discard, nc)     // may be a reset
			if cause := s.refusal(t); !strings.Contains(cause, tc.cause) {
				t.Errorf("cause %q, want %q", cause, tc.cause)
			}
		})
	}
	t.Run("nobody else is affected", func(t *testing.T) {
		if a := exchange(t, s.dial(t), request()); a == nil || a.status != 101 {
			t.Errorf("answer %v", a)
		}
		s.accept(t)
	})
}

func TestSlowRequestIsClosed(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{HandshakeTimeout: 50 * time.Millisecond})
	for _, sent := range []string{"", "GET /mqtt HT", request()[:100]} {
		nc := s.dial(t)
		_, _ = io.WriteString(nc, sent)
		if _, err := io.Copy(io.Discard, nc); err != nil { // net/http answers what it has of a request line
			t.Errorf("%q: %v, want the end", sent, err)
		}
		if cause := s.refusal(t); cause != "no complete HTTP request within 50ms" {
			t.Errorf("%q: cause %q", sent, cause)
		}
	}
}

func TestConnectionsThatSayNothingAndLeaveAreNotReported(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{})
	nc := s.dial(t)
	_ = nc.(*net.TCPConn).CloseWrite()
	if _, err := io.Copy(io.Discard, nc); err != nil {
		t.Error(err)
	}
	_ = s.Close()
	select {
	case cause := <-s.refusals:
		t.Errorf("reported: %q", cause)
	default:
	}
}

func TestUpgradedConnectionOutlivesHandshakeTimeout(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{HandshakeTimeout: 50 * time.Millisecond})
	nc := s.dial(t)
	exchange(t, nc, request())
	c := s.accept(t)
	_ = nc.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v, want that nothing happens", err)
	}
	if _, err := io.WriteString(nc, clientFrame(fin|opBinary, "x")); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	if n, err := c.Read(p); string(p[:n]) != "x" || err != nil {
		t.Errorf("got %q, %v", p[:n], err)
	}
	if _, err := c.Write([]byte("y")); err != nil {
		t.Errorf("writing: %v", err)
	}
}

func TestBytesBehindTheRequestAreNotLost(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{})
	for cut := range 10 {
		nc := s.dial(t)
		stream := clientFrame(fin|opBinary, "early") + clientFrame(fin|opPing, "")
		exchange(t, nc, request()+stream[:cut])
		c := s.accept(t)
		if _, err := io.WriteString(nc, stream[cut:]); err != nil {
			t.Fatal(err)
		}
		_ = nc.(*net.TCPConn).CloseWrite()
		if got, err := io.ReadAll(c); string(got) != "early" || err != nil {
			t.Errorf("cut at %d: got %q, %v", cut, got, err)
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{})
	silent, half, waiting := s.dial(t), s.dial(t), s.dial(t)
	_, _ = io.WriteString(half, "GET / HT")
	exchange(t, waiting, request()) // and nobody accepts
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v, want net.ErrClosed", err)
	}
	for i, nc := range []net.Conn{silent, half, waiting} {
		if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d is still open", i)
		}
	}
	if err := s.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a second Close: %v, want net.ErrClosed", err)
	}
	select {
	case cause := <-s.refusals:
		t.Errorf("Close was reported as the client's fault: %s", cause)
	default:
	}
}

func TestCloseWakesAccept(t *testing.T) {
	t.Parallel()
	s := listen(t, Options{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v, want net.ErrClosed", err)
		}
	})
	_ = s.Close()
	wg.Wait()
}

func TestCloseWhileClientsCome(t *testing.T) {
	t.Parallel()
	for range 20 {
		inner := memnet.Listen()
		s := listenOn(t, inner, Options{HandshakeTimeout: time.Hour})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if nc, err := inner.Dial(); err == nil {
					_, _ = io.WriteString(nc, request()[:50])
					_, _ = io.Copy(io.Discard, nc)
				}
			})
		}
		_ = s.Close() // hangs if it misses one
		wg.Wait()
	}
}

// lateListener yields a connection while it is being closed by net/http, which is after Close did.
type lateListener struct {
	net.Listener
	late   net.Conn
	closes atomic.Int32
	waits  chan struct{} // closed when Accept waits
	now    chan struct{}
}

func (l *lateListener) Accept() (net.Conn, error) {
	if l.late != nil {
		close(l.waits)
	}
	<-l.now
	if late := l.late; late != nil {
		l.late = nil
		return late, nil
	}
	return nil, net.ErrClosed
}

func (l *lateListener) Close() error {
	if l.closes.Add(1) == 2 {
		close(l.now)
	}
	return nil
}

func TestConnectionThatComesTooLateIsClosed(t *testing.T) {
	t.Parallel()
	theirs, ours := memnet.Pipe()
	inner := &lateListener{Listener: memnet.Listen(), late: ours, waits: make(chan struct{}), now: make(chan struct{})}
	s := listenOn(t, inner, Options{HandshakeTimeout: time.Hour})
	<-inner.waits
	_ = theirs.SetReadDeadline(time.Now().Add(patience))
	_ = s.Close() // hangs if the connection stays open
	if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
}

func TestCloseWaitsForGoroutines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := memnet.Listen()
		entered, release := make(chan struct{}), make(chan struct{})
		l, err := New(inner, Options{Refused: func(net.Addr, error) { close(entered); <-release }})
		if err != nil {
			t.Fatal(err)
		}
		nc, err := inner.Dial()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(nc, "garbage\r\n\r\n")
		<-entered
		var closed atomic.Bool
		go func() { _ = l.Close(); closed.Store(true) }()
		synctest.Wait()
		if closed.Load() {
			t.Error("Close returned while a goroutine was at work")
		}
		close(release)
		synctest.Wait()
		if !closed.Load() {
			t.Error("Close has not returned")
		}
		_ = nc.Close()
	})
}

func TestFailureOfTheListenerBelowIsReturned(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	s := listenOn(t, failing{inner, broken}, Options{})
	if _, err := s.Accept(); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct {
	net.Listener
	err error
}

func (f failing) Accept() (net.Conn, error) { return nil, f.err }

func TestMissingFolderIsAnError(t *testing.T) {
	t.Parallel()
	inner := memnet.Listen()
	if _, err := New(inner, Options{HTTPDir: t.TempDir() + "/missing"}); err == nil {
		t.Error("no error")
	}
	if err := inner.Close(); err != nil {
		t.Errorf("the listener below was closed: %v", err)
	}
}

func TestFailedTLSHandshakeIsReported(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := listenOn(t, tls.NewListener(inner, testTLS(t)), Options{})
	nc := s.dial(t)
	_, _ = io.WriteString(nc, request())
	_, _ = io.Copy(io.Discard, nc)
	if cause := s.refusal(t); !strings.Contains(cause, "tls: ") {
		t.Errorf("cause %q", cause)
	}
}

// testTLS returns a server's configuration with the certificate of net/http's tests.
func testTLS(t *testing.T) *tls.Config {
	t.Helper()
	ts := httptest.NewUnstartedServer(nil)
	ts.StartTLS()
	t.Cleanup(ts.Close)
	return &tls.Config{Certificates: ts.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}}
}
