package unio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/mosqlog"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// The hashes of "secret" and "other", PBKDF2 with few iterations.
const (
	secretHash = "$7$10$c2FsdHNhbHRzYWx0$OdxDgWbUtQ3rYBqrOnceLeJsCWSJOaQkrqenov92XcKlDDbZKJpjESlXxTkg6+23m/QslJwUPE1cq2uoOJN1JQ=="
	otherHash  = "$7$10$c2FsdHNhbHRzYWx0$+70PPx5vENz7gN32nok2BQQ4mkao1hSGK/imV+N+tmb0bXuxW1mEf8A0xweYf1nqHnx4Pt0UHLqVIjhBVn//Pg=="
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func send(t *testing.T, conn net.Conn, p mqtt.Packet) {
	t.Helper()
	if _, err := conn.Write(p.Append(nil, mqtt.V311)); err != nil {
		t.Fatal(err)
	}
}

// receive reads one packet of MQTT 3.1.1 that is shorter than 16 KiB.
func receive(t *testing.T, conn net.Conn) mqtt.Packet {
	t.Helper()
	return receiveAs(t, conn, mqtt.V311)
}

// receiveAs is receive for another version.
func receiveAs(t *testing.T, conn net.Conn, v mqtt.Version) mqtt.Packet {
	t.Helper()
	frame := make([]byte, 2, 64)
	if _, err := io.ReadFull(conn, frame); err != nil {
		t.Fatal(err)
	}
	n := int(frame[1])
	if n >= 0x80 {
		frame = append(frame, 0)
		if _, err := io.ReadFull(conn, frame[2:]); err != nil {
			t.Fatal(err)
		}
		n = n&0x7F + int(frame[2])<<7
	}
	head := len(frame)
	frame = append(frame, make([]byte, n)...)
	if _, err := io.ReadFull(conn, frame[head:]); err != nil {
		t.Fatal(err)
	}
	p, err := mqtt.Decode(v, frame)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// login connects as a user and returns the return code of CONNACK.
func login(t *testing.T, s *Server, user, password string) (net.Conn, mqtt.ReasonCode) {
	t.Helper()
	conn, ack := connect(t, s.Addrs()[0], mqtt.Connect{
		Version: mqtt.V5, CleanStart: true, ClientID: "id-" + user,
		HasUsername: user != "", Username: user, HasPassword: user != "", Password: []byte(password),
	})
	return conn, ack.Reason
}

func TestUsersComeFromThePasswordFileAndReloadFollowsIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	write(t, path, "ann:"+secretHash+"\nbob:"+secretHash+"\n")
	cfg := onSockets(t, "a")
	cfg.Listeners[0].PasswordFile, cfg.Listeners[0].AllowAnonymous = path, false
	s := start(t, cfg, nil)

	if _, code := login(t, s, "", ""); code != mqtt.NotAuthorized {
		t.Errorf("anonymous: %v", code)
	}
	if _, code := login(t, s, "bob", "wrong"); code != mqtt.NotAuthorized {
		t.Errorf("wrong password: %v", code)
	}
	ann, code := login(t, s, "ann", "secret")
	if code != mqtt.Success {
		t.Errorf("ann: %v", code)
	}
	bob, code := login(t, s, "bob", "secret")
	if code != mqtt.Success {
		t.Errorf("bob: %v", code)
	}

	write(t, path, "ann:"+secretHash+"\nbob:"+otherHash+"\n")
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(bob)
	if want := (&mqtt.Disconnect{Reason: mqtt.NotAuthorized}).Append(nil, mqtt.V5); err != nil || !bytes.Equal(got, want) {
		t.Errorf("bob, whose password changed, got %x, %v", got, err)
	}
	send(t, ann, &mqtt.Pingreq{})
	if _, ok := receive(t, ann).(*mqtt.Pingresp); !ok {
		t.Error("ann was disconnected")
	}
	if _, code := login(t, s, "bob", "other"); code != mqtt.Success {
		t.Errorf("bob with the new password: %v", code)
	}
}

func TestAUserNameWithoutAPasswordFileIsAnonymous(t *testing.T) {
	t.Parallel()
	cfg := onSockets(t, "a")
	cfg.Listeners[0].AllowAnonymous = false
	if _, code := login(t, start(t, cfg, nil), "anybody", "anything"); code != mqtt.NotAuthorized {
		t.Errorf("a name that nothing proves: %v", code)
	}
}

func TestABrokenFileAtReloadLeavesAllAsItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	passwords, rules := filepath.Join(dir, "passwd"), filepath.Join(dir, "acl")
	write(t, passwords, "ann:"+secretHash+"\n")
	write(t, rules, "topic #\n")
	cfg := onSockets(t, "a")
	l := &cfg.Listeners[0]
	l.PasswordFile, l.ACLFile, l.AllowAnonymous = passwords, rules, false
	s := start(t, cfg, nil)
	next := *cfg
	next.MaxPacketSize = 100
	for name, breakFile := range map[string]func(){
		"gone":   func() { _ = os.Remove(passwords) },
		"broken": func() { write(t, rules, "topic\nnonsense\n") },
	} {
		breakFile()
		var mistakes config.Errors
		if err := s.Reload(&next); !errors.As(err, &mistakes) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	conn, ack := connect(t, s.Addrs()[0], mqtt.Connect{
		Version: mqtt.V5, CleanStart: true, ClientID: "x", HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("secret"),
	})
	_ = conn.Close()
	if ack.Reason != mqtt.Success || ack.Properties.MaximumPacketSize != cfg.MaxPacketSize {
		t.Errorf("%v, largest packet %d", ack.Reason, ack.Properties.MaximumPacketSize)
	}
	if _, code := login(t, s, "", ""); code != mqtt.NotAuthorized {
		t.Errorf("anonymous: %v", code)
	}
}

func TestAFileThatCannotBeReadIsNamedWithItsLine(t *testing.T) {
	t.Parallel()
	conf := filepath.Join(t.TempDir(), "unio.conf")
	write(t, conf, "listener 1883\npassword_file /nowhere/passwd\nacl_file /nowhere/acl\n")
	cfg, err := config.Load(conf)
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(cfg, nil)
	var mistakes config.Errors
	if !errors.As(err, &mistakes) || len(mistakes) != 2 {
		t.Fatalf("got %v", err)
	}
	for i, want := range []string{conf + ":2: password_file: ", conf + ":3: acl_file: "} {
		if !strings.HasPrefix(mistakes[i].Error(), want) || !strings.Contains(mistakes[i].Error(), "no such file") {
			t.Errorf("got %q", mistakes[i])
		}
	}
}

func TestEachListenerHasItsOwnFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "passwd"), "ann:"+secretHash+"\n")
	write(t, filepath.Join(dir, "acl"), "user ann\ntopic read a/#\n")
	cfg := onSockets(t, "a", "b")
	cfg.Listeners[0].PasswordFile, cfg.Listeners[0].ACLFile = filepath.Join(dir, "passwd"), filepath.Join(dir, "acl")
	s := start(t, cfg, nil)
	for i, want := range []mqtt.ReasonCode{mqtt.NotAuthorized, mqtt.Success} {
		_, ack := connect(t, s.Addrs()[i], mqtt.Connect{
			Version: mqtt.V5, CleanStart: true, ClientID: "x", HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("wrong"),
		})
		if ack.Reason != want {
			t.Errorf("listener %d: %v", i, ack.Reason)
		}
	}
}

func TestReloadSaysWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	var out testenv.Buffer
	cfg := onSockets(t, "a", "b")
	s := start(t, cfg, slog.New(mosqlog.New(&out, config.Log{Types: config.LogWarning | config.LogError})))
	next := onSockets(t, "c")
	next.Listeners = append(next.Listeners, cfg.Listeners[0])
	next.Listeners[1].MountPoint = "m/"
	next.User, next.PIDFile, next.Log.Types = "somebody", "/pid", config.LogAll
	for range 2 { // the second time it still does
		out.Reset()
		if err := s.Reload(next); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"listener " + next.Listeners[0].Path + " is new and is not opened; this needs a restart\n",
			"listener " + cfg.Listeners[1].Path + " is gone; it stays open and lets nobody in; this needs a restart\n",
			"mount_point of listener " + cfg.Listeners[0].Path + " is another one",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in:\n%s", want, out.String())
			}
		}
	}
	_, ack := connect(t, s.Addrs()[1], mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "x"})
	if ack.Reason == mqtt.Success {
		t.Error("a listener that is gone lets clients in")
	}
}

func TestReloadChangesLimitsAndListenerOptions(t *testing.T) {
	t.Parallel()
	cfg := onSockets(t, "a")
	s := start(t, cfg, nil)
	next := *cfg
	next.Listeners = []config.Listener{cfg.Listeners[0]}
	next.MaxPacketSize, next.Listeners[0].MaxQoS, next.ClientIDPrefix = 1000, 1, "ok-"
	next.Listeners[0].Versions = []byte{5}
	if err := s.Reload(&next); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		version mqtt.Version
		id      string
		want    mqtt.ReasonCode
	}{{mqtt.V5, "ok-1", mqtt.Success}, {mqtt.V5, "no", mqtt.NotAuthorized}, {mqtt.V311, "ok-2", mqtt.UnsupportedProtocolVersion}} {
		_, ack := connect(t, s.Addrs()[0], mqtt.Connect{Version: test.version, CleanStart: true, ClientID: test.id})
		p := ack.Properties
		if ack.Reason != test.want || ack.Reason == mqtt.Success && (p.MaximumPacketSize != 1000 || p.MaximumQoS != 1) {
			t.Errorf("%s: %v %+v", test.id, ack.Reason, p)
		}
	}
}

