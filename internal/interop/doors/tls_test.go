//go:build unix

package doors

import (
	"bufio"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

// sClient runs openssl s_client against a port until the input is at its end.
func sClient(t *testing.T, port int, input string, args ...string) outcome {
	t.Helper()
	testenv.Program(t, "openssl", "openssl")
	return run(t, input, "openssl", append([]string{"s_client", "-connect", fmt.Sprintf("127.0.0.1:%d", port)}, args...)...)
}

func TestMosquittoClientsOverBothVersionsOfTLS(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	p := newPKI(t)
	any, modern, keys := testenv.FreePort(t), testenv.FreePort(t), filepath.Join(p.dir, "keys")
	b := startCommand(t, func(cmd *exec.Cmd) { cmd.Args = append(cmd.Args, "--tls-keylog", keys) },
		append(p.listen(any), p.listen(modern, "tls_version tlsv1.3")...)...)
	for i, version := range []string{"tlsv1.3", "tlsv1.2"} {
		mosquitto(t, any, p.trust()...).atMost(version).roundTrip()
		const ofOldVersion = "client_random "
		old := slices.ContainsFunc(secrets(t, keys), func(line string) bool { return strings.HasPrefix(line, ofOldVersion) })
		if old != (i == 1) {
			t.Errorf("%s: the clients have used another version: %s", version, secrets(t, keys))
		}
		protocol := "-" + strings.Replace(strings.Replace(version, "tlsv", "tls", 1), ".", "_", 1)
		o := sClient(t, any, "", protocol, "-CAfile", p.ca.file, "-brief")
		if want := "Protocol version: TLSv" + version[4:]; !strings.Contains(o.output, want) || !strings.Contains(o.output, "Verification: OK") {
			t.Errorf("%s: no %q in:\n%s", version, want, o.output)
		}
	}
	mosquitto(t, modern, p.trust()...).roundTrip()
	mark := b.Mark()
	if o := mosquitto(t, modern, p.trust()...).atMost("tlsv1.2").publish("t", "m"); o.status == 0 {
		t.Error("TLS 1.2 was accepted where tls_version is tlsv1.3")
	}
	b.awaitFrom(mark, `^Client <unknown> disconnected: TLS handshake: tls: client offered only unsupported versions: .* \(127.0.0.1\)\.$`)
}

func TestClientsRefuseAServerThatIsNotTheirs(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	p := newPKI(t)
	other := issue(t, p.dir, "other", p.ca, func(c *x509.Certificate) { c.DNSNames = []string{"elsewhere.example"} })
	late := issue(t, p.dir, "late", p.ca, forServer, expired)
	good, misnamed, old := testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t)
	b := startBroker(t, slices.Concat(p.listen(good),
		[]string{listen(misnamed), "certfile " + other.file, "keyfile " + other.pem},
		[]string{listen(old), "certfile " + late.file, "keyfile " + late.pem})...)
	b.await("late.crt: .*is expired since")
	for name, c := range map[string]struct {
		port       int
		ca, reason string
	}{
		"unknown authority": {good, p.stranger.file, "unknown certificate authority|bad certificate"},
		"another name":      {misnamed, p.ca.file, "internal error|bad certificate"},
		"expired":           {old, p.ca.file, "expired certificate"},
	} {
		mark := b.Mark()
		if o := mosquitto(t, c.port, "--cafile", c.ca).publish("t", "m"); o.status == 0 {
			t.Errorf("%s: the message was published", name)
		}
		b.awaitFrom(mark, "^Client <unknown> (disconnected: .*("+c.reason+")|closed its connection)")
	}
}

