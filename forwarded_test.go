package unio

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/mqtt"
)

// webLogin is tryWebLogin that must get an answer.
func webLogin(t *testing.T, addr net.Addr, user, password string, headers ...string) (status int, reason mqtt.ReasonCode) {
	t.Helper()
	nc, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	status, reason, err = tryWebLogin(nc, user, password, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return status, reason
}

// tryWebLogin logs in over WebSocket with headers of the upgrade request. It returns the status of
// the answer and, if that is an upgrade, CONNACK's reason.
func tryWebLogin(nc net.Conn, user, password string, headers ...string) (status int, reason mqtt.ReasonCode, err error) {
	packet := (&mqtt.Connect{
		Version: mqtt.V5, CleanStart: true, ClientID: "id-" + user,
		HasUsername: true, Username: user, HasPassword: true, Password: []byte(password),
	}).Append(nil, mqtt.V5)
	request := append([]string{
		"GET /mqtt HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: mqtt",
	}, headers...)
	frame := append([]byte{0x82, 0x80 | byte(len(packet)), 0, 0, 0, 0}, packet...) // binary, with a mask that changes nothing
	if _, err := nc.Write(append([]byte(strings.Join(request, "\r\n")+"\r\n\r\n"), frame...)); err != nil {
		return 0, 0, err
	}
	r := bufio.NewReader(nc)
	a, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, 0, err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusSwitchingProtocols {
		return a.StatusCode, 0, nil
	}
	var head [2 + 2 + 1 + 1]byte // of the frame; type and length; flags; reason
	_, err = io.ReadFull(r, head[:])
	return a.StatusCode, mqtt.ReasonCode(head[len(head)-1]), err
}

// onWeb returns a started server with a WebSocket listener on 127.0.0.1 that bans after 3 guesses.
func onWeb(t *testing.T, proxies []netip.Prefix, log *slog.Logger) *Server {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "passwd"), "ann:"+secretHash+"\n")
	cfg := onSockets(t, "a")
	l := &cfg.Listeners[0]
	l.Path, l.Address, l.Port = "", "127.0.0.1", uint16(socket.Addr().(*net.TCPAddr).Port)
	l.Protocol, l.ForwardedFor, l.PasswordFile, l.AllowAnonymous = config.WebSockets, proxies, filepath.Join(dir, "passwd"), false
	cfg.Ban.Attempts, cfg.Ban.Delay = 3, 0
	return startOn(t, socket, cfg, log)
}

// startOn starts a server that gets a socket from outside.
func startOn(t *testing.T, socket net.Listener, cfg *config.Config, log *slog.Logger) *Server {
	t.Helper()
	s, err := New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	s.Sockets = []net.Listener{socket}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		_ = s.Shutdown(ctx)
	})
	return s
}

func TestWhoTellsAnotherAddressIsBannedAllTheSame(t *testing.T) {
	t.Parallel()
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, c := range []struct {
		name, header string
		proxies      []netip.Prefix
		banned       string // "": nobody
	}{
		{"of the own machine, as the header says", "X-Forwarded-For: 127.0.0.1", here, "127.0.0.1"},
		{"whom nobody believes", "X-Forwarded-For: 203.0.113.7", nil, "127.0.0.1"},
		{"behind a proxy", "X-Forwarded-For: 127.0.0.1, 203.0.113.7", here, "203.0.113.7"},
		{"without a proxy", "X-Other: 203.0.113.7", here, ""},
	} {
		var log bytes.Buffer
		s := onWeb(t, c.proxies, slog.New(slog.NewTextHandler(&log, nil)))
		addr := s.Addrs()[0]
		for _, user := range []string{"a", "b", "c"} {
			if _, reason := webLogin(t, addr, user, "guess", c.header); reason != mqtt.NotAuthorized {
				t.Errorf("%s: %v", c.name, reason)
			}
		}
		got := ""
		for _, b := range s.Bans() {
			got += b.Address
		}
		if got != c.banned {
			t.Errorf("%s: banned is %q, want %q", c.name, got, c.banned)
		}
		if _, reason := webLogin(t, addr, "ann", "secret"); reason != mqtt.Success {
			t.Errorf("%s: another client of this machine: %v", c.name, reason)
		}
		if status, _ := webLogin(t, addr, "ann", "secret", "X-Forwarded-For: ::1%lo"); c.proxies != nil && status != http.StatusBadRequest {
			t.Errorf("%s: a zone: status %d", c.name, status)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if told := strings.Count(log.String(), "sends X-Forwarded-For, which is not believed"); told != map[bool]int{true: 0, false: 1}[c.proxies != nil] {
			t.Errorf("%s: a warning %d times", c.name, told)
		}
	}
}

func TestOverTheHTTPAPIWhoTellsAnotherAddressIsBannedAllTheSame(t *testing.T) {
	t.Parallel()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := withAPI(t, t.TempDir())
	l := &cfg.Listeners[1]
	l.Path, l.Address, l.Port = "", "127.0.0.1", uint16(socket.Addr().(*net.TCPAddr).Port)
	cfg.Ban.Attempts, cfg.Ban.Delay = 3, 0
	s := startOn(t, socket, cfg, nil)
	for i, user := range []string{"a", "b", "c", "d", "e", "f"} { // three without a proxy, who are spared
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+socket.Addr().String()+"/api/v1/version", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(user, "guess")
		if i >= 3 {
			r.Header.Set("X-Forwarded-For", "203.0.113.7")
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if want := max(0, i-4); a.StatusCode != http.StatusUnauthorized || len(s.Bans()) != want {
			t.Errorf("%s: status %d, %d bans, want %d", user, a.StatusCode, len(s.Bans()), want)
		}
	}
}
