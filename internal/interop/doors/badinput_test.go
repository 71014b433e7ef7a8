//go:build unix

package doors

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

// mqttConnect is a CONNECT packet of MQTT 3.1.1 without client id.
const mqttConnect = "\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00"

// upgrade is a request for WebSocket.
const upgrade = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"

// frame is a WebSocket frame from a client, with a mask of zeros (RFC 6455, 5.2).
func frame(opcode byte, payload string) string {
	head := []byte{0x80 | opcode, 0x80 | byte(len(payload))}
	if len(payload) > 125 {
		head = binary.BigEndian.AppendUint16([]byte{0x80 | opcode, 0x80 | 126}, uint16(len(payload)))
	}
	return string(head) + "\x00\x00\x00\x00" + payload
}

// clientHello is what a client of TLS sends first.
func clientHello(t *testing.T) string {
	t.Helper()
	a, b := net.Pipe()
	hello := make(chan string, 1)
	go func() {
		p := make([]byte, 16<<10)
		n, _ := b.Read(p)
		hello <- string(p[:n])
		_ = b.Close()
	}()
	_ = tls.Client(a, &tls.Config{ServerName: "localhost"}).Handshake()
	_ = a.Close()
	return <-hello
}

// bystander exchanges messages with itself until stop is called, which tells the longest time that one took.
func bystander(t *testing.T, port int) (stop func() time.Duration) {
	t.Helper()
	c := dial(t, port)
	_, _ = c.Write([]byte(mqttConnect + "\x82\x06\x00\x01\x00\x01b\x00"))
	if _, err := io.ReadFull(c, make([]byte, 4+5)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var longest time.Duration
	quit, pace := make(chan struct{}), time.NewTicker(5*time.Millisecond)
	wg.Go(func() {
		defer pace.Stop()
		packet := []byte("\x30\x08\x00\x01bhello")
		for {
			select {
			case <-quit:
				return
			case <-pace.C:
			}
			began := time.Now()
			if _, err := c.Write(packet); err != nil {
				t.Errorf("bystander: %v", err)
				return
			}
			if _, err := io.ReadFull(c, make([]byte, len(packet))); err != nil {
				t.Errorf("bystander: %v", err)
				return
			}
			longest = max(longest, time.Since(began))
		}
	})
	return func() time.Duration {
		close(quit)
		wg.Wait()
		return longest
	}
}

// intruder is somebody who comes to the wrong door, or says nothing that can be understood.
type intruder struct {
	name string
	port int
	wrap func(net.Conn) net.Conn
	send string
	line string // of the log
	said string // to the client

	from string
	got  string
	took time.Duration
	err  error
}

// play sends what is to be sent, and waits for the end of the connection.
func (c *intruder) play() {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}, Timeout: patience}
	nc, err := d.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", c.port))
	if err != nil {
		c.err = err
		return
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	if c.wrap != nil {
		nc = c.wrap(nc)
	}
	began := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.WriteString(nc, c.send) }) // the broker may not take it all
	var all bytes.Buffer
	_, err = io.Copy(&all, nc)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		c.err = err
	}
	c.got, c.took = all.String(), time.Since(began)
	_ = nc.Close()
	wg.Wait()
}

// about returns the lines of the log on the end of connections from an address.
func (b *broker) about(c *intruder) []string {
	who := `<unknown> .*\b` + regexp.QuoteMeta(c.from) + `\b`
	if strings.Contains(c.send, upgrade) && strings.Contains(c.send, mqttConnect) && c.line == "frame" { // it has become a client
		line := b.await(`^New client connected from ` + regexp.QuoteMeta(c.from) + `:\d+ as (\S+) `)
		who = strings.Fields(line)[6] + " "
	}
	b.await("^Client " + who)
	re := regexp.MustCompile("^Client " + who)
	return slices.DeleteFunc(b.since(0), func(line string) bool { return !re.MatchString(line) })
}

