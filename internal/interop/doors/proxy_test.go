//go:build unix

package doors

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

// haproxy runs HAProxy with a frontend for each line of "bind" options and backend lines. It gets sockets that listen already, so that
// nobody has to wait for it, and returns their ports.
func haproxy(t *testing.T, frontends ...[]string) []int {
	t.Helper()
	path := testenv.Program(t, "haproxy", "haproxy")
	conf := []string{"global", "maxconn 200", "defaults", "mode tcp", "timeout connect 10s", "timeout client 60s", "timeout server 60s"}
	cmd := exec.Command(path, "-db", "-f", filepath.Join(t.TempDir(), "haproxy.cfg"))
	var ports []int
	for i, lines := range frontends {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		const firstFile = 3
		conf = append(conf, fmt.Sprintf("listen l%d", i), fmt.Sprintf("bind fd@%d %s", firstFile+i, lines[0]))
		conf = append(conf, lines[1:]...)
	}
	writeFile(t, cmd.Args[3], []byte(strings.Join(conf, "\n")+"\n"))
	p := testenv.Start(t, cmd)
	t.Cleanup(func() { t.Logf("HAProxy says:\n%s", p.Text()) })
	return ports
}

// from returns the tools with an address of this machine to connect from.
func (c tool) from(address string) tool { return c.with("-A", address) }

func TestHAProxy(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	p := newPKI(t)
	both := writeFile(t, filepath.Join(p.dir, "both.pem"), slices.Concat(p.server.text(), p.server.keyText()))
	v1, v2, terminated, passed := testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t)
	acl := writeFile(t, filepath.Join(p.dir, "acl"), []byte("topic readwrite #\nuser client\ntopic readwrite #\n"))
	b := startBroker(t, slices.Concat([]string{"acl_file " + acl},
		[]string{listen(v1), "enable_proxy_protocol 1", "allow_anonymous true"},
		[]string{listen(v2), "enable_proxy_protocol 2"},
		[]string{listen(terminated), "enable_proxy_protocol 2", "proxy_protocol_v2_require_tls true", "require_certificate true", "use_identity_as_username true"},
		p.listen(passed, "enable_proxy_protocol 2", "require_certificate true", "use_identity_as_username true"))...)
	to := func(port int, how string) string { return fmt.Sprintf("server s 127.0.0.1:%d %s", port, how) }
	ports := haproxy(t,
		[]string{"", to(v1, "send-proxy")},
		[]string{"", to(v2, "send-proxy-v2")},
		[]string{"ssl crt " + both + " ca-file " + p.ca.file + " verify optional", to(terminated, "send-proxy-v2-ssl-cn")},
		[]string{"", to(terminated, "send-proxy-v2-ssl-cn")}, // without TLS
		[]string{"", to(passed, "send-proxy-v2")},
		[]string{"", to(v1, "send-proxy-v2")}, // wrong ones
		[]string{"", to(v2, "send-proxy")},
		[]string{"", to(v2, "")},
	)
	withTLS, withCertificate := p.trust(), append(p.trust(), p.client.flags()...)
	for i, c := range []struct {
		name    string
		port    int
		flags   []string
		user    string
		refusal string
	}{
		{"version 1", ports[0], nil, "", ""},
		{"version 2", ports[1], nil, "", ""},
		{"TLS ends at the load balancer", ports[2], withCertificate, "client", ""},
		{"... and no certificate is shown", ports[2], withTLS, "", "not authorised .*without a certificate"},
		{"... and no TLS", ports[3], nil, "", "not authorised .*without TLS"},
		{"TLS is passed on", ports[4], withCertificate, "client", ""},
		{"... and no certificate is shown", ports[4], withTLS, "", "client didn't provide a certificate"},
		{"version 2 for 1", ports[5], nil, "", "no PROXY header: it is one of version 2; want version 1"},
		{"version 1 for 2", ports[6], nil, "", "no PROXY header: it is one of version 1; want version 2"},
		{"no header", ports[7], nil, "", "no PROXY header: the client begins with MQTT"},
		{"past the load balancer", v1, nil, "", "no PROXY header: the client begins with MQTT"},
	} {
		from, mark := fmt.Sprintf("127.0.0.%d", 50+i), b.Mark()
		o := mosquitto(t, c.port, c.flags...).from(from).publish("t", "m")
		if (o.status == 0) != (c.refusal == "") {
			t.Errorf("%s: %+v", c.name, o)
		}
		if c.refusal != "" {
			b.awaitFrom(mark, `^Client \S+ disconnected.*`+c.refusal)
			continue
		}
		b.awaitFrom(mark, `^New connection from `+regexp.QuoteMeta(from)+`:\d+ on port`)
		line := b.awaitFrom(mark, `^New client connected from `+regexp.QuoteMeta(from)+`:\d+ as `)
		if c.user != "" && !strings.Contains(line, "u'"+c.user+"'") {
			t.Errorf("%s: %s", c.name, line)
		}
	}
}

