package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

func mutual(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.options.RequireCertificate = true
	return w
}

func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-1000*time.Hour), time.Now().Add(-time.Hour)
}

func TestClientCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	w := mutual(t)
	foreign := authority(t, "root", nil)
	middle := authority(t, "middle", w.ca)
	s := w.open(t)
	w.options.DisableClientDateChecks = true
	lenient := w.open(t)
	for name, c := range map[string]struct {
		shown         []tls.Certificate
		good, undated bool
	}{
		"good":            {[]tls.Certificate{w.ca.leaf(t, "device").pair()}, true, true},
		"none":            {nil, false, false},
		"other authority": {[]tls.Certificate{foreign.leaf(t, "device").pair()}, false, false},
		"intermediate":    {[]tls.Certificate{middle.leaf(t, "device").pair(middle)}, true, true},
		"without it":      {[]tls.Certificate{middle.leaf(t, "device").pair()}, false, false},
		"expired":         {[]tls.Certificate{w.ca.leaf(t, "device", expired).pair()}, false, true},
		"too early": {[]tls.Certificate{w.ca.leaf(t, "device", func(c *x509.Certificate) {
			c.NotBefore = time.Now().Add(time.Hour)
		}).pair()}, false, true},
		"server's": {[]tls.Certificate{w.ca.leaf(t, "device", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}).pair()}, false, false},
		"no usage": {[]tls.Certificate{w.ca.leaf(t, "device", func(c *x509.Certificate) { c.ExtKeyUsage = nil }).pair()}, true, true},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			client := w.client()
			client.MaxVersion = version
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(c.shown) == 0 {
					return &tls.Certificate{}, nil
				}
				return &c.shown[0], nil
			}
			state, _, err := handshake(t, s, client)
			if (err == nil) != c.good {
				t.Errorf("%s, %x: %v", name, version, err)
			}
			if c.good && (Client(state) == nil || Client(state).Subject.CommonName != "device") {
				t.Errorf("%s, %x: client is %v", name, version, Client(state))
			}
			if _, _, err := handshake(t, lenient, client); (err == nil) != c.undated {
				t.Errorf("%s, %x, without dates: %v", name, version, err)
			}
		}
	}
}

func TestDatesOfAuthoritiesDoNotCountEither(t *testing.T) {
	t.Parallel()
	w := mutual(t)
	old := authority(t, "old", nil, expired)
	device := old.leaf(t, "device", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour) // never valid together with its authority
	})
	write(t, w.options.CAFile, w.ca.pem(), old.pem())
	if _, _, err := handshake(t, w.open(t), w.client(device.pair())); err == nil {
		t.Error("accepted with dates")
	}
	w.options.DisableClientDateChecks = true
	if _, _, err := handshake(t, w.open(t), w.client(device.pair())); err != nil {
		t.Error(err)
	}
}

func TestFolderOfAuthorities(t *testing.T) {
	t.Parallel()
	w := mutual(t)
	folder := t.TempDir()
	w.options.CAFile, w.options.CAPath = "", folder
	second := authority(t, "second", nil)
	write(t, filepath.Join(folder, "first.crt"), w.ca.pem())
	hidden := t.TempDir()
	if err := os.Symlink(write(t, filepath.Join(hidden, "x"), second.pem()), filepath.Join(folder, "0123abcd.0")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(folder, "first.crt"), filepath.Join(folder, "11111111.0")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "README"), []byte("no certificate"))
	write(t, filepath.Join(folder, "broken.pem"), []byte("no certificate"))
	s := w.open(t)
	for _, a := range []*issued{w.ca, second} {
		if _, _, err := handshake(t, s, w.client(a.leaf(t, "device").pair())); err != nil {
			t.Errorf("%s: %v", a.cert.Subject, err)
		}
	}
	if len(s.Warnings()) != 1 || !strings.HasPrefix(s.Warnings()[0].String(), "capath "+folder+"/broken.pem: no certificate") {
		t.Errorf("warnings: %v", s.Warnings())
	}
	if n := len(s.Certificates()); n != 3 {
		t.Errorf("%d certificates, want each once", n)
	}
}

// revocations are clients of two authorities, and what becomes of them under different crlfiles.
type revocations struct {
	*world
	middle                     *issued
	good, bad, below, belowBad *issued
	cases                      map[string]revocationCase
}

