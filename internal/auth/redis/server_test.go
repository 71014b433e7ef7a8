package redis

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	redigo "github.com/gomodule/redigo/redis"

	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/auth/servers"
)

// redis starts a server where joe's password is JOE, in database 2, and returns its address and a connection of its administrator.
func redis(t *testing.T) (address string, admin redigo.Conn) {
	t.Helper()
	u, err := url.Parse(servers.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	admin, err = redigo.DialContext(t.Context(), "tcp", u.Host, redigo.DialPassword(servers.Password), redigo.DialDatabase(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close() })
	hash, err := auth.NewHash(auth.PBKDF2, 10, []byte("JOE"))
	if err != nil {
		t.Fatal(err)
	}
	must(t, admin, "HSET", "mqtt_user:joe", DefaultField, hash.String())
	return u.Host, admin
}

func must(t *testing.T, c redigo.Conn, command string, args ...any) {
	t.Helper()
	if _, err := c.Do(command, args...); err != nil {
		t.Fatalf("%s: %v", command, err)
	}
}

func joe(ctx context.Context, b *Backend) error {
	a, err := b.Check(ctx, &auth.Request{Client: client("joe"), Password: []byte("JOE")})
	if err == nil && a.Verdict != auth.Allow {
		err = errors.New("not allowed: " + a.Reason)
	}
	return err
}

func TestConnectionsThatTheServerClosedAreReplaced(t *testing.T) {
	t.Parallel()
	address, admin := redis(t)
	b := backend(t, Options{URL: "redis://" + address + "/2", Password: servers.Password})
	for range maxConnections {
		b.lock <- struct{}{}
	}
	var idle []redigo.Conn
	for range maxConnections {
		c, err := b.pool.GetContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	for i := range idle {
		_ = idle[i].Close()
		<-b.lock
	}
	if n := b.pool.IdleCount(); n != maxConnections {
		t.Fatalf("%d idle connections", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = joe(ctx, b)
	if n := b.pool.IdleCount(); n < maxConnections-1 {
		t.Errorf("who gave up cost all connections but %d", n)
	}
	must(t, admin, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	if err := joe(t.Context(), b); err != nil {
		t.Error(err)
	}
}

func TestTheBrokerLogsInToRedis(t *testing.T) {
	t.Parallel()
	address, admin := redis(t)
	must(t, admin, "ACL", "SETUSER", "ann", "on", ">PW", "~mqtt_user:*", "+hmget", "+select")
	must(t, admin, "ACL", "SETUSER", "free", "on", "nopass", "~mqtt_user:*", "+hmget", "+select")
	must(t, admin, "ACL", "SETUSER", "elsewhere", "on", "nopass", "~other:*", "+hmget", "+select")
	for _, c := range []struct{ user, password, want string }{
		{"", servers.Password, ""},
		{"", "", "NOAUTH"},
		{"ann@", "PW", ""},
		{"ann@", "pw", "WRONGPASS"},
		{"ann@", "", "WRONGPASS"},
		{"bob@", "PW", "WRONGPASS"},
		{"free@", "", ""},
		{"elsewhere@", "", "NOPERM"},
	} {
		err := joe(t.Context(), backend(t, Options{URL: "redis://" + c.user + address + "/2", Password: c.password}))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s, password %q: %v; want %q", c.user, c.password, err, c.want)
		}
	}
}

func TestRedisIsAskedOverTLS(t *testing.T) {
	t.Parallel()
	address, _ := redis(t)
	web := httptest.NewTLSServer(nil) // for its certificate, of 127.0.0.1
	defer web.Close()
	l := serve(t, func(c net.Conn) {
		up, err := net.Dial("tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		secure := tls.Server(c, &tls.Config{Certificates: web.TLS.Certificates})
		var done sync.WaitGroup
		done.Go(func() { _, _ = io.Copy(secure, up); _ = secure.Close() })
		_, _ = io.Copy(up, secure)
		_ = up.Close()
		done.Wait()
	})
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	o := Options{URL: "rediss://" + l + "/2", Password: servers.Password, CA: ca}
	if err := joe(t.Context(), backend(t, o)); err != nil {
		t.Error(err)
	}
	o.CA = nil
	if err := joe(t.Context(), backend(t, o)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with a certificate of nobody's: %v", err)
	}
}

// serve calls a function for each connection, whose end it is, and returns the address.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { defer c.Close(); handle(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
	return l.Addr().String()
}

func TestServerThatSaysNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"redis://", "redis://u@", "rediss://"} {
		arrived := make(chan struct{}, 2*maxConnections)
		address := serve(t, func(c net.Conn) {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				arrived <- struct{}{}
			}
			_, _ = io.Copy(io.Discard, c)
		})
		b := backend(t, Options{URL: scheme + address})
		ctx, cancel := context.WithCancel(t.Context())
		ends := make(chan error, maxConnections)
		for range maxConnections {
			go func() { ends <- joe(ctx, b) }()
		}
		for range maxConnections {
			<-arrived
		}
		cause := errors.New("patience has an end")
		late, giveUp := context.WithCancelCause(t.Context())
		giveUp(cause)
		if err := joe(late, b); !errors.Is(err, cause) {
			t.Errorf("%s: who waits for a connection: %v", scheme, err)
		}
		cancel()
		for range maxConnections {
			if err := <-ends; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", scheme, err)
			}
		}
		if n := len(arrived); n > 0 {
			t.Errorf("%s: %d connections more than %d", scheme, n, maxConnections)
		}
		_ = b.Close()
	}
}

func TestServerThatIsNotRedisIsAnError(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{"", "*0\r\n", "*1\r\n$1\r\nx", "*-1\r\n", "+OK\r\n", "HTTP/1.1 400 Bad Request\r\n", "*2\r\n$-1\r\n$-1\r\n", "*1\r\n*0\r\n"} {
		var mu sync.Mutex
		connections := 0
		address := serve(t, func(c net.Conn) {
			mu.Lock()
			connections++
			mu.Unlock()
			if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
				_, _ = io.WriteString(c, reply)
			}
		})
		if err := joe(t.Context(), backend(t, Options{URL: "redis://" + address})); err == nil || strings.HasPrefix(err.Error(), "not allowed") {
			t.Errorf("%q: %v", reply, err)
		}
		mu.Lock()
		if connections > 1+maxConnections {
			t.Errorf("%q: %d connections", reply, connections)
		}
		mu.Unlock()
	}
}

func TestClosedBackendDoesNotConnect(t *testing.T) {
	t.Parallel()
	b := backend(t, Options{URL: "redis://" + serve(t, func(net.Conn) { t.Error("a connection") })})
	_ = b.Close()
	if err := joe(t.Context(), b); err == nil || strings.HasPrefix(err.Error(), "not allowed") {
		t.Error(err)
	}
}
