package tlsconn

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

const patience = 20 * time.Second

// config is a server's configuration, and a client's for it.
func config(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	pair := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{Certificates: []tls.Certificate{pair}}, &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// tap is a client's connection of which the writes can be caught, and the reads be fed.
type tap struct {
	net.Conn
	mu     sync.Mutex
	caught *bytes.Buffer // nil: writes go through
	fed    *bytes.Buffer // nil: reads go through
}

func (c *tap) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.caught != nil {
		return c.caught.Write(p)
	}
	return c.Conn.Write(p)
}

func (c *tap) Read(p []byte) (int, error) {
	c.mu.Lock()
	fed := c.fed
	c.mu.Unlock()
	if fed != nil {
		return fed.Read(p)
	}
	return c.Conn.Read(p)
}

// catch returns what the client's connection writes in f.
func (c *tap) catch(f func()) []byte {
	c.mu.Lock()
	c.caught = &bytes.Buffer{}
	c.mu.Unlock()
	f()
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.caught.Bytes()
	c.caught = nil
	return out
}

// feed makes the client's connection read p.
func (c *tap) feed(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fed = bytes.NewBuffer(p)
}

// dial returns both ends of a loopback connection.
func dial(t testing.TB) (server, client net.Conn) {
	t.Helper()
	server, client = testenv.Loopback(t)
	deadline := time.Now().Add(patience)
	_, _ = server.SetDeadline(deadline), client.SetDeadline(deadline)
	return server, client
}

// connect returns both ends of a TLS connection after the handshake.
func connect(t testing.TB, version uint16) (*Conn, *tls.Conn, *tap) {
	t.Helper()
	serverConfig, clientConfig := config(t)
	clientConfig.MaxVersion = version
	a, b := dial(t)
	wire := &tap{Conn: b}
	server, client := Server(a, serverConfig), tls.Client(wire, clientConfig)
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := server.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return server, client, wire
}

func versions(t *testing.T, f func(t *testing.T, version uint16)) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(strings.ReplaceAll(tls.VersionName(v), " ", ""), func(t *testing.T) {
			t.Parallel()
			f(t, v)
		})
	}
}

// arrivals is a socket on which pieces arrive, with nothing between them.
type arrivals struct {
	pieces [][]byte
	end    error // behind the last; nil: nothing yet
	gap    bool
}

func (a *arrivals) Read(p []byte) (int, error) {
	if len(a.pieces) == 0 && a.end != nil {
		return 0, a.end
	}
	if a.gap = !a.gap; a.gap && len(a.pieces) > 0 {
		n := copy(p, a.pieces[0])
		if a.pieces[0] = a.pieces[0][n:]; len(a.pieces[0]) == 0 {
			a.pieces = a.pieces[1:]
		} else {
			a.gap = false
		}
		return n, nil
	}
	a.gap = false
	return 0, syscall.EAGAIN
}

func TestRecordsArriveInPieces(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, version uint16) {
		server, client, wire := connect(t, version)
		want := make([]byte, 40_000) // more than one record
		_, _ = rand.Read(want)
		sent := wire.catch(func() { _, _ = client.Write(want) })
		for _, size := range []int{1, 7, 1000, 17_000} {
			sock := &arrivals{}
			for rest := sent; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				sock.pieces = append(sock.pieces, rest[:min(size, len(rest))])
			}
			var got []byte
			for p := make([]byte, 5000); len(sock.pieces) > 0 || len(got) < len(want); {
				n, err := server.TryRead(sock, p)
				got = append(got, p[:n]...)
				if err != nil && err != syscall.EAGAIN {
					t.Fatalf("pieces of %d: %v after %d bytes", size, err, len(got))
				}
				if (n == 0) != (err == syscall.EAGAIN) {
					t.Fatalf("pieces of %d: %d, %v", size, n, err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("pieces of %d: what arrived differs", size)
			}
			sent = wire.catch(func() { _, _ = client.Write(want) }) // records cannot be sent twice
		}
	})
}