// An intermediate authority stands between the root, which clients know, and the server's
// certificate. Clients are sent the same chain as by Debian's mosquitto, wherever it is.
func TestIntermediateAuthorityIsSent(t *testing.T) {
	t.Parallel()
	program := testenv.Program(t, "mosquitto", "mosquitto")
	p := newPKI(t)
	between := issue(t, p.dir, "between", p.ca, isAuthority)
	server := issue(t, p.dir, "leaf", between, forServer)
	authorities := writeFile(t, filepath.Join(p.dir, "authorities"), slices.Concat(p.ca.text(), between.text()))
	chained := server.chain(between)
	files := [][]string{
		{"certfile " + chained},
		{"certfile " + server.file, "cafile " + authorities},
		{"certfile " + server.file, "cafile " + between.file},
		{"certfile " + chained, "cafile " + authorities},
	}
	ours, theirs := []string{"allow_anonymous true"}, []string{"allow_anonymous true"}
	var ports, others []int
	for _, lines := range files {
		ports, others = append(ports, testenv.FreePort(t)), append(others, testenv.FreePort(t))
		lines = append(lines, "keyfile "+server.pem)
		ours = slices.Concat(ours, []string{listen(ports[len(ports)-1])}, lines)
		theirs = slices.Concat(theirs, []string{listen(others[len(others)-1])}, lines)
	}
	startBroker(t, ours...)
	testenv.Mosquitto(t, program, theirs...)
	for i, lines := range files {
		mosquitto(t, ports[i], p.trust()...).roundTrip()
		got, want := p.chainOf(t, ports[i]), p.chainOf(t, others[i])
		if !slices.Equal(got, want) {
			t.Errorf("%v: sent %v, Mosquitto sends %v", lines, got, want)
		}
	}
}

// chainOf returns the names of the certificates that a broker sends.
func (p *pki) chainOf(t *testing.T, port int) (names []string) {
	c := p.dialTLS(t, port)
	defer c.Close()
	for _, cert := range c.ConnectionState().PeerCertificates {
		names = append(names, cert.Subject.CommonName)
	}
	return names
}

func TestCiphersAreThoseOfTheFile(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	port, dh := testenv.FreePort(t), filepath.Join(p.dir, "dh.pem")
	b := startBroker(t, p.listen(port, "ciphers ECDHE-ECDSA-AES256-GCM-SHA384:DHE-RSA-AES128-SHA", "ciphers_tls1.3 TLS_AES_128_GCM_SHA256",
		"dhparamfile "+dh)...)
	b.await(`Warning: .*unio.conf:\d+: ciphers: DHE-RSA-AES128-SHA is not available, and left out`)
	b.await(`Warning: .*unio.conf:\d+: ciphers_tls1.3: the suites of TLS 1.3 cannot be chosen`)
	o := sClient(t, port, "", "-tls1_2", "-brief")
	if !strings.Contains(o.output, "Ciphersuite: ECDHE-ECDSA-AES256-GCM-SHA384") {
		t.Error(o.output)
	}
	mark := b.Mark()
	if o := sClient(t, port, "", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"); !strings.Contains(o.output, "handshake failure") {
		t.Error(o.output)
	}
	b.awaitFrom(mark, "Client <unknown> disconnected: TLS handshake: .*no cipher suite supported by both client and server")
}

func TestProtocolsOfALPN(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	port, web := testenv.FreePort(t), testenv.FreePort(t)
	startBroker(t, append(p.listen(port), p.listen(web, "protocol websockets")...)...)
	for _, c := range []struct {
		port          int
		offer, choice string
	}{
		{port, "mqtt", "ALPN protocol: mqtt"},
		{port, "x-foreign,mqtt", "ALPN protocol: mqtt"},
		{port, "x-foreign", "No ALPN negotiated"}, // Mosquitto does not look at it
		{web, "h2,http/1.1", "ALPN protocol: http/1.1"},
		{web, "x-foreign", "No ALPN negotiated"},
	} {
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			o := sClient(t, c.port, "", version, "-alpn", c.offer, "-CAfile", p.ca.file)
			if !strings.Contains(o.output, c.choice) || !strings.Contains(o.output, "Verify return code: 0 (ok)") {
				t.Errorf("%s %s: no %q in:\n%s", version, c.offer, c.choice, o.output)
			}
		}
	}
	mosquitto(t, port, p.trust()...).with("--tls-alpn", "x-foreign").roundTrip()
}