// Whoever comes to the wrong door, or says nothing that can be understood, is sent away in time, with one line in the log, and nobody
// else notices.
func TestBadInputAtEveryDoor(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	keys := writeFile(t, filepath.Join(p.dir, "keys"), []byte("device:"+pskKey+"\n"))
	plain, overTLS, overPSK, web, secureWeb, proxied := testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t)
	b := startBroker(t, slices.Concat([]string{"connect_timeout 1", "max_packet_size 1000", listen(plain), "allow_anonymous true"},
		p.listen(overTLS), p.listen(secureWeb, "protocol websockets"),
		[]string{listen(overPSK), "psk_hint x", "psk_file " + keys, listen(web), "protocol websockets", listen(proxied), "enable_proxy_protocol 2"})...)
	stop := bystander(t, plain)
	hello := clientHello(t)
	garbage := strings.Repeat("\xfe\x01\x80", 3000)
	withTLS := func(c net.Conn) net.Conn { return tls.Client(c, &tls.Config{InsecureSkipVerify: true}) }
	const hugeFrame = "\x82\xff\x3f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"
	const slow, mute = "the handshake was not over within 1s", "no CONNECT was accepted within 1s"
	intruders := []*intruder{
		{name: "MQTT to TLS", port: overTLS, send: mqttConnect, line: "the client speaks MQTT without TLS on a port for TLS"},
		{name: "HTTP to TLS", port: overTLS, send: upgrade, line: "the client speaks HTTP without TLS on a port for TLS"},
		{name: "garbage to TLS", port: overTLS, send: garbage, line: "the client speaks something else without TLS on a port for TLS"},
		{name: "a record that is too large", port: overTLS, send: "\x16\x03\x01\xff\xff" + garbage, line: "TLS"},
		{name: "nothing to TLS", port: overTLS, send: "", line: slow},
		{name: "half of a handshake", port: overTLS, send: hello[:len(hello)/2], line: slow},
		{name: "nothing behind a handshake", port: overTLS, wrap: withTLS, send: "", line: mute},
		{name: "a huge CONNECT over TLS", port: overTLS, wrap: withTLS, send: "\x10\xff\xff\xff\x7f" + garbage, line: "oversize packet"},
		{name: "WebSocket over TLS to MQTT over TLS", port: overTLS, wrap: withTLS, send: upgrade, line: "HTTP, which this listener does not speak"},
		{name: "TLS to plain MQTT", port: plain, send: hello, line: "TLS, which this listener does not speak"},
		{name: "HTTP to plain MQTT", port: plain, send: upgrade, line: "HTTP, which this listener does not speak"},
		{name: "PROXY to plain MQTT", port: plain, send: "PROXY UNKNOWN\r\n", line: "a PROXY header, and enable_proxy_protocol is off"},
		{name: "nothing to plain MQTT", port: plain, send: "", line: mute},
		{name: "MQTT to keys", port: overPSK, send: mqttConnect, line: "TLS"},
		{name: "certificates to keys", port: overPSK, send: hello, line: "TLS 1.2|cipher suite|PSK"},
		{name: "garbage to keys", port: overPSK, send: garbage, line: "TLS"},
		{name: "half of a handshake to keys", port: overPSK, send: hello[:40], line: slow},
		{name: "MQTT to WebSocket", port: web, send: mqttConnect, line: "MQTT without WebSocket came to a WebSocket listener", said: "HTTP/1.1 400"},
		{name: "TLS to WebSocket", port: web, send: hello, line: "TLS came to a WebSocket listener without TLS", said: "HTTP/1.1 400"},
		{name: "garbage to WebSocket", port: web, send: garbage + "\r\n\r\n", line: "no valid HTTP request", said: "HTTP/1.1 400"},
		{name: "an upgrade without its key", port: web, send: strings.Replace(upgrade, "-Key", "-Kex", 1), line: "Sec-WebSocket-Key must be", said: "HTTP/1.1 400"},
		{name: "an upgrade to something else", port: web, send: strings.Replace(upgrade, ": mqtt", ": chat", 1), line: "must offer mqtt", said: "HTTP/1.1 400"},
		{name: "headers without end", port: web, send: upgrade[:40] + strings.Repeat("x", 100_000), line: "headers are too long", said: "HTTP/1.1 4"},
		{name: "half of a request", port: web, send: upgrade[:60], line: "no complete HTTP request within 1s", said: "HTTP/1.1 400"},
		{name: "nothing behind the upgrade", port: web, send: upgrade, line: mute, said: "HTTP/1.1 101"},
		{name: "a huge frame", port: web, send: upgrade + frame(2, mqttConnect) + hugeFrame, line: "frame", said: "\x88"},
		{name: "a text frame", port: web, send: upgrade + frame(1, mqttConnect), line: "text", said: "\x88\x02\x03\xeb"},
		{name: "HTTP to WebSocket over TLS", port: secureWeb, send: upgrade, line: "the client speaks HTTP without TLS on a port for TLS"},
		{name: "half of a handshake to WebSocket over TLS", port: secureWeb, send: hello[:20], line: "not over within 1s|no complete HTTP request within 1s"},
		{name: "a huge frame over TLS", port: secureWeb, wrap: withTLS, send: upgrade + frame(2, mqttConnect) + hugeFrame, line: "frame", said: "\x88"},
		{name: "no PROXY header", port: proxied, send: mqttConnect, line: "the client begins with MQTT"},
		{name: "half a PROXY header", port: proxied, send: "\r\n\r\n\x00\r\nQU", line: slow},
		{name: "garbage for a PROXY header", port: proxied, send: garbage, line: "the client begins with something else"},
	}
	var wg sync.WaitGroup
	for i, c := range intruders {
		c.from = fmt.Sprintf("127.0.2.%d", i+1)
		wg.Go(c.play)
	}
	wg.Wait()
	for _, c := range intruders {
		if c.err != nil || c.took > 10*time.Second {
			t.Errorf("%s: not closed after %v: %v", c.name, c.took, c.err)
			continue
		}
		if !strings.Contains(c.got, c.said) {
			t.Errorf("%s: the client is told %q; want %q", c.name, c.got, c.said)
		}
		if about := b.about(c); len(about) != 1 || !regexp.MustCompile(c.line).MatchString(about[0]) {
			t.Errorf("%s: the log says %q; want one line with %q", c.name, about, c.line)
		}
	}
	if longest := stop(); longest > 5*time.Second { // the machine may be busy
		t.Errorf("a message of the bystander has taken %v", longest)
	}
}