type revocationCase struct {
	lists   [][]byte
	refused map[*issued]bool
	text    string // of the error of bad
	alone   bool   // OpenSSL does it in another way
}

func newRevocations(t *testing.T) *revocations {
	t.Helper()
	w := mutual(t)
	r := &revocations{world: w, middle: authority(t, "middle", w.ca), good: w.ca.leaf(t, "good"), bad: w.ca.leaf(t, "bad")}
	r.below, r.belowBad = r.middle.leaf(t, "below"), r.middle.leaf(t, "below-bad")
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	r.cases = map[string]revocationCase{
		"current": {
			lists:   [][]byte{w.ca.revoke(t, soon, r.bad), r.middle.revoke(t, soon, r.belowBad)},
			refused: map[*issued]bool{r.bad: true, r.belowBad: true}, text: "is revoked",
		},
		"one authority without list": {
			lists:   [][]byte{w.ca.revoke(t, soon, r.bad)},
			refused: map[*issued]bool{r.bad: true, r.below: true, r.belowBad: true},
		},
		"expired": {
			lists:   [][]byte{w.ca.revoke(t, past, r.bad), r.middle.revoke(t, soon)},
			refused: map[*issued]bool{r.good: true, r.bad: true}, text: "expired or not yet valid",
		},
		"expired and renewed": {
			lists:   [][]byte{w.ca.revoke(t, past), w.ca.revoke(t, soon, r.bad), r.middle.revoke(t, soon)},
			refused: map[*issued]bool{r.bad: true}, text: "is revoked",
		},
		"intermediate revoked": {
			lists:   [][]byte{w.ca.revoke(t, soon, r.middle), r.middle.revoke(t, soon)},
			refused: map[*issued]bool{r.below: true, r.belowBad: true}, alone: true,
		},
		"list of nobody": {
			lists:   [][]byte{authority(t, "nobody", nil).revoke(t, soon)},
			refused: map[*issued]bool{r.good: true, r.bad: true, r.below: true, r.belowBad: true}, text: "has no revocation list",
		},
	}
	return r
}

func (r *revocations) all() []*issued { return []*issued{r.good, r.bad, r.below, r.belowBad} }

// What is expected here is what OpenSSL does when only the client's certificate is checked.
func TestRevocationIsAsInOpenSSL(t *testing.T) {
	t.Parallel()
	openssl := testenv.Program(t, "openssl", "openssl")
	r := newRevocations(t)
	middle := write(t, filepath.Join(r.dir, "middle.pem"), r.middle.pem())
	for name, c := range r.cases {
		if c.alone {
			continue
		}
		lists := write(t, filepath.Join(r.dir, "lists.pem"), c.lists...)
		for _, who := range r.all() {
			cmd := exec.Command(openssl, "verify", "-crl_check", "-CAfile", r.options.CAFile, "-CRLfile", lists, "-untrusted", middle,
				"-purpose", "sslclient", write(t, filepath.Join(r.dir, "leaf.pem"), who.pem()))
			out, err := cmd.CombinedOutput()
			if (err != nil) != c.refused[who] {
				t.Errorf("%s, %s: %v: %s", name, who.cert.Subject, err, out)
			}
		}
	}
}

func TestRevocationListsRefuseWhoIsListed(t *testing.T) {
	t.Parallel()
	w := newRevocations(t)
	soon := time.Now().Add(time.Hour)
	for name, c := range w.cases {
		t.Run(name, func(t *testing.T) {
			o := w.options
			o.CRLFile = write(t, filepath.Join(t.TempDir(), "crl.pem"), c.lists...)
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			for _, who := range w.all() {
				_, _, err := handshake(t, s, w.client(who.pair(w.middle)))
				if (err != nil) != c.refused[who] {
					t.Errorf("%s: %v", who.cert.Subject, err)
				}
				if who == w.bad && err != nil && !strings.Contains(err.Error(), c.text) {
					t.Errorf("error %q does not say %q", err, c.text)
				}
			}
		})
	}
	t.Run("signed by an impostor", func(t *testing.T) {
		o := w.options
		o.CRLFile = write(t, filepath.Join(t.TempDir(), "crl.pem"), authority(t, "root", nil).revoke(t, soon)) // the same name with another key
		if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "is not signed by that authority") {
			t.Errorf("error: %v", err)
		}
	})
	t.Run("DER", func(t *testing.T) {
		o := w.options
		der := blocks(w.ca.revoke(t, soon, w.bad), "X509 CRL")[0].Bytes
		o.CRLFile = write(t, filepath.Join(t.TempDir(), "crl.der"), der)
		s, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := handshake(t, s, w.client(w.bad.pair())); err == nil {
			t.Error("accepted")
		}
		if _, _, err := handshake(t, s, w.client(w.good.pair())); err != nil {
			t.Error(err)
		}
	})
}

