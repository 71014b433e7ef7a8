package certs

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHandshakeUsesBestGroupAndAnyVersionThatIsAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.ALPN = []string{"mqtt"}
	s := w.open(t)
	client := w.client()
	client.NextProtos = []string{"x", "mqtt"}
	state, _, err := handshake(t, s, client)
	if err != nil {
		t.Fatal(err)
	}
	if state.Version != tls.VersionTLS13 || state.CurveID != tls.X25519MLKEM768 || state.NegotiatedProtocol != "mqtt" || Client(state) != nil {
		t.Errorf("version %x, group %v, protocol %q, client %v", state.Version, state.CurveID, state.NegotiatedProtocol, Client(state))
	}
	client.MaxVersion = tls.VersionTLS12
	if state, _, err = handshake(t, s, client); err != nil || state.Version != tls.VersionTLS12 {
		t.Errorf("TLS 1.2: %x, %v", state.Version, err)
	}
	client.NextProtos = []string{"other"}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client.MaxVersion = version
		if state, _, err := handshake(t, s, client); err != nil || state.NegotiatedProtocol != "" {
			t.Errorf("another protocol alone: %q was chosen, %v", state.NegotiatedProtocol, err)
		}
	}
}

// TestCertificateAloneIsSentWithThoseThatVouchForIt: what clients get is what OpenSSL would send.
func TestCertificateAloneIsSentWithThoseThatVouchForIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := authority(t, "first", w.ca)
	second := authority(t, "second", first)
	old := *second // a certificate of the same authority that is out of date
	old.cert = sign(t, &x509.Certificate{
		SerialNumber: second.cert.SerialNumber, Subject: second.cert.Subject, IsCA: true, BasicConstraintsValid: true,
		NotAfter: time.Now().Add(-time.Hour),
	}, second.key, first).cert
	leaf := second.leaf(t, "leaf")
	folder := filepath.Join(w.dir, "authorities")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "first.pem"), first.pem())
	write(t, filepath.Join(folder, "second.pem"), second.pem())
	w.options.KeyFile = write(t, filepath.Join(w.dir, "leaf.key"), leaf.keyPEM(t))
	alone, file := [][]byte{leaf.pem()}, filepath.Join(w.dir, "authorities.pem")
	for name, c := range map[string]struct {
		certFile, caFile [][]byte
		caPath           string
		want             []*issued // behind the leaf
	}{
		"cafile":                {alone, [][]byte{w.ca.pem(), first.pem(), second.pem()}, "", []*issued{second, first, w.ca}},
		"capath":                {alone, nil, folder, []*issued{second, first}},
		"cafile and capath":     {alone, [][]byte{w.ca.pem()}, folder, []*issued{second, first, w.ca}},
		"one is missing":        {alone, [][]byte{w.ca.pem(), second.pem()}, "", []*issued{second}},
		"an older one":          {alone, [][]byte{old.pem(), second.pem()}, "", []*issued{second}},
		"another root":          {alone, [][]byte{authority(t, "second", nil).pem()}, "", nil},
		"certfile has others":   {[][]byte{leaf.pem(), second.pem()}, [][]byte{first.pem()}, "", []*issued{second}},
		"nobody vouches for it": {alone, nil, "", nil},
	} {
		w.options.CertFile = write(t, filepath.Join(w.dir, "leaf.pem"), c.certFile...)
		w.options.CAFile, w.options.CAPath = "", c.caPath
		if c.caFile != nil {
			w.options.CAFile = write(t, file, c.caFile...)
		}
		client := w.client()
		client.InsecureSkipVerify = true // some chains have a gap
		_, peer, err := handshake(t, w.open(t), client)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := peer.PeerCertificates
		if len(got) != 1+len(c.want) {
			t.Errorf("%s: %d certificates, want %d", name, len(got), 1+len(c.want))
			continue
		}
		for i, cert := range c.want {
			if !got[i+1].Equal(cert.cert) {
				t.Errorf("%s: certificate %d is that of %v", name, i+1, got[i+1].Subject)
			}
		}
	}
}

func TestMinimumVersionRefusesOlder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.MinVersion = "tlsv1.3"
	client := w.client()
	client.MaxVersion = tls.VersionTLS12
	if _, _, err := handshake(t, w.open(t), client); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
}

func TestCiphersAreThoseUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.Ciphers = "ECDHE+AESGCM:!AES256"
	client := w.client()
	client.MaxVersion = tls.VersionTLS12
	state, _, err := handshake(t, w.open(t), client)
	if err != nil || state.CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 {
		t.Errorf("suite %s, %v", tls.CipherSuiteName(state.CipherSuite), err)
	}
	w.options.Ciphers = "ECDHE-RSA-AES128-GCM-SHA256"
	if s := w.open(t); len(s.Warnings()) != 1 || !strings.Contains(s.Warnings()[0].Text, "key (ECDSA)") {
		t.Errorf("a list without a suite for the key: %v", s.Warnings())
	}
}

func TestKeyLogHasTheSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log bytes.Buffer
	w.options.KeyLog = &log
	if _, _, err := handshake(t, w.open(t), w.client()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "CLIENT_TRAFFIC_SECRET_0 ") {
		t.Errorf("key log: %q", log.String())
	}
}

func TestBadFilesAreNamed(t *testing.T) {
	t.Parallel()
	other := newKey(t)
	for name, c := range map[string]struct {
		damage func(t *testing.T, w *world)
		want   []string
	}{
		"certificate missing": {
			func(t *testing.T, w *world) { os.Remove(w.options.CertFile) }, []string{"certfile", "server.pem", "no such file"},
		},
		"certificate empty": {func(t *testing.T, w *world) { write(t, w.options.CertFile) }, []string{"certfile", "server.pem", "empty"}},
		"certificate a folder": {
			func(t *testing.T, w *world) { w.options.CertFile = w.dir }, []string{"certfile", "folder"},
		},
		"certificate garbled": {
			func(t *testing.T, w *world) { write(t, w.options.CertFile, encode("CERTIFICATE", []byte("x"))) },
			[]string{"certfile", "server.pem", "certificate 1"},
		},
		"certificate is DER": {
			func(t *testing.T, w *world) { write(t, w.options.CertFile, w.server.cert.Raw) },
			[]string{"certfile", "DER", "openssl x509"},
		},
		"certificate is the key": {
			func(t *testing.T, w *world) { write(t, w.options.CertFile, w.server.keyPEM(t)) }, []string{"certfile", "private key"},
		},
		"key of another": {
			func(t *testing.T, w *world) { write(t, w.options.KeyFile, (&issued{nil, other}).keyPEM(t)) },
			[]string{"keyfile", "server.key", "does not fit", "server.pem"},
		},
		"key of the authority": {
			func(t *testing.T, w *world) {
				write(t, w.options.CertFile, w.ca.pem(), w.server.pem())
			},
			[]string{"keyfile", "certificate 2", "first"},
		},
		"key is the certificate": {
			func(t *testing.T, w *world) { write(t, w.options.KeyFile, w.server.pem()) }, []string{"keyfile", "holds a certificate"},
		},
		"key garbled": {
			func(t *testing.T, w *world) { write(t, w.options.KeyFile, encode("PRIVATE KEY", []byte("x"))) },
			[]string{"keyfile", "server.key", "cannot be read"},
		},
		"key encrypted": {
			func(t *testing.T, w *world) {
				write(t, w.options.KeyFile, encode("ENCRYPTED PRIVATE KEY", []byte("x")))
			},
			[]string{"keyfile", "server.key", "encrypted", "openssl pkey"},
		},
		"key encrypted in the old way": {
			func(t *testing.T, w *world) {
				write(t, w.options.KeyFile, pem.EncodeToMemory(&pem.Block{
					Type: "RSA PRIVATE KEY", Bytes: []byte("x"), Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"},
				}))
			},
			[]string{"keyfile", "encrypted"},
		},
		"no key option":  {func(t *testing.T, w *world) { w.options.KeyFile = "" }, []string{"keyfile", "want both"}},
		"no cert option": {func(t *testing.T, w *world) { w.options.CertFile = "" }, []string{"certfile", "want both"}},
		"nothing": {
			func(t *testing.T, w *world) { w.options = Options{} }, []string{"needs certfile and keyfile"},
		},
		"authorities without certificate": {
			func(t *testing.T, w *world) { write(t, w.options.CAFile, []byte("# none\n")) }, []string{"cafile", "ca.pem", "no certificate"},
		},
		"folder without certificate": {
			func(t *testing.T, w *world) { w.options.CAFile, w.options.CAPath = "", t.TempDir() }, []string{"capath", "no certificate"},
		},
		"folder missing": {
			func(t *testing.T, w *world) { w.options.CAPath = "/nonexistent" }, []string{"capath", "/nonexistent", "no such file"},
		},
		"no authorities": {
			func(t *testing.T, w *world) { w.options.CAFile, w.options.RequireCertificate = "", true }, []string{"require_certificate needs"},
		},
		"no revocation list": {
			func(t *testing.T, w *world) { w.options.CRLFile = w.options.CAFile }, []string{"crlfile", "no revocation list", "holds a certificate"},
		},
		"old version":     {func(t *testing.T, w *world) { w.options.MinVersion = "tlsv1.1" }, []string{"tlsv1.1", "RFC 8996", "tlsv1.2"}},
		"unknown version": {func(t *testing.T, w *world) { w.options.MinVersion = "tls2" }, []string{"tls2", "tlsv1.3"}},
		"cipher":          {func(t *testing.T, w *world) { w.options.Ciphers = "HIGH:FOO" }, []string{"ciphers", "FOO"}},
		"cipher for 1.3":  {func(t *testing.T, w *world) { w.options.CiphersTLS13 = "TLS_FOO" }, []string{"ciphers_tls1.3", "TLS_FOO"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.damage(t, w)
			_, err := Open(t.Context(), w.options)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestKeysOfAllEncodingsAreRead(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	server := sign(t, w.server.cert, rsaKey, w.ca)
	write(t, w.options.CertFile, server.pem())
	write(t, w.options.KeyFile, encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)))
	if _, _, err := handshake(t, w.open(t), w.client()); err != nil {
		t.Error(err)
	}
	w = newWorld(t)
	der, err := x509.MarshalPKCS8PrivateKey(w.server.key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w.options.KeyFile, encode("EC PARAMETERS", []byte("x")), encode("EC PRIVATE KEY", der)) // PKCS 8 under the wrong name
	if _, _, err := handshake(t, w.open(t), w.client()); err != nil {
		t.Error(err)
	}
}

func TestExpiredServerCertificateIsWarnedAbout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.Now = func() time.Time { return time.Now().Add(1001 * time.Hour) }
	s := w.open(t)
	if len(s.Warnings()) != 2 || !strings.Contains(s.Warnings()[0].String(), "server.pem: the certificate of \"CN=server\" is expired since") {
		t.Errorf("warnings: %v", s.Warnings())
	}
}

func TestCertificatesAreListedWithTheirDates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.CRLFile = write(t, filepath.Join(w.dir, "crl.pem"), w.ca.revoke(t, time.Now().Add(time.Hour)))
	s := w.open(t)
	got := s.Certificates()
	if len(got) != 3 || got[0].Use != Server || got[1].Use != Authority || got[2].Use != Revocations {
		t.Fatalf("certificates: %+v", got)
	}
	if got[0].Subject != "CN=server" || got[0].Issuer != "CN=root" || !got[0].NotAfter.Equal(w.server.cert.NotAfter) ||
		got[0].File != w.options.CertFile || got[0].DNSNames[0] != "localhost" || got[0].Fingerprint != Fingerprint(w.server.cert) {
		t.Errorf("server: %+v", got[0])
	}
	if e := s.Expiring(time.Now(), 24*time.Hour); len(e) != 1 || e[0].Use != Revocations {
		t.Errorf("within a day: %+v", e)
	}
	if e := s.Expiring(time.Now().Add(300*time.Hour), MonthAhead); len(e) != 3 {
		t.Errorf("within a month: %+v", e)
	}
}

func TestReloadTakesNewFilesForNewConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.open(t)
	next := w.ca.leaf(t, "next")
	write(t, w.options.CertFile, next.pem())
	if err := s.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("reload with half of the files: %v", err)
	}
	if _, peer, err := handshake(t, s, w.client()); err != nil || peer.PeerCertificates[0].Subject.CommonName != "server" {
		t.Errorf("after a failed reload: %v", err)
	}
	write(t, w.options.KeyFile, next.keyPEM(t))
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, peer, err := handshake(t, s, w.client()); err != nil || peer.PeerCertificates[0].Subject.CommonName != "next" {
		t.Errorf("after a reload: %v", err)
	}
	if s.Certificates()[0].Subject != "CN=next" {
		t.Errorf("certificates: %+v", s.Certificates())
	}
}

func TestReloadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Reload(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("reload: %v", err)
	}
}

func TestSessionsAreResumedAcrossReload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.open(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := w.client()
		client.MaxVersion = version
		client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		if _, _, err := handshake(t, s, client); err != nil {
			t.Fatal(err)
		}
		if err := s.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if state, _, err := handshake(t, s, client); err != nil || !state.DidResume {
			t.Errorf("version %x: resumed %v, %v", version, state.DidResume, err)
		}
	}
}
