package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

var serials atomic.Int64

// issued is a certificate with its key.
type issued struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1000 + serials.Add(1)), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
	}
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, c *x509.Certificate, key crypto.Signer, parent *issued) *issued {
	t.Helper()
	if parent == nil {
		parent = &issued{c, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent.cert, key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{parsed, key}
}

// authority makes an authority below parent, or one of its own if that is nil.
func authority(t *testing.T, name string, parent *issued, change ...func(*x509.Certificate)) *issued {
	t.Helper()
	c := template(name)
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	for _, f := range change {
		f(c)
	}
	return sign(t, c, newKey(t), parent)
}

// leaf makes a certificate for a server named localhost, or a client.
func (a *issued) leaf(t *testing.T, name string, change ...func(*x509.Certificate)) *issued {
	t.Helper()
	c := template(name)
	c.DNSNames = []string{"localhost"}
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, f := range change {
		f(c)
	}
	return sign(t, c, newKey(t), a)
}

// revoke makes a revocation list.
func (a *issued) revoke(t *testing.T, nextUpdate time.Time, revoked ...*issued) []byte {
	t.Helper()
	list := &x509.RevocationList{
		Number: big.NewInt(serials.Add(1)), ThisUpdate: time.Now().Add(-2 * time.Hour), NextUpdate: nextUpdate,
	}
	for _, r := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: r.cert.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("X509 CRL", der)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (a *issued) pem() []byte { return encode("CERTIFICATE", a.cert.Raw) }

func (a *issued) keyPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("PRIVATE KEY", der)
}

func (a *issued) pair(above ...*issued) tls.Certificate {
	out := tls.Certificate{Certificate: [][]byte{a.cert.Raw}, PrivateKey: a.key}
	for _, c := range above {
		out.Certificate = append(out.Certificate, c.cert.Raw)
	}
	return out
}

func write(t *testing.T, file string, content ...[]byte) string {
	t.Helper()
	if err := os.WriteFile(file, bytes.Join(content, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// world is a folder with a server's files and the authority behind them.
type world struct {
	dir     string
	ca      *issued
	server  *issued
	options Options
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), ca: authority(t, "root", nil)}
	w.server = w.ca.leaf(t, "server")
	w.options = Options{
		CertFile: write(t, filepath.Join(w.dir, "server.pem"), w.server.pem()),
		KeyFile:  write(t, filepath.Join(w.dir, "server.key"), w.server.keyPEM(t)),
		CAFile:   write(t, filepath.Join(w.dir, "ca.pem"), w.ca.pem()),
	}
	return w
}

func (w *world) open(t *testing.T) *Source {
	t.Helper()
	s, err := Open(t.Context(), w.options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) client(shown ...tls.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(w.ca.cert)
	return &tls.Config{RootCAs: pool, ServerName: "localhost", Certificates: shown}
}

// handshake connects a client with a server under s; a byte goes each way. The error is the server's, if it has one.
func handshake(t *testing.T, s *Source, client *tls.Config) (server, peer tls.ConnectionState, err error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	deadline := time.Now().Add(20 * time.Second)
	_, _ = a.SetDeadline(deadline), b.SetDeadline(deadline)
	clientErr := make(chan error, 1)
	c := tls.Client(b, client)
	go func() {
		_, err := c.Write([]byte("q"))
		if err == nil {
			_, err = io.ReadFull(c, make([]byte, 1))
		}
		clientErr <- err
		b.Close()
	}()
	conn := tls.Server(a, s.Config())
	_, err = io.ReadFull(conn, make([]byte, 1))
	if err == nil {
		_, err = conn.Write([]byte("a"))
	}
	a.Close()
	if cerr := <-clientErr; err == nil {
		err = cerr
	}
	return conn.ConnectionState(), c.ConnectionState(), err
}
