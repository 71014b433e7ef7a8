package unio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/mosqlog"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// deadline bounds what a test waits for.
const deadline = 10 * time.Second

// onSockets returns a configuration that listens on Unix sockets of a new folder.
func onSockets(t *testing.T, names ...string) *config.Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "unio") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cfg := config.Default()
	like := cfg.Listeners[0]
	like.Port, like.Address = 0, ""
	cfg.Listeners, cfg.LocalOnly = nil, false
	for _, name := range names {
		like.Path = filepath.Join(dir, name)
		cfg.Listeners = append(cfg.Listeners, like)
	}
	return cfg
}

// start starts a server that ends with the test.
func start(t *testing.T, cfg *config.Config, log *slog.Logger) *Server {
	t.Helper()
	s, err := New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil && !errors.Is(err, broker.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

// connect sends a CONNECT and returns the connection and the CONNACK.
func connect(t *testing.T, addr net.Addr, c mqtt.Connect) (net.Conn, mqtt.Connack) {
	t.Helper()
	conn, err := net.DialTimeout(addr.Network(), addr.String(), deadline)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(c.Append(nil, c.Version)); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatal(err)
	}
	frame := append(head, make([]byte, head[1])...)
	if _, err := io.ReadFull(conn, frame[2:]); err != nil {
		t.Fatal(err)
	}
	var ack mqtt.Connack
	if err := ack.Decode(c.Version, frame); err != nil {
		t.Fatal(err)
	}
	return conn, ack
}

func TestEachListenerHasItsOwnOptions(t *testing.T) {
	t.Parallel()
	cfg := onSockets(t, "a", "b")
	cfg.Listeners[1].AllowAnonymous = false
	cfg.Listeners[0].AutoIDPrefix = "first-"
	cfg.Listeners[0].MaxQoS = 1
	cfg.Listeners[0].MaxTopicAlias = 7
	addrs := start(t, cfg, nil).Addrs()

	_, ack := connect(t, addrs[0], mqtt.Connect{Version: mqtt.V5, CleanStart: true})
	p := ack.Properties
	if ack.Reason != mqtt.Success || !strings.HasPrefix(string(p.AssignedClientID), "first-") ||
		p.MaximumQoS != 1 || p.TopicAliasMaximum != 7 {
		t.Errorf("first listener: %v %+v", ack.Reason, p)
	}
	_, ack = connect(t, addrs[1], mqtt.Connect{Version: mqtt.V5, CleanStart: true, ClientID: "x"})
	if ack.Reason != mqtt.NotAuthorized {
		t.Errorf("second listener: %v", ack.Reason)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	cfg := onSockets(t, "a")
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(deadline):
		t.Fatal("Run goes on")
	}
	if _, err := os.Stat(cfg.Listeners[0].Path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestShutdownTellsClients(t *testing.T) {
	t.Parallel()
	s := start(t, onSockets(t, "a"), nil)
	conn, _ := connect(t, s.Addrs()[0], mqtt.Connect{Version: mqtt.V5, CleanStart: true, ClientID: "x"})
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	want := (&mqtt.Disconnect{Reason: mqtt.ServerShuttingDown}).Append(nil, mqtt.V5)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %x, %v; want %x", got, err, want)
	}
}

func TestAPortInUseIsNamedAndNothingStaysOpen(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	addr := busy.Addr().(*net.TCPAddr)
	cfg := onSockets(t, "a")
	tcp := cfg.Listeners[0]
	tcp.Path, tcp.Address, tcp.Port = "", "127.0.0.1", uint16(addr.Port)
	cfg.Listeners = append(cfg.Listeners, tcp)

	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Start()
	var listenErr *ListenError
	if !errors.As(err, &listenErr) || listenErr.Address != addr.String() {
		t.Fatalf("got %v", err)
	}
	if want := "cannot listen on " + addr.String() + ": address already in use"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if _, err := os.Stat(cfg.Listeners[0].Path); !os.IsNotExist(err) {
		t.Errorf("the first listener is still open: %v", err)
	}
}

func TestASocketThatAnEarlierRunLeftIsReplaced(t *testing.T) {
	t.Parallel()
	cfg := onSockets(t, "a")
	path := cfg.Listeners[0].Path
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	_, ack := connect(t, start(t, cfg, nil).Addrs()[0], mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "x"})
	if ack.Reason != mqtt.Success {
		t.Error(ack.Reason)
	}
}

func TestAFileInPlaceOfASocketIsKept(t *testing.T) {
	t.Parallel()
	cfg := onSockets(t, "a")
	if err := os.WriteFile(cfg.Listeners[0].Path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	var listenErr *ListenError
	if err := s.Start(); !errors.As(err, &listenErr) || listenErr.Address != cfg.Listeners[0].Path {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(cfg.Listeners[0].Path); err != nil || string(text) != "precious" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestANameThatHasNoAddressIsAnError(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.LocalOnly = false
	cfg.Listeners = cfg.Listeners[:1]
	cfg.Listeners[0].SocketDomain = "ipv6" // and its address is 127.0.0.1
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1883: no ipv6 address") {
		t.Errorf("got %v", err)
	}
}

func TestAConfigurationWithoutListenersIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := New(&config.Config{}, nil); err == nil {
		t.Error("no error")
	}
}

func TestAServerStartsOnce(t *testing.T) {
	t.Parallel()
	s := start(t, onSockets(t, "a"), nil)
	if err := s.Start(); err == nil {
		t.Error("no error")
	}
}

func TestLimitsTurnNoLimitIntoWhatTheEngineCallsIt(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.MaxInflightMessages, cfg.MaxQueuedMessages, cfg.MaxSubscriptions, cfg.MaxSharedSubscriptions = 0, 0, 0, 0
	got := limits(cfg)
	want := broker.Limits{
		MaxPacketSize: 2_000_000, MaxInflight: math.MaxUint16, MaxQueuedMessages: -1, MaxUnaccepted: 10000, ConnectTimeout: 10 * time.Second, CheckRetainSource: true,
		MaxSubscriptions: -1, MaxSharedSubscriptions: -1,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestConnectionMessagesAreLogged(t *testing.T) {
	t.Parallel()
	var out testenv.Buffer
	log := slog.New(mosqlog.New(&out, config.Log{Types: config.LogAll}))
	s := start(t, onSockets(t, "a"), log)
	connect(t, s.Addrs()[0], mqtt.Connect{Version: mqtt.V5, CleanStart: true, ClientID: "x", KeepAlive: 9})
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Opening unix listen socket on path ", " as x (p5, c1, k9).\n", "Sending CONNACK to x (0, 0)\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}
