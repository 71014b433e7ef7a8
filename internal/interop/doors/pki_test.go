//go:build unix

package doors

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

var serials atomic.Int64

// certificate is one with its key, and the files that have them.
type certificate struct {
	t         *testing.T
	x509      *x509.Certificate
	key       *ecdsa.PrivateKey
	file, pem string // paths: of the certificate, and of its key
}

// issue makes a certificate and writes DIR/NAME.crt and NAME.key, followed by those above it in the chain. A nil parent is itself.
func issue(t *testing.T, dir, name string, parent *certificate, change ...func(*x509.Certificate)) *certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1000 + serials.Add(1)), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
	}
	for _, f := range change {
		f(template)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := &certificate{x509: template, key: key}
	if parent != nil {
		signer = parent
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.x509, key.Public(), signer.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c := &certificate{t: t, key: key, file: filepath.Join(dir, name+".crt"), pem: filepath.Join(dir, name+".key")}
	if c.x509, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writeFile(t, c.file, encode("CERTIFICATE", der))
	writeFile(t, c.pem, encode("PRIVATE KEY", secret))
	return c
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// text is the certificate in PEM.
func (c *certificate) text() []byte { return encode("CERTIFICATE", c.x509.Raw) }

// keyText is the key in PEM.
func (c *certificate) keyText() []byte {
	c.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	return encode("PRIVATE KEY", der)
}

// chain writes a file with the certificate and those above it.
func (c *certificate) chain(above ...*certificate) string {
	c.t.Helper()
	all := [][]byte{c.text()}
	for _, a := range above {
		all = append(all, a.text())
	}
	return writeFile(c.t, c.file+".chain", bytes.Join(all, nil))
}

// flags are what mosquitto_pub needs to show it.
func (c *certificate) flags() []string { return []string{"--cert", c.file, "--key", c.pem} }

// revoke writes a list of revoked certificates.
func (c *certificate) revoke(path string, revoked ...*certificate) string {
	c.t.Helper()
	list := &x509.RevocationList{
		Number: big.NewInt(serials.Add(1)), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour),
	}
	for _, r := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: r.x509.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, c.x509, c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	return writeFile(c.t, path, encode("X509 CRL", der))
}

func isAuthority(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
}

func forServer(c *x509.Certificate) {
	c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
}

func expired(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }

func notYet(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }

// pki is what most tests need.
type pki struct {
	dir            string
	ca, stranger   *certificate
	server, client *certificate
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{dir: t.TempDir()}
	p.ca = issue(t, p.dir, "ca", nil, isAuthority)
	p.stranger = issue(t, p.dir, "stranger", nil, isAuthority)
	p.server = issue(t, p.dir, "server", p.ca, forServer)
	p.client = issue(t, p.dir, "client", p.ca)
	return p
}

// listen are the lines of a listener with TLS.
func (p *pki) listen(port int, more ...string) []string {
	return append([]string{listen(port), "allow_anonymous true", "certfile " + p.server.file, "keyfile " + p.server.pem, "cafile " + p.ca.file}, more...)
}

// trust are mosquitto_pub's flags to trust the authority.
func (p *pki) trust() []string { return []string{"--cafile", p.ca.file} }

// dialTLS connects to a port of this machine with crypto/tls.
func (p *pki) dialTLS(t *testing.T, port int, change ...func(*tls.Config)) *tls.Conn {
	t.Helper()
	config := p.clientConfig()
	for _, f := range change {
		f(config)
	}
	c := tls.Client(dial(t, port), config)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

// clientConfig trusts the authority.
func (p *pki) clientConfig() *tls.Config {
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	c.RootCAs.AddCert(p.ca.x509)
	return c
}
