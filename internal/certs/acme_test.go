package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const domain = "mqtt.example.org"

// acmeServer is an authority that speaks as much of RFC 8555 as one order needs. It does not check the signatures of requests.
type acmeServer struct {
	t      *testing.T
	ca     *issued
	http   *httptest.Server
	target string // where the domain is; checked there by tls-alpn-01

	mu     sync.Mutex
	key    string // the thumbprint of the account's key (RFC 7638)
	proven bool
	leaf   []byte
	orders int
}

const challengeToken = "token"

func newACMEServer(t *testing.T) *acmeServer {
	t.Helper()
	a := &acmeServer{t: t, ca: authority(t, "acme", nil)}
	mux := http.NewServeMux()
	mux.HandleFunc("/directory", func(w http.ResponseWriter, _ *http.Request) {
		a.answer(w, http.StatusOK, map[string]string{
			"newNonce": a.http.URL + "/nonce", "newAccount": a.http.URL + "/account", "newOrder": a.http.URL + "/order",
		})
	})
	mux.HandleFunc("/nonce", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Replay-Nonce", "n") })
	mux.HandleFunc("/account", a.account)
	mux.HandleFunc("/order", func(w http.ResponseWriter, _ *http.Request) {
		a.orders++
		a.order(w, http.StatusCreated)
	})
	mux.HandleFunc("/order/1", func(w http.ResponseWriter, _ *http.Request) { a.order(w, http.StatusOK) })
	mux.HandleFunc("/authorization", func(w http.ResponseWriter, _ *http.Request) {
		a.answer(w, http.StatusOK, map[string]any{
			"status": a.status("pending", "valid"), "identifier": map[string]string{"type": "dns", "value": domain},
			"challenges": []any{a.challenge()},
		})
	})
	mux.HandleFunc("/challenge", func(w http.ResponseWriter, _ *http.Request) {
		if err := a.check(); err != nil {
			t.Errorf("challenge: %v", err)
		}
		a.answer(w, http.StatusOK, a.challenge())
	})
	mux.HandleFunc("/finalize", a.finalize)
	mux.HandleFunc("/certificate", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Replay-Nonce", "n")
		_, _ = w.Write(append(a.leaf, a.ca.pem()...))
	})
	a.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(a.http.Close)
	return a
}

func (a *acmeServer) status(before, after string) string {
	if a.proven {
		return after
	}
	return before
}

func (a *acmeServer) challenge() map[string]string {
	return map[string]string{
		"type": "tls-alpn-01", "url": a.http.URL + "/challenge", "token": challengeToken, "status": a.status("pending", "valid"),
	}
}

func (a *acmeServer) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Replay-Nonce", "n")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (a *acmeServer) order(w http.ResponseWriter, status int) {
	o := map[string]any{
		"status": a.status("pending", "ready"), "authorizations": []string{a.http.URL + "/authorization"}, "finalize": a.http.URL + "/finalize",
		"identifiers": []any{map[string]string{"type": "dns", "value": domain}},
	}
	if a.leaf != nil {
		o["status"], o["certificate"] = "valid", a.http.URL+"/certificate"
	}
	w.Header().Set("Location", a.http.URL+"/order/1")
	a.answer(w, status, o)
}

