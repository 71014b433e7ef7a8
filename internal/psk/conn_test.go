package psk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/internal/testenv"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

var testKey = []byte("sixteen bytes !!")

// testServer is a config that knows one identity, and all those that must never be looked up.
func testServer() *ServerConfig {
	return &ServerConfig{Lookup: func(identity string) ([]byte, bool) { return testKey, identity == "device" || !validIdentity(identity) }}
}

func testClient(suites ...Suite) *ClientConfig {
	return &ClientConfig{Identity: "device", Key: testKey, Suites: suites}
}

// shake runs both handshakes.
func shake(t testing.TB, client, server *Conn) (clientErr, serverErr error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if clientErr = client.HandshakeContext(ctx); clientErr != nil {
			client.Close()
		}
	})
	wg.Go(func() {
		if serverErr = server.HandshakeContext(ctx); serverErr != nil {
			server.Close()
		}
	})
	wg.Wait()
	return clientErr, serverErr
}

// connected returns the two ends of a connection in memory, after the handshake.
func connected(t testing.TB, config *ClientConfig) (client, server *Conn) {
	t.Helper()
	a, b := memnet.Pipe()
	client, server = Client(a, config), Server(b, testServer())
	mustShake(t, client, server)
	return client, server
}

func mustShake(t testing.TB, client, server *Conn) {
	t.Helper()
	if clientErr, serverErr := shake(t, client, server); clientErr != nil || serverErr != nil {
		t.Fatalf("handshake: client: %v; server: %v", clientErr, serverErr)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
}

func TestEverySuiteCarriesDataBothWays(t *testing.T) {
	t.Parallel()
	for _, id := range AllSuites() {
		t.Run(id.String(), func(t *testing.T) {
			t.Parallel()
			a, b := memnet.Pipe()
			carry(t, id, a, b)
			d, c := testenv.Loopback(t)
			carry(t, id, c, d)
		})
	}
}

func carry(t *testing.T, id Suite, a, b net.Conn) {
	t.Helper()
	var clientLog, serverLog bytes.Buffer
	clientConfig, serverConfig := testClient(id), testServer()
	clientConfig.Protocols, clientConfig.KeyLog = []string{"x", "mqtt"}, &clientLog
	serverConfig.Hint, serverConfig.KeyLog = "try device", &serverLog
	client, server := Client(a, clientConfig), Server(b, serverConfig)
	mustShake(t, client, server)
	want := State{Version: 0x0303, Suite: id, Identity: "device", Protocol: "mqtt", ExtendedMasterSecret: true}
	if client.State() != want || server.State() != want || server.Identity() != "device" {
		t.Fatalf("states %v and %v, want %v", client.State(), server.State(), want)
	}
	if log := clientLog.String(); log != serverLog.String() || !strings.HasPrefix(log, "CLIENT_RANDOM ") || len(log) != 14+64+1+96+1 {
		t.Fatalf("key logs %q and %q", log, serverLog.String())
	}
	data := bytes.Repeat([]byte("a message that is not a power of two long; "), 3000) // 129,000 bytes
	var wg sync.WaitGroup
	send := func(c *Conn) {
		for p, n := data, 1; len(p) > 0; n = n*3 + 1 {
			m, err := c.Write(p[:min(n, len(p))])
			if err != nil {
				t.Errorf("write: %v", err)
				return
			}
			p = p[m:]
		}
		if c == client {
			c.TryClose(c.inner) // close_notify, and the socket stays open for the other direction
		}
	}
	receive := func(c *Conn, n int) {
		got := make([]byte, 0, len(data))
		p := make([]byte, n)
		for len(got) < len(data) {
			m, err := c.Read(p)
			if err != nil {
				t.Errorf("read: %v after %d bytes", err, len(got))
				return
			}
			got = append(got, p[:m]...)
		}
		if !bytes.Equal(got, data) {
			t.Error("the data is not what was sent")
		}
	}
	wg.Go(func() { send(client) })
	wg.Go(func() { send(server) })
	wg.Go(func() { receive(server, 20000) })
	wg.Go(func() { receive(client, 7) })
	wg.Wait()
	if n, err := server.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Errorf("read after close_notify: %d, %v, want EOF", n, err)
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close_notify: %v", err)
	}
	server.Close()
	if n, err := client.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Errorf("read after the answer to close_notify: %d, %v, want EOF", n, err)
	}
}

func TestServerPrefersForwardSecrecy(t *testing.T) {
	t.Parallel()
	all := AllSuites()
	var backwards []Suite
	for i := range all {
		backwards = append(backwards, all[len(all)-1-i])
	}
	client, server := connected(t, testClient(backwards...))
	if client.State().Suite != ECDHEPSKWithAES128GCM || server.State().Suite != ECDHEPSKWithAES128GCM {
		t.Errorf("suite %v", client.State().Suite)
	}
}