// Whom the load balancer should not have let through is closed when its header is there: it need not
// send CONNECT, nor an upgrade to WebSocket.
func TestHeadersThatSayTooLittleAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	secure, certified, web := testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t)
	b := startBroker(t, "connect_timeout 600", "allow_anonymous true", listen(secure), "enable_proxy_protocol 2", "proxy_protocol_v2_require_tls true",
		listen(certified), "enable_proxy_protocol 2", "require_certificate true",
		listen(web), "protocol websockets", "enable_proxy_protocol 2", "proxy_protocol_v2_require_tls true")
	const (
		unix   = "\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00"
		plain  = unix + "\x07/run/x\x00"
		noCert = unix + "\x19/run/x\x00\x20\x00\x0f\x01\x00\x00\x00\x01\x21\x00\x07TLSv1.3" // with TLS
	)
	for name, c := range map[string]struct {
		port       int
		sent, want string // what is answered, and the line of the log; want "": it is let in
	}{
		"TLS": {secure, noCert + mqttConnect, ""}, "no TLS": {secure, plain, "without TLS"}, "no TLS for a certificate": {certified, plain, "without a certificate"},
		"no certificate": {certified, noCert, "without a certificate"}, "no TLS, WebSocket": {web, plain, "without TLS"},
	} {
		mark := b.Mark()
		nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", c.port))
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(patience))
		if _, err = io.WriteString(nc, c.sent); err != nil {
			t.Error(err)
		}
		answer := make([]byte, 4)
		n, err := io.ReadFull(nc, answer)
		nc.Close()
		switch {
		case c.want == "" && err != nil, c.want != "" && (n > 0 || !errors.Is(err, io.EOF)):
			t.Errorf("%s: answered %x, %v", name, answer[:n], err)
		case c.want != "":
			b.awaitFrom(mark, `^Client <unknown> disconnected, not authorised \(/run/x: .*`+c.want)
		}
	}
}

// The limit is the client's, although all come from one load balancer. Over WebSocket behind an HTTP proxy, which has no PROXY header, the
// connection's own address counts: anybody can write X-Forwarded-For.
func TestConnectionRateBehindHAProxy(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	v2 := testenv.FreePort(t)
	b := startBroker(t, "max_connection_rate 2", listen(v2), "enable_proxy_protocol 2", "allow_anonymous true")
	port := haproxy(t, []string{"", fmt.Sprintf("server s 127.0.0.1:%d send-proxy-v2", v2)})[0]
	open := func(from string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
		c, err := d.DialContext(t.Context(), "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = c.Write([]byte(mqttConnect))
		return c
	}
	let := map[string]int{}
	started := time.Now()
	for range 4 {
		for _, from := range []string{"127.0.0.61", "127.0.0.62", "127.0.0.63"} {
			if n, _ := open(from).Read(make([]byte, 4)); n == 4 {
				let[from]++
			}
		}
	}
	seconds := 2 + int(time.Since(started)/time.Second) // that it may have gone over
	for from, n := range let {
		if n < 2 || n > 2*seconds || n > 3 && seconds == 2 {
			t.Errorf("%d of 4 connections from %s were let in", n, from)
		}
	}
	b.await(`^Client <unknown> disconnected: too many connections from its address within a second \(127.0.0.6\d\)\.$`)
}

// A load balancer that looks whether the broker is alive leaves no trace in the log.
func TestHealthChecksOfHAProxyAreSilent(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	v2, web := testenv.FreePort(t), testenv.FreePort(t)
	b := startBroker(t, listen(v2), "enable_proxy_protocol 2", "allow_anonymous true", "sys_interval 1",
		listen(web), "enable_proxy_protocol 2", "protocol websockets")
	mark := b.Mark()
	const check = "send-proxy-v2 check check-send-proxy inter 50ms"
	port := haproxy(t, []string{"", fmt.Sprintf("server s 127.0.0.1:%d %s", v2, check)}, []string{"", fmt.Sprintf("server s 127.0.0.1:%d %s", web, check)})[0]
	// $SYS counts the connections that were made at the sockets.
	sub := mosquitto(t, port).subscribe("$SYS/broker/connections/#")
	for sockets := 0; sockets < 10; {
		line := sub.await("MSG $SYS/broker/connections/")
		if _, err := fmt.Sscanf(line, "MSG $SYS/broker/connections/socket/count %d", &sockets); err != nil && !strings.HasSuffix(line, " 0") {
			t.Fatal(line)
		}
	}
	for _, line := range b.since(mark) {
		if strings.Contains(line, "<unknown>") || strings.Contains(line, "New connection from") && !strings.Contains(line, "127.0.0.1:") {
			t.Error(line)
		}
	}
}

// Browsers come through an HTTP proxy that ends TLS, which tells their address by X-Forwarded-For, or by a PROXY header, or by both.
func TestWebSocketBehindHAProxy(t *testing.T) {
	t.Parallel()
	needJS(t)
	p := newPKI(t)
	both := writeFile(t, filepath.Join(p.dir, "both.pem"), slices.Concat(p.server.text(), p.server.keyText()))
	plain, proxied := testenv.FreePort(t), testenv.FreePort(t)
	b := startBroker(t, listen(plain), "protocol websockets", "websockets_forwarded_for 127.0.0.1", "allow_anonymous true",
		listen(proxied), "protocol websockets", "enable_proxy_protocol 2", "proxy_protocol_v2_require_tls true")
	bind := "ssl crt " + both + " alpn http/1.1"
	ports := haproxy(t,
		[]string{bind, "mode http", "timeout tunnel 60s", "option forwardfor", fmt.Sprintf("server s 127.0.0.1:%d", plain)},
		[]string{bind, "mode http", "timeout tunnel 60s", fmt.Sprintf("server s 127.0.0.1:%d send-proxy-v2-ssl", proxied)},
	)
	for i, port := range ports {
		from, mark := fmt.Sprintf("127.0.0.%d", 80+i), b.Mark()
		o := mqttJS(t, fmt.Sprintf("wss://127.0.0.1:%d/mqtt", port), map[string]any{"ca": p.ca.file, "localAddress": from})
		if o.status != 0 {
			t.Errorf("%+v", o)
		}
		b.awaitFrom(mark, `^New client connected from `+regexp.QuoteMeta(from)+`:\d+ as `)
	}
}
