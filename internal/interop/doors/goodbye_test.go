//go:build unix

package doors

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/testenv"
)

// dialMQTT connects over TLS and sends CONNECT.
func (p *pki) dialMQTT(t *testing.T, port int, id string, change ...func(*tls.Config)) *tls.Conn {
	t.Helper()
	c := p.dialTLS(t, port, change...)
	connectAs(t, c, id)
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	return c
}

// connectAs sends a CONNECT of MQTT 3.1.1 with a client id of one letter.
func connectAs(t *testing.T, w io.Writer, id string) {
	t.Helper()
	if _, err := io.WriteString(w, connectPacket(id)); err != nil {
		t.Fatal(err)
	}
}

func connectPacket(id string) string { return "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01" + id[:1] }

// What ends a connection is told by an alert of TLS, or close_notify, also where unread bytes of the client could lose it.
func TestAlertsReachTheClient(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	port, strict := testenv.FreePort(t), testenv.FreePort(t)
	b := startBroker(t, append(p.listen(port), p.listen(strict, "require_certificate true")...)...)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		only := func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version }
		c := p.dialMQTT(t, port, "a", only)
		record := "\x17\x03\x03\x00\x30" + strings.Repeat("x", 0x30) // nobody has encrypted it
		if _, err := c.NetConn().Write([]byte(strings.Repeat(record, 50))); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); !isAlert(err, "bad record MAC") {
			t.Errorf("%s, a damaged record: %v", tls.VersionName(version), err)
		}
		b.await(`^Client a disconnected: local error: tls: bad record MAC\.$`)

		c = p.dialMQTT(t, port, "b", only)
		other := p.dialMQTT(t, port, "b", only) // takes the session over
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("%s, taken over: %v instead of close_notify", tls.VersionName(version), err)
		}
		if _, err := other.Write([]byte{0xE0, 0}); err != nil { // DISCONNECT
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, other); err != nil {
			t.Errorf("%s, DISCONNECT: %v instead of close_notify", tls.VersionName(version), err)
		}
		if version == tls.VersionTLS13 { // the handshake is over for the client before the server misses the certificate
			c = p.dialTLS(t, strict, only)
			connectAs(t, c, "c")
			if _, err := io.Copy(io.Discard, c); !isAlert(err, "certificate required") {
				t.Errorf("no certificate: %v", err)
			}
		}
	}
}

func isAlert(err error, text string) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok && err.Error() == "remote error: tls: "+text
}

// A client that asks for renegotiation is sent away. With pre-shared keys it is told that there is none, and openssl leaves by itself, with one alert or
// another, as CONNACK comes before or after its wish.
func TestWhoAsksForRenegotiationIsSentAway(t *testing.T) {
	t.Parallel()
	testenv.Program(t, "openssl", "openssl")
	p := newPKI(t)
	keys := writeFile(t, filepath.Join(p.dir, "keys"), []byte("device:"+pskKey+"\n"))
	port, overPSK := testenv.FreePort(t), testenv.FreePort(t)
	b := startBroker(t, append(p.listen(port), listen(overPSK), "psk_hint x", "psk_file "+keys)...)
	stop := bystanderTLS(t, p, port)
	for id, client := range map[string]struct {
		args []string
		line string
	}{
		"r": {[]string{"-connect", fmt.Sprintf("127.0.0.1:%d", port), "-CAfile", p.ca.file}, "the client asks for renegotiation"},
		"s": {[]string{"-connect", fmt.Sprintf("127.0.0.1:%d", overPSK), "-psk", pskKey, "-psk_identity", "device"}, "alert (handshake_failure|unexpected_message)"},
	} {
		c := start(t, "openssl", append([]string{"s_client", "-tls1_2"}, client.args...)...)
		connectAs(t, c.Input, id)
		b.await(`New client connected from .* as ` + id + ` `)
		if _, err := io.WriteString(c.Input, "R\n"); err != nil {
			t.Fatal(err)
		}
		c.await("RENEGOTIATING")
		b.await("^Client " + id + " disconnected: .*" + client.line)
		c.end()
	}
	stop()
}

// bystanderTLS has a client on a port for as long as stop is not called.
func bystanderTLS(t *testing.T, p *pki, port int) (stop func()) {
	t.Helper()
	c := p.dialMQTT(t, port, "z")
	return func() {
		if _, err := c.Write([]byte{0xC0, 0}); err != nil { // PINGREQ
			t.Error(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
			t.Errorf("the bystander's connection: %v", err)
		}
	}
}

// What ends a connection over WebSocket is told by a close frame, and over TLS by close_notify behind it.
func TestCloseFramesReachTheClient(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	plain, secure := testenv.FreePort(t), testenv.FreePort(t)
	startBroker(t, append(p.listen(secure, "protocol websockets"), listen(plain), "protocol websockets")...)
	open := func(port int, id string) (net.Conn, *bufio.Reader) {
		var c net.Conn
		if port == secure {
			c = p.dialTLS(t, port)
		} else {
			c = dial(t, port)
		}
		if _, err := io.WriteString(c, upgrade+frame(2, connectPacket(id))); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(c)
		answer, err := http.ReadResponse(r, nil)
		if err == nil {
			_ = answer.Body.Close() // there is none
		}
		if err != nil || answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Sec-WebSocket-Protocol") != "mqtt" {
			t.Fatalf("%v %v", answer, err)
		}
		defer answer.Body.Close() // empty
		connack := make([]byte, 6)
		if _, err := io.ReadFull(r, connack); err != nil || string(connack) != "\x82\x04\x20\x02\x00\x00" {
			t.Fatalf("%x, %v", connack, err)
		}
		return c, r
	}
	for _, port := range []int{plain, secure} {
		for name, c := range map[string]struct {
			do   string // "": another client takes the session over
			want string
		}{
			"text":        {frame(1, "hello"), "\x88\x02\x03\xeb"},                      // 1003
			"no mask":     {"\x82\x02\xc0\x00", "\x88\x02\x03\xea"},                     // 1002
			"close":       {frame(8, "\x03\xe8"), "\x88\x02\x03\xe8"},                   // 1000, the client's own
			"ping, close": {frame(9, "p") + frame(8, ""), "\x8a\x01p\x88\x00"},          // pong goes before
			"DISCONNECT":  {frame(2, "\xe0\x00"), "\x88\x02\x03\xe8"},                   // 1000
			"protocol":    {frame(2, "\x00\x00") + frame(2, "xxx"), "\x88\x02\x03\xe8"}, // an error of MQTT, not of WebSocket
			"taken over":  {"", "\x88\x02\x03\xe8"},
		} {
			nc, r := open(port, "w")
			if c.do == "" {
				open(port, "w")
			} else if _, err := io.WriteString(nc, c.do); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if string(got) != c.want || err != nil {
				t.Errorf("%s, TLS %t: %x, %v; want %x", name, port == secure, got, err, c.want)
			}
		}
	}
}