func TestSuitesCanBeRestricted(t *testing.T) {
	t.Parallel()
	a, b := memnet.Pipe()
	config := testServer()
	config.Suites = []Suite{PSKWithChaCha20}
	client, server := Client(a, testClient()), Server(b, config)
	mustShake(t, client, server)
	if got := client.State().Suite; got != PSKWithChaCha20 {
		t.Errorf("suite %v", got)
	}
	a, b = memnet.Pipe()
	clientErr, serverErr := shake(t, Client(a, testClient(PSKWithAES128GCM)), Server(b, config))
	if clientErr == nil || !strings.Contains(clientErr.Error(), "handshake_failure: is there a cipher suite") {
		t.Errorf("client: %v", clientErr)
	}
	if serverErr == nil || !strings.Contains(serverErr.Error(), "offers no cipher suite that is allowed here") {
		t.Errorf("server: %v", serverErr)
	}
}

// recorder keeps what is written.
type recorder struct {
	net.Conn
	written bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.written.Write(p)
	return r.Conn.Write(p)
}

// shape returns the types and lengths of records, and the alerts among them, which are not encrypted.
func shape(p []byte) (s []string) {
	for len(p) >= headerLen {
		n := headerLen + int(p[3])<<8 + int(p[4])
		text := string('0'+rune(p[0]-20)) + " " + strings.Repeat("x", n)
		if recordType(p[0]) == recordAlert {
			text = alert(p[6]).String()
		}
		s = append(s, text)
		p = p[n:]
	}
	return s
}

func TestWrongKeyAndUnknownIdentityLookAlike(t *testing.T) {
	t.Parallel()
	for _, id := range AllSuites() {
		var shapes [][]string
		var errs []error
		for _, config := range []*ClientConfig{
			{Identity: "device", Key: []byte("another key of x")},
			{Identity: "ecived", Key: []byte("another key of x")},
		} {
			config.Suites = []Suite{id}
			a, b := memnet.Pipe()
			r := &recorder{Conn: b}
			clientErr, serverErr := shake(t, Client(a, config), Server(r, testServer()))
			var alerted peerAlert
			if !errors.As(clientErr, &alerted) || alert(alerted) != alertBadRecordMAC {
				t.Errorf("%v: client: %v, want the alert bad_record_mac", id, clientErr)
			}
			shapes = append(shapes, shape(r.written.Bytes()))
			errs = append(errs, serverErr)
		}
		if a, b := strings.Join(shapes[0], ","), strings.Join(shapes[1], ","); a != b || !strings.HasSuffix(a, "bad_record_mac") {
			t.Errorf("%v: the server said\n%v to a wrong key, and\n%v to an unknown identity", id, shapes[0], shapes[1])
		}
		var wrong, unknown *RefusedError
		if !errors.As(errs[0], &wrong) || !wrong.Known || wrong.Identity != "device" {
			t.Errorf("%v: wrong key: %v", id, errs[0])
		}
		if !errors.As(errs[1], &unknown) || unknown.Known || unknown.Identity != "ecived" {
			t.Errorf("%v: unknown identity: %v", id, errs[1])
		}
	}
}

func TestHandshakeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b, _ := testenv.Loopback(t)
	ctx, cancel := context.WithCancel(context.Background())
	server := Server(b, testServer())
	cancel()
	if err := server.HandshakeContext(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("handshake: %v", err)
	}
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is not closed: %v", err)
	}
	if err := server.HandshakeContext(context.Background()); !errors.Is(err, context.Canceled) {
		t.Errorf("the second handshake: %v", err)
	}
	if server.Identity() != "" || server.State() != (State{}) {
		t.Error("a failed handshake has a state")
	}
}