// Whoever runs a protocol on each read has one run for all that has arrived.
func TestManyRecordsMakeOneRead(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, version uint16) {
		server, client, wire := connect(t, version)
		sent := wire.catch(func() {
			for range 300 {
				_, _ = client.Write([]byte("message "))
			}
		})
		sock := &arrivals{pieces: [][]byte{sent}}
		p := make([]byte, 16<<10)
		n, err := server.TryRead(sock, p)
		if err != nil || string(p[:n]) != strings.Repeat("message ", 300) {
			t.Errorf("one read gave %d bytes, %v", n, err)
		}
		if n, err = server.TryRead(sock, p); n != 0 || err != syscall.EAGAIN {
			t.Errorf("then %d, %v", n, err)
		}
	})
}

func TestReadTellsAGoodbyeFromACut(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, version uint16) {
		for name, c := range map[string]struct {
			goodbye bool
			cut     int
			want    error
		}{
			"close_notify": {true, 0, io.EOF}, "no close_notify": {false, 0, io.EOF}, "within a record": {false, 3, io.ErrUnexpectedEOF},
		} {
			server, client, wire := connect(t, version)
			sent := wire.catch(func() {
				_, _ = client.Write([]byte("first"))
				if c.cut > 0 {
					_, _ = client.Write([]byte("second"))
				}
				if c.goodbye {
					_ = client.CloseWrite()
				}
			})
			sock := &arrivals{pieces: [][]byte{sent[:len(sent)-c.cut]}}
			if !c.goodbye {
				sock.end = io.EOF
			}
			p := make([]byte, 100)
			if n, err := server.TryRead(sock, p); string(p[:n]) != "first" || err != nil {
				t.Errorf("%s: %q, %v", name, p[:n], err)
			}
			for range 2 {
				if n, err := server.TryRead(sock, p); n != 0 || err != c.want {
					t.Errorf("%s: then %q, %v", name, p[:n], err)
				}
			}
		}
	})
}

func TestDamagedRecordEndsTheConnectionWithAnAlert(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, version uint16) {
		server, client, wire := connect(t, version)
		sent := wire.catch(func() { _, _ = client.Write([]byte("first")) })
		sent[len(sent)-1] ^= 1
		p := make([]byte, 100)
		for range 2 {
			if n, err := server.TryRead(&arrivals{pieces: [][]byte{sent}}, p); n != 0 || err == nil || err == syscall.EAGAIN {
				t.Errorf("%d, %v", n, err)
			}
		}
		var out bytes.Buffer
		server.TryClose(&out)
		wire.feed(out.Bytes())
		if _, err := client.Read(p); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("the client is told: %v", err)
		}
	})
}

// narrow is a socket that takes some bytes, and then no more.
type narrow struct {
	bytes.Buffer
	room int
}

func (s *narrow) Write(p []byte) (int, error) {
	n := min(len(p), s.room)
	s.room -= n
	s.Buffer.Write(p[:n])
	if n < len(p) {
		return n, syscall.EAGAIN
	}
	return n, nil
}

func TestFullSocketLosesNothing(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, version uint16) {
		server, client, wire := connect(t, version)
		p := make([]byte, 100_000)
		_, _ = rand.Read(p)
		for _, room := range []int{0, 1, 1000, 20_000, 99_000} {
			sock := &narrow{room: room}
			n, err := server.TryWrite(sock, p)
			if err != syscall.EAGAIN || n > len(p) {
				t.Fatalf("room %d: %d, %v", room, n, err)
			}
			if n2, err := server.TryWrite(sock, p[n:]); n2 != 0 || err != syscall.EAGAIN {
				t.Fatalf("room %d, still full: %d, %v", room, n2, err)
			}
			wide := &narrow{room: 1 << 30}
			if room%2 == 0 { // the rest by TryWrite, else by Write
				if n, err = server.TryWrite(wide, p[n:]); err != nil {
					t.Fatalf("room %d, then %d, %v", room, n, err)
				}
			} else {
				a, b := net.Pipe()
				server.link.Conn = a
				copied := make(chan struct{})
				go func() {
					_, _ = io.Copy(&wide.Buffer, b)
					close(copied)
				}()
				if _, err = server.Write(p[n:]); err != nil {
					t.Fatal(err)
				}
				a.Close()
				<-copied
			}
			wire.feed(append(sock.Bytes(), wide.Bytes()...))
			got := make([]byte, len(p))
			if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, p) {
				t.Fatalf("room %d: %v, or what arrived differs", room, err)
			}
		}
		sock := &narrow{room: 1 << 30}
		if n, err := server.TryWrite(sock, p); n != len(p) || err != nil {
			t.Errorf("with room: %d, %v", n, err)
		}
		if server.link.pending != nil || server.link.sending != nil {
			t.Error("a buffer is held though nothing waits")
		}
	})
}

