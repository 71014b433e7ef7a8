//go:build unix

package doors

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

const domain = "mqtt.example.org"

// authorityTools builds Let's Encrypt's small authority for tests, and the name server that it asks.
var authorityTools = sync.OnceValues(func() (folder string, err error) {
	folder = filepath.Dir(program)
	build := exec.Command("go", "build", "-o", folder, "tool")
	build.Dir = "authority"
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the authority: %w\n%s", err, out)
	}
	return folder, nil
})

// acme is a running authority that looks for every domain at one port of this machine.
type acme struct {
	t       *testing.T
	process *process
	env     []string // what unio needs to trust its web server
	lines   []string // of the listener whose certificate comes from it
	port    int      // the listener's
	root    string   // of its certificates: a file
	pool    *x509.CertPool
}

// startACME starts an authority whose certificates last for a time.
func startACME(t *testing.T, lifetime time.Duration) *acme {
	t.Helper()
	folder, err := authorityTools()
	if err != nil {
		testenv.Missing(t, "%v", err)
	}
	p, dir := newPKI(t), t.TempDir()
	names, web, management := testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t)
	a := &acme{t: t, port: testenv.FreePort(t), root: filepath.Join(dir, "root.pem"), env: []string{"SSL_CERT_FILE=" + p.ca.file}}
	start(t, filepath.Join(folder, "pebble-challtestsrv"), "-dnsserver", fmt.Sprintf("127.0.0.1:%d", names), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "",
		"-management", fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))).await("Starting management server")
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": fmt.Sprintf("127.0.0.1:%d", web), "managementListenAddress": fmt.Sprintf("127.0.0.1:%d", management),
		"certificate": p.server.file, "privateKey": p.server.pem, "httpPort": testenv.FreePort(t), "tlsPort": a.port,
		"keyAlgorithm": "ecdsa", "retryAfter": map[string]int{"authz": 1, "order": 1}, // seconds
		"profiles": map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": int(lifetime.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	a.process = startWith(t, []string{"PEBBLE_VA_NOSLEEP=1"}, filepath.Join(folder, "pebble"),
		"-config", writeFile(t, filepath.Join(dir, "pebble.json"), config), "-dnsserver", fmt.Sprintf("127.0.0.1:%d", names))
	a.process.await("ACME directory available")
	a.lines = []string{
		listen(a.port), "allow_anonymous true", "acme_domain " + domain, "acme_email ops@example.org",
		"acme_directory " + fmt.Sprintf("https://127.0.0.1:%d/dir", web), "acme_cache " + filepath.Join(dir, "cache"),
	}
	a.fetchRoot(p, management)
	return a
}

// fetchRoot fetches what clients are to trust.
func (a *acme) fetchRoot(p *pki, management int) {
	a.t.Helper()
	web := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: p.clientConfig()}}
	defer web.CloseIdleConnections()
	var root []byte
	waitFor(a.t, "answer of the authority's management", func() bool {
		answer, err := web.Get(fmt.Sprintf("https://localhost:%d/roots/0", management))
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		root, err = io.ReadAll(answer.Body)
		return err == nil
	})
	writeFile(a.t, a.root, root)
	a.pool = x509.NewCertPool()
	if !a.pool.AppendCertsFromPEM(root) {
		a.t.Fatalf("no certificate: %s", root)
	}
}

// startBroker starts a broker with the authority's listener.
func (a *acme) startBroker() *broker {
	a.t.Helper()
	return startCommand(a.t, func(c *exec.Cmd) { c.Env = append(os.Environ(), a.env...) }, a.lines...)
}

// certificate is what a new client gets; it is checked as clients do.
func (a *acme) certificate() *x509.Certificate {
	a.t.Helper()
	c := tls.Client(dial(a.t, a.port), &tls.Config{RootCAs: a.pool, ServerName: domain, NextProtos: []string{"mqtt"}})
	defer c.Close()
	if err := c.Handshake(); err != nil {
		a.t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates[0]
}

// The first client's handshake obtains the certificate; clients that name no server get it as well; a restart finds it again when the
// authority is away.
func TestACMEObtainsTheCertificate(t *testing.T) {
	t.Parallel()
	a := startACME(t, 90*24*time.Hour)
	b := a.startBroker()
	first := a.certificate()
	if err := first.VerifyHostname(domain); err != nil {
		t.Error(err)
	}
	mosquitto(t, a.port, "--cafile", a.root, "--insecure").roundTrip() // by address: the name is not in the handshake, nor checked
	b.stop()
	a.process.Kill()
	a.startBroker()
	if got := a.certificate(); !got.Equal(first) {
		t.Errorf("after a restart there is certificate %v; want %v", got.SerialNumber, first.SerialNumber)
	}
	mosquitto(t, a.port, "--cafile", a.root, "--insecure").roundTrip()
}

// A certificate is renewed when two thirds of its time are over, and clients that are connected stay.
func TestACMERenewsTheCertificate(t *testing.T) {
	t.Parallel()
	a := startACME(t, 15*time.Second)
	a.lines = append(a.lines, "connection_messages false")
	a.startBroker()
	first := a.certificate()
	tool := mosquitto(t, a.port, "--cafile", a.root, "--insecure")
	sub := tool.subscribe("renewal")
	waitFor(t, "new certificate", func() bool { return !a.certificate().Equal(first) })
	if o := tool.publish("renewal", "after"); o.status != 0 {
		t.Errorf("mosquitto_pub: status %d, %s", o.status, o.output)
	}
	if got := sub.await("MSG "); got != "MSG renewal after" {
		t.Errorf("%q", got)
	}
}

// Without the authority the listener has no certificate: its clients are refused, the log says why, others are served.
func TestACMEWithoutTheAuthority(t *testing.T) {
	t.Parallel()
	a := startACME(t, time.Hour)
	a.process.Kill()
	plain := testenv.FreePort(t)
	a.lines = append(a.lines, listen(plain), "allow_anonymous true")
	b := a.startBroker()
	mark := b.Mark()
	if o := mosquitto(t, a.port, "--cafile", a.root, "--insecure").publish("t", "x"); o.status == 0 {
		t.Error("a client was served without a certificate")
	}
	b.awaitFrom(mark, "connection refused")
	mosquitto(t, plain).roundTrip()
}