func TestReadGoesOnAfterADeadline(t *testing.T) {
	t.Parallel()
	client, server := connected(t, testClient())
	client.writeMu.Lock()
	client.seal(recordApplicationData, []byte("hello"))
	record := bytes.Clone(client.sealed)
	client.sealed = nil
	client.writeMu.Unlock()
	for i := range record {
		if _, err := client.inner.Write(record[i : i+1]); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 4+60*(i%2)) // in turn too small for a record, and not
		_ = server.SetReadDeadline(time.Now())
		if i == len(record)-1 {
			_ = server.SetReadDeadline(time.Now().Add(patience))
			n, err := server.Read(p)
			if err == nil && n < 5 {
				var m int
				m, err = server.Read(p[n:5])
				n += m
			}
			if err != nil || string(p[:n]) != "hello" {
				t.Fatalf("read %q, %v", p[:n], err)
			}
			return
		}
		_ = server.SetReadDeadline(time.Now().Add(time.Millisecond))
		if n, err := server.Read(p); n != 0 || !isTimeout(err) {
			t.Fatalf("read %d, %v in the middle of a record", n, err)
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestWriteGoesOnAfterADeadline(t *testing.T) {
	t.Parallel()
	client, server := connected(t, testClient())
	data := bytes.Repeat([]byte("0123456789"), 2<<20)
	_ = client.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	n, err := client.Write(data) // more than the connection buffers
	if n == 0 || n == len(data) || !isTimeout(err) {
		t.Fatalf("write: %d, %v", n, err)
	}
	_ = client.SetWriteDeadline(time.Now().Add(patience))
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := client.Write(data[n:]); err != nil {
			t.Errorf("write: %v", err)
		}
		client.Close()
	})
	got, err := io.ReadAll(server)
	wg.Wait()
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

func TestListenerGivesConnectionsOverPSK(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewListener(inner, testServer())
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	mustShake(t, Client(a, testClient()), b.(*Conn))
}

func TestConfigsAreChecked(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 600)
	lookup := testServer().Lookup
	for _, c := range []struct {
		config interface{ Check() error }
		want   string
	}{
		{&ServerConfig{}, "a Lookup"},
		{&ServerConfig{Lookup: lookup, Hint: long}, "a hint of at most 128 bytes"},
		{&ServerConfig{Lookup: lookup, Suites: []Suite{1}}, "suites of this package"},
		{&ClientConfig{Key: testKey}, "an identity"},
		{&ClientConfig{Identity: "a\x00b", Key: testKey}, "an identity"},
		{&ClientConfig{Identity: "\xff", Key: testKey}, "an identity"},
		{&ClientConfig{Identity: long, Key: testKey}, "an identity"},
		{&ClientConfig{Identity: "a"}, "a key of 1 to 512"},
		{&ClientConfig{Identity: "a", Key: []byte(long)}, "a key of 1 to 512"},
		{&ClientConfig{Identity: "a", Key: testKey, Suites: []Suite{0xFFFF}}, "suites of this package"},
		{&ClientConfig{Identity: "a", Key: testKey, Protocols: []string{""}}, "protocols"},
	} {
		if err := c.config.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.config, err, c.want)
		}
		a, b := memnet.Pipe()
		client, server := Client(a, testClient()), Server(b, testServer())
		switch config := c.config.(type) {
		case *ServerConfig:
			server = Server(b, config)
		case *ClientConfig:
			client = Client(a, config)
		}
		clientErr, serverErr := shake(t, client, server)
		if clientErr == nil || serverErr == nil {
			t.Errorf("%+v: a handshake succeeded: %v, %v", c.config, clientErr, serverErr)
		}
	}
}

func TestSuitesHaveTheNamesOfOpenSSL(t *testing.T) {
	t.Parallel()
	known, unknown := ParseSuites("PSK-AES128-GCM-SHA256:ECDHE-PSK-CHACHA20-POLY1305,DHE-PSK-AES256-CCM PSK-AES256-CBC-SHA::TLS_PSK_WITH_AES_256_GCM_SHA384:" +
		"PSK-AES128-GCM-SHA256")
	if len(known) != 3 || known[0] != PSKWithAES128GCM || known[1] != ECDHEPSKWithChaCha20 || known[2] != PSKWithAES256GCM {
		t.Errorf("known %v", known)
	}
	if strings.Join(unknown, " ") != "DHE-PSK-AES256-CCM PSK-AES256-CBC-SHA" {
		t.Errorf("unknown %v", unknown)
	}
	if known, unknown = ParseSuites("PSK"); len(known) != len(AllSuites()) || unknown != nil {
		t.Errorf("PSK: %v %v", known, unknown)
	}
	for _, c := range []struct {
		list, unknown string
		known         int
	}{
		{"HIGH:!aNULL:!MD5:@STRENGTH", "", 8},
		{"PSK:!PSK-AES128-CBC-SHA256:PSK-AES128-CBC-SHA256", "", 7},
		{"PSK:-kPSK:PSK-AES128-GCM-SHA256", "", 5},
		{"kECDHEPSK+AESGCM:PSK-AES128-GCM-SHA256@SECLEVEL=1", "kECDHEPSK+AESGCM", 1},
		{"ALL:!CHACHA20:+AES256:!NONE-SUCH", "!NONE-SUCH", 6},
		{"!HIGH", "", 0},
	} {
		known, unknown := ParseSuites(c.list)
		if len(known) != c.known || strings.Join(unknown, " ") != c.unknown {
			t.Errorf("%s: known %v, unknown %v", c.list, known, unknown)
		}
	}
	if s := Suite(1).String(); s != "unknown" {
		t.Errorf("suite 1 is %q", s)
	}
}