func TestSessionsAreResumed(t *testing.T) {
	t.Parallel()
	testenv.Program(t, "openssl", "openssl")
	p := newPKI(t)
	port := testenv.FreePort(t)
	startBroker(t, p.listen(port, "require_certificate true")...)
	pair := []string{"-CAfile", p.ca.file, "-cert", p.client.file, "-key", p.client.pem}
	o := sClient(t, port, "", append([]string{"-tls1_2", "-reconnect"}, pair...)...)
	if n := strings.Count(o.output, "Reused, TLSv1.2"); n != 5 {
		t.Errorf("%d of 5 connections resumed the session of TLS 1.2:\n%s", n, o.output)
	}
	// A ticket of TLS 1.3 comes behind the handshake; s_client prints it.
	session := filepath.Join(p.dir, "session")
	for i, want := range []string{"New, TLSv1.3", "Reused, TLSv1.3"} {
		args := append([]string{"-oL", "openssl", "s_client", "-connect", fmt.Sprintf("127.0.0.1:%d", port), "-tls1_3", []string{"-sess_out", "-sess_in"}[i], session}, pair...)
		c := start(t, "stdbuf", args...)
		if i == 0 {
			c.await("Start Time: ") // of the ticket
		} else {
			c.await(want)
		}
		_ = c.Input.Close()
		if o := c.end(); i == 1 && o.status != 0 {
			t.Error(o.output)
		}
	}
}

func TestKeyLogIsThatOfTheClient(t *testing.T) {
	t.Parallel()
	testenv.Program(t, "openssl", "openssl")
	p := newPKI(t)
	port, ours, theirs := testenv.FreePort(t), filepath.Join(p.dir, "ours"), filepath.Join(p.dir, "theirs")
	b := startCommand(t, func(cmd *exec.Cmd) { cmd.Args = append(cmd.Args, "--tls-keylog", ours) }, p.listen(port)...)
	b.await("Warning: --tls-keylog: whoever reads " + ours)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		sClient(t, port, "", version, "-keylogfile", theirs)
	}
	got, want := secrets(t, ours), secrets(t, theirs)
	if len(want) < 5 || !slices.Equal(got, want) {
		t.Errorf("the broker wrote\n%s\nand the client\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if info, err := os.Stat(ours); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// secrets returns the lines of a file of keys that both sides write, sorted.
func secrets(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if label, _, _ := strings.Cut(s.Text(), " "); label != "EXPORTER_SECRET" && label != "#" { // crypto/tls leaves the one for exports out
			lines = append(lines, strings.ToLower(s.Text()))
		}
	}
	slices.Sort(lines)
	return lines
}

// The log tells of what ends within a month, but not of what was made for a short time.
func TestEndsAreToldAMonthAhead(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	const day = 24 * time.Hour
	lives := func(before, after time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(-before), time.Now().Add(after) }
	}
	soon, later := issue(t, p.dir, "soon", p.ca, lives(80*day, 10*day)), issue(t, p.dir, "later", p.ca, lives(80*day, 40*day))
	short := issue(t, p.dir, "short", p.ca, lives(day, 6*day))
	plain, first := testenv.FreePort(t), testenv.FreePort(t)
	lines := []string{listen(plain), "allow_anonymous true", listen(first), "certfile " + soon.file, "keyfile " + soon.pem}
	for _, c := range []*certificate{later, short} {
		lines = append(lines, listen(testenv.FreePort(t)), "certfile "+c.file, "keyfile "+c.pem)
	}
	b := startBroker(t, lines...)
	b.await("Warning: .*soon.crt: the certificate of CN=soon expires on ")
	topic := fmt.Sprintf("$SYS/broker/listeners/%d/certificate/expires", first)
	if got, want := mosquitto(t, plain).subscribe(topic).await("MSG "), fmt.Sprintf("MSG %s %d", topic, soon.x509.NotAfter.Unix()); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, line := range b.since(0) {
		if strings.Contains(line, "expires") && !strings.Contains(line, "soon") {
			t.Error(line)
		}
	}
}
