//go:build unix

package cli_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

// authority issues the certificates of a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority writes its own certificate as NAME.crt into a folder of its own.
func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	_, a.key = a.issue(name, a.cert)
	return a
}

// issue writes NAME.crt and NAME.key and returns the certificate's path.
func (a *authority) issue(name string, template *x509.Certificate) (string, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parentKey := a.key
	if parentKey == nil {
		parentKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, parentKey)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	path := filepath.Join(a.dir, name)
	for ext, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path+ext, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return path, key
}

// leaf issues a certificate for a server or a client.
func (a *authority) leaf(name string, ip net.IP) string {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if ip != nil {
		template.IPAddresses = []net.IP{ip}
	}
	path, _ := a.issue(name, template)
	return path
}

// TestToolsOverTLS lets Debian's pub and ours publish to Debian's mosquitto and to unio over TLS: where one
// succeeds, the other does, with both brokers. What they print when TLS fails is their libraries' matter.
func TestToolsOverTLS(t *testing.T) {
	t.Parallel()
	testenv.File(t, mosquittoBroker, "mosquitto")
	for name, broker := range map[string]string{"mosquitto": mosquittoBroker, "unio": binary} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			toolsOverTLS(t, broker)
		})
	}
}

func toolsOverTLS(t *testing.T, broker string) {
	ours := links(t)
	ca, stranger := newAuthority(t, "ca"), newAuthority(t, "stranger")
	named, other := ca.leaf("named", net.IPv4(127, 0, 0, 1)), ca.leaf("other", nil)
	client := ca.leaf("client", nil)
	listen := func(server string, more ...string) string {
		port := testenv.FreePort(t)
		lines := append([]string{
			"user root", "log_type all", "allow_anonymous true", fmt.Sprintf("listener %d 127.0.0.1", port),
			"certfile " + server + ".crt", "keyfile " + server + ".key", "cafile " + filepath.Join(ca.dir, "ca.crt"),
		}, more...)
		launch(t, exec.Command(broker, "-c", file(t, lines...))).Await("running$")
		return fmt.Sprint(port)
	}
	plain, misnamed := listen(named), listen(other)
	strict, modern := listen(named, "require_certificate true"), listen(named, "tls_version tlsv1.3")
	cafile, foreign := "--cafile "+filepath.Join(ca.dir, "ca.crt"), "--cafile "+filepath.Join(stranger.dir, "stranger.crt")
	pair := " --cert " + client + ".crt --key " + client + ".key"
	for _, c := range []struct {
		name, port, args string
		works            bool
	}{
		{"authority known", plain, cafile, true},
		{"authorities in a folder", plain, "--capath " + ca.dir, true},
		{"authority unknown", plain, foreign, false},
		{"authority unknown and insecure", plain, foreign + " --insecure", false},
		{"another name", misnamed, cafile, false},
		{"another name and insecure", misnamed, cafile + " --insecure", true},
		{"certificate wanted and none given", strict, cafile, false},
		{"certificate wanted", strict, cafile + pair, true},
		{"a cipher suite of 1.2", plain, cafile + " --ciphers ECDHE-ECDSA-AES256-GCM-SHA384", true},
		{"a cipher suite that is none", plain, cafile + " --ciphers NONE-SUCH", false},
		{"version 1.3", modern, cafile + " --tls-version tlsv1.3", true},
		{"no such version", plain, cafile + " --tls-version tlsv9", false},
		{"no such file", plain, "--cafile /nowhere/ca.crt", false},
		{"a server without TLS", startBroker(t), cafile, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-h", "127.0.0.1", "-p", c.port, "-t", "t", "-m", "m", "-q", "1"}, strings.Fields(c.args)...)
			theirs := outcomeOf(t, "", "mosquitto_pub", args...)
			got := outcomeOf(t, "", filepath.Join(ours, "mosquitto_pub"), args...)
			folder := strings.Contains(c.args, "--capath") // OpenSSL wants its files named by their hashes
			if (got.status == 0) != c.works || (got.errors == "") != c.works || !folder && (theirs.status == 0) != c.works {
				t.Errorf("%q:\nours   %v\ntheirs %v", args, got, theirs)
			}
		})
	}
}
