package unio

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/mqtt"
)

// TestHTTPConnectionsHaveACountOfTheirOwn has a WebSocket listener with as many as it may have,
// silent.
func TestHTTPConnectionsHaveACountOfTheirOwn(t *testing.T) {
	t.Parallel()
	const most = 3
	cfg := onSockets(t, "mqtt", "web")
	cfg.MaxUnauthenticated = 1
	for i := range cfg.Listeners {
		cfg.Listeners[i].AllowAnonymous = true
	}
	cfg.Listeners[1].Protocol, cfg.Listeners[1].MaxHTTPConnections = config.WebSockets, most
	s := start(t, cfg, nil)
	web := s.Addrs()[1]
	await := func(what string, done func(broker.Stats) bool) {
		t.Helper()
		for end := time.Now().Add(deadline); !done(s.broker.Stats()); runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("%s: %+v", what, s.broker.Stats())
			}
		}
	}
	var silent []net.Conn
	dial := func() net.Conn {
		t.Helper()
		nc, err := net.Dial(web.Network(), web.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		return nc
	}
	for range most {
		silent = append(silent, dial())
	}
	beyond := dial()
	_ = beyond.SetReadDeadline(time.Now().Add(deadline))
	if _, err := beyond.Read(make([]byte, 1)); err != io.EOF && !strings.Contains(err.Error(), "reset") {
		t.Errorf("one more: %v", err)
	}
	await("the refusal is counted", func(n broker.Stats) bool { return n.RefusedBy[broker.RefuseUnaccepted] == 1 })
	if _, code := login(t, s, "", ""); code != mqtt.Success {
		t.Errorf("MQTT: %v", code)
	}
	// A place is given back when its connection ends, or is upgraded.
	_ = silent[0].Close()
	for i := range 2 * most {
		for end := time.Now().Add(deadline); ; {
			status, reason, err := tryWebLogin(dial(), fmt.Sprint("user", i), "")
			if err == nil && status == 101 && reason == mqtt.Success {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("upgrade %d: status %d, %v, %v", i, status, reason, err)
			}
		}
	}
}