func TestAServerThatIsNotStartedCannotReload(t *testing.T) {
	t.Parallel()
	cfg := onSockets(t, "a")
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(cfg); err == nil {
		t.Error("no error")
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err == nil {
		t.Error("listened twice")
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(cfg.Listeners[0].Path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestMountPointSeparatesListeners(t *testing.T) {
	t.Parallel()
	cfg := onSockets(t, "a", "b")
	cfg.Listeners[1].MountPoint = "site/"
	s := start(t, cfg, nil)
	conn, _ := connect(t, s.Addrs()[0], mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "all"})
	send(t, conn, &mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "#"}}})
	receive(t, conn)
	mounted, _ := connect(t, s.Addrs()[1], mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "one"})
	send(t, mounted, &mqtt.Publish{Topic: []byte("a"), Payload: []byte("x")})
	if p, ok := receive(t, conn).(*mqtt.Publish); !ok || string(p.Topic) != "site/a" {
		t.Errorf("got %+v", p)
	}
}

func TestSysTopicsAreThere(t *testing.T) {
	t.Parallel()
	cfg := onSockets(t, "a")
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Version = "1.2.3"
	ctx, cancel := context.WithCancel(context.Background())
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer cancel()
	conn, _ := connect(t, s.Addrs()[0], mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "x"})
	send(t, conn, &mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "$SYS/broker/version"}}})
	receive(t, conn)
	if p, ok := receive(t, conn).(*mqtt.Publish); !ok || string(p.Payload) != "unio version 1.2.3" {
		t.Errorf("got %+v", p)
	}
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func TestTheTreeOfSubscriptionsIsPrintedAsMosquittoDoes(t *testing.T) {
	t.Parallel()
	s := start(t, onSockets(t, "a"), nil)
	for id, filters := range map[string][]string{"s1": {"a/b/c", "a/+/#", "$share/g/x/y", "$SYS/#"}, "s2": {"a/b/c", "a/b"}, "s3\u202e": {"z\u2028"}} {
		conn, _ := connect(t, s.Addrs()[0], mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: id})
		for i, filter := range filters {
			send(t, conn, &mqtt.Subscribe{PacketID: uint16(i + 1), Subscriptions: []mqtt.Subscription{{Filter: filter, Options: 1}}})
			for {
				if _, ok := receive(t, conn).(*mqtt.Suback); ok {
					break
				}
			}
		}
	}
	var got bytes.Buffer
	if err := s.PrintSubscriptions(&got); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"    ", "      ", "        a", "          +", "            # (s1, 1)", "          b (s2, 1)", "            c (s1, 1) (s2, 1)", `        z\u2028 (s3\u202e, 1)`,
		"    $SYS", "      $SYS", "        # (s1, 1)", "    ", "      ", "        x", "          y (s1, 1)", "",
	}, "\n")
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
}