// part decodes one part of a signed request.
func part(r *http.Request, field string, into any) error {
	var signed map[string]string
	if err := json.NewDecoder(r.Body).Decode(&signed); err != nil {
		return err
	}
	b, err := base64.RawURLEncoding.DecodeString(signed[field])
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

func (a *acmeServer) account(w http.ResponseWriter, r *http.Request) {
	var head struct {
		JWK struct{ Crv, Kty, X, Y string }
	}
	if err := part(r, "protected", &head); err != nil {
		a.t.Errorf("account: %v", err)
	}
	k := head.JWK
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":%q,"kty":%q,"x":%q,"y":%q}`, k.Crv, k.Kty, k.X, k.Y))
	a.key = base64.RawURLEncoding.EncodeToString(sum[:])
	w.Header().Set("Location", a.http.URL+"/account/1")
	a.answer(w, http.StatusCreated, map[string]string{"status": "valid"})
}

// check looks whether the target answers for the domain (RFC 8737, 3).
func (a *acmeServer) check() error {
	c, err := tls.Dial("tcp", a.target, &tls.Config{ServerName: domain, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer c.Close()
	state := c.ConnectionState()
	want := sha256.Sum256([]byte(challengeToken + "." + a.key))
	for _, e := range state.PeerCertificates[0].Extensions {
		var got []byte
		if !e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) {
			continue
		}
		if _, err := asn1.Unmarshal(e.Value, &got); err != nil || !bytes.Equal(got, want[:]) {
			return fmt.Errorf("wrong answer %x, %w", got, err)
		}
		if state.NegotiatedProtocol != "acme-tls/1" {
			return fmt.Errorf("protocol %q", state.NegotiatedProtocol)
		}
		a.proven = true
		return nil
	}
	return errors.New("no answer")
}

func (a *acmeServer) finalize(w http.ResponseWriter, r *http.Request) {
	var body struct{ CSR string }
	if err := part(r, "payload", &body); err != nil {
		a.t.Errorf("finalize: %v", err)
	}
	der, err := base64.RawURLEncoding.DecodeString(body.CSR)
	if err != nil {
		a.t.Errorf("finalize: %v", err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		a.t.Errorf("finalize: %v", err)
		return
	}
	c := template(domain)
	c.DNSNames, c.ExtKeyUsage = csr.DNSNames, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if der, err = x509.CreateCertificate(rand.Reader, c, a.ca.cert, csr.PublicKey, a.ca.key); err != nil {
		a.t.Errorf("finalize: %v", err)
	}
	a.leaf = encode("CERTIFICATE", der)
	a.order(w, http.StatusOK)
}

// serve answers handshakes under s until the test ends.
func serve(t *testing.T, s *Source) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(patience))
				_, _ = io.Copy(io.Discard, tls.Server(nc, s.Config()))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func TestACMEObtainsACertificate(t *testing.T) {
	t.Parallel()
	a := newACMEServer(t)
	ca := authority(t, "root", nil)
	cache := filepath.Join(t.TempDir(), "acme")
	s, err := Open(t.Context(), Options{
		RequireCertificate: true, CAFile: write(t, filepath.Join(t.TempDir(), "ca.pem"), ca.pem()), ALPN: []string{"mqtt"},
		ACME: &ACME{Domains: []string{domain}, Email: "ops@example.org", CacheDir: cache, DirectoryURL: a.http.URL + "/directory"},
	})
	if err != nil {
		t.Fatal(err)
	}
	a.target = serve(t, s)
	pool := x509.NewCertPool()
	pool.AddCert(a.ca.cert)
	client := &tls.Config{RootCAs: pool, ServerName: domain, Certificates: []tls.Certificate{ca.leaf(t, "device").pair()}}
	for i := range 2 { // the first obtains the certificate
		c, err := tls.Dial("tcp", a.target, client)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		c.Close()
		if err := s.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// a client that was given an address names no server, or the address (crypto/tls itself never does)
	address := &tls.ClientHelloInfo{
		ServerName: "127.0.0.1", SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	}
	if _, err := s.acme.certificate(address); err != nil {
		t.Errorf("an address as the server's name: %v", err)
	}
	c, err := tls.Dial("tcp", a.target, &tls.Config{InsecureSkipVerify: true, Certificates: client.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.ConnectionState().PeerCertificates[0].DNSNames; len(got) != 1 || got[0] != domain {
		t.Errorf("certificate for %q", got)
	}
	c.Close()
	if a.orders != 1 {
		t.Errorf("%d orders", a.orders)
	}
	if kept, err := os.ReadDir(cache); err != nil || len(kept) < 2 {
		t.Errorf("kept: %v, %v", kept, err)
	}
	// whoever feigns a check, without a certificate, gets nowhere
	feigned := &tls.Config{ServerName: domain, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true}
	if c, err := tls.Dial("tcp", a.target, feigned); err == nil {
		t.Errorf("a check that nobody waits for was answered: %+v", c.ConnectionState())
	}
}

func TestACMEOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	for want, acme := range map[string]*ACME{
		"at least one domain": {CacheDir: dir},
		"needs a folder":      {Domains: []string{domain}},
		`"*.example.org"`:     {Domains: []string{"*.example.org"}, CacheDir: dir},
		`"localhost"`:         {Domains: []string{"localhost"}, CacheDir: dir},
	} {
		if _, err := Open(t.Context(), Options{ACME: acme}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", acme, err)
		}
	}
	w.options.ACME = &ACME{Domains: []string{domain}, CacheDir: dir}
	if _, err := Open(t.Context(), w.options); err == nil || !strings.Contains(err.Error(), "want one of them") {
		t.Errorf("with certfile: %v", err)
	}
}