func TestWriteGoesOnAfterTimeout(t *testing.T) {
	t.Parallel()
	server, client, _ := connect(t, tls.VersionTLS13)
	p := make([]byte, 16<<20) // more than the system's buffers take
	_, _ = rand.Read(p)
	_ = server.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := server.Write(p)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == len(p) {
		t.Fatalf("%d, %v", n, err)
	}
	_ = server.SetWriteDeadline(time.Now().Add(patience))
	done := make(chan error, 1)
	go func() {
		_, err := server.Write(p[n:])
		done <- err
	}()
	got := make([]byte, len(p))
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, p) {
		t.Errorf("%v, or what arrived differs", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestReadGoesOnWhileAWriteIsStuck(t *testing.T) {
	t.Parallel()
	server, client, wire := connect(t, tls.VersionTLS13)
	stuck := make(chan struct{})
	go func() {
		_, _ = server.Write(make([]byte, 16<<20))
		close(stuck)
	}()
	p := make([]byte, 100)
	sent := wire.catch(func() { _, _ = client.Write([]byte("hello")) })
	if n, err := server.TryRead(&arrivals{pieces: [][]byte{sent}}, p); string(p[:n]) != "hello" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
	if _, err := client.Write([]byte("again")); err != nil {
		t.Fatal(err)
	}
	if n, err := server.Read(p); string(p[:n]) != "again" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
	select {
	case <-stuck:
		t.Error("the write was not stuck, so the test shows nothing")
	default:
	}
	server.Close() // breaks the write off
	<-stuck
}

func TestWorksOnWhatIsNoSocket(t *testing.T) {
	t.Parallel()
	serverConfig, clientConfig := config(t)
	a, b := net.Pipe()
	deadline := time.Now().Add(patience)
	server, client := Server(a, serverConfig), tls.Client(b, clientConfig)
	_, _ = server.SetDeadline(deadline), client.SetDeadline(deadline)
	if _, err := server.SyscallConn(); err != ErrNoSocket {
		t.Errorf("socket: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := client.Write([]byte("ping"))
		if err == nil {
			_, err = io.ReadFull(client, make([]byte, 4))
		}
		if err == nil {
			if _, err = client.Read(make([]byte, 1)); err == io.EOF {
				err = nil
			}
		}
		done <- err
	}()
	p := make([]byte, 4)
	if _, err := io.ReadFull(server, p); err != nil || string(p) != "ping" {
		t.Errorf("%q, %v", p, err)
	}
	if _, err := server.Write([]byte("pong")); err != nil {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("client: %v", err)
	}
}

func TestCloseSaysGoodbyeOnce(t *testing.T) {
	t.Parallel()
	server, client, wire := connect(t, tls.VersionTLS13)
	var out bytes.Buffer
	server.TryClose(&out)
	said := out.Len()
	server.TryClose(&out)
	if said == 0 || out.Len() != said {
		t.Errorf("said %d bytes, then %d", said, out.Len())
	}
	wire.feed(out.Bytes())
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("client: %v", err)
	}
	if _, err := server.Write([]byte("x")); err == nil {
		t.Error("write after goodbye")
	}
	server.Close()

	server, _, wire = connect(t, tls.VersionTLS13)
	server.Close()
	if said, _ := io.ReadAll(wire.Conn); len(said) == 0 {
		t.Error("Close said nothing")
	}
}

// A client that makes the server answer without reading cannot fill its memory.
func TestPendingIsBounded(t *testing.T) {
	t.Parallel()
	server, _, _ := connect(t, tls.VersionTLS13)
	var err error
	written := 0
	for err == nil && written < 10*maxPending {
		var n int
		n, err = server.link.Write(make([]byte, 30))
		written += n
	}
	if err != errTooMuchPending || written > maxPending {
		t.Errorf("%d bytes, %v", written, err)
	}
}

// Behind a load balancer that passes TLS through, the PROXY header comes first.