// A list that is silent about some certificates says nothing about them.
func TestListsOfNarrowScopeAreRefused(t *testing.T) {
	t.Parallel()
	w := mutual(t)
	for what, c := range map[string]struct {
		extension pkix.Extension
		want      string // "": it is taken
	}{
		"delta":              {pkix.Extension{Id: oidDelta, Critical: true, Value: []byte{2, 1, 1}}, "delta list"},
		"authorities only":   {pkix.Extension{Id: oidDistribution, Critical: true, Value: []byte{0x30, 3, 0x82, 1, 0xff}}, "complete"},
		"indirect":           {pkix.Extension{Id: oidDistribution, Critical: true, Value: []byte{0x30, 3, 0x84, 1, 0xff}}, "complete"},
		"clients only":       {pkix.Extension{Id: oidDistribution, Critical: true, Value: []byte{0x30, 3, 0x81, 1, 0xff}}, ""},
		"unknown":            {pkix.Extension{Id: []int{1, 2, 3}, Critical: true, Value: []byte{5, 0}}, "1.2.3"},
		"unknown, it may be": {pkix.Extension{Id: []int{1, 2, 3}, Value: []byte{5, 0}}, ""},
	} {
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour), ExtraExtensions: []pkix.Extension{c.extension},
		}, w.ca.cert, w.ca.key)
		if err != nil {
			t.Fatal(err)
		}
		w.options.CRLFile = write(t, filepath.Join(w.dir, "crl.pem"), encode("X509 CRL", der))
		_, err = Open(t.Context(), w.options)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestExpiredListIsWarnedAbout(t *testing.T) {
	t.Parallel()
	w := mutual(t)
	w.options.CRLFile = write(t, filepath.Join(w.dir, "crl.pem"), w.ca.revoke(t, time.Now().Add(-time.Hour)))
	s := w.open(t)
	if len(s.Warnings()) != 1 || !strings.Contains(s.Warnings()[0].Text, "its clients are refused") {
		t.Errorf("warnings: %v", s.Warnings())
	}
}

// A client that resumes shows no certificate, so what has changed since its first handshake must count.
func TestResumedSessionIsVerifiedAnew(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, undated := range []bool{false, true} {
			w := mutual(t)
			w.options.DisableClientDateChecks = undated
			w.options.CRLFile = write(t, filepath.Join(w.dir, "crl.pem"), w.ca.revoke(t, time.Now().Add(time.Hour)))
			s := w.open(t)
			device := w.ca.leaf(t, "device")
			client := w.client(device.pair())
			client.MaxVersion = version
			client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for i := range 2 {
				state, _, err := handshake(t, s, client)
				if err != nil || state.DidResume != (i > 0) || Client(state) == nil {
					t.Fatalf("%x, handshake %d: resumed %v, %v", version, i, state.DidResume, err)
				}
			}
			write(t, w.options.CRLFile, w.ca.revoke(t, time.Now().Add(time.Hour), device))
			if err := s.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, _, err := handshake(t, s, client); err == nil || !strings.Contains(err.Error(), "revoked") {
				t.Errorf("%x: resumed though revoked: %v", version, err)
			}
			write(t, w.options.CRLFile, w.ca.revoke(t, time.Now().Add(time.Hour)))
			write(t, w.options.CAFile, authority(t, "new", nil).pem())
			if err := s.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, _, err := handshake(t, s, client); err == nil {
				t.Errorf("%x: accepted though its authority is gone", version)
			}
		}
	}
}

func TestClientsAreToldTheAuthorities(t *testing.T) {
	t.Parallel()
	w := mutual(t)
	client := w.client()
	told := false
	device := w.ca.leaf(t, "device").pair()
	client.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		told = len(r.AcceptableCAs) == 1 && bytes.Equal(r.AcceptableCAs[0], w.ca.cert.RawSubject)
		return &device, nil
	}
	if _, _, err := handshake(t, w.open(t), client); err != nil || !told {
		t.Errorf("told %v, %v", told, err)
	}
}
