package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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

func TestRevocation(t *testing.T) {
	t.Parallel()
	w := mutual(t)
	middle := authority(t, "middle", w.ca)
	twin := authority(t, "root", nil) // the same name with another key
	good, bad := w.ca.leaf(t, "good"), w.ca.leaf(t, "bad")
	below, belowBad := middle.leaf(t, "below"), middle.leaf(t, "below-bad")
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	all := []*issued{good, bad, below, belowBad}
	for name, c := range map[string]struct {
		lists   [][]byte
		refused map[*issued]bool
		text    string
	}{
		"current": {
			[][]byte{w.ca.revoke(t, soon, bad), middle.revoke(t, soon, belowBad)}, map[*issued]bool{bad: true, belowBad: true}, "is revoked",
		},
		"one authority without list": {
			[][]byte{w.ca.revoke(t, soon, bad)}, map[*issued]bool{bad: true, below: true, belowBad: true}, "",
		},
		"expired": {
			[][]byte{w.ca.revoke(t, past, bad), middle.revoke(t, soon)}, map[*issued]bool{good: true, bad: true}, "expired or not yet valid",
		},
		"expired and renewed": {
			[][]byte{w.ca.revoke(t, past), w.ca.revoke(t, soon, bad), middle.revoke(t, soon)}, map[*issued]bool{bad: true}, "is revoked",
		},
		"intermediate revoked": {
			[][]byte{w.ca.revoke(t, soon, middle), middle.revoke(t, soon)}, map[*issued]bool{below: true, belowBad: true}, "",
		},
		"list of nobody": {
			[][]byte{authority(t, "nobody", nil).revoke(t, soon)},
			map[*issued]bool{good: true, bad: true, below: true, belowBad: true},
			"has no revocation list",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.options
			o.CRLFile = write(t, filepath.Join(t.TempDir(), "crl.pem"), c.lists...)
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			for _, who := range all {
				_, _, err := handshake(t, s, w.client(who.pair(middle)))
				if (err != nil) != c.refused[who] {
					t.Errorf("%s: %v", who.cert.Subject, err)
				}
				if who == bad && err != nil && !strings.Contains(err.Error(), c.text) {
					t.Errorf("error %q does not say %q", err, c.text)
				}
			}
		})
	}
	t.Run("signed by an impostor", func(t *testing.T) {
		o := w.options
		o.CRLFile = write(t, filepath.Join(t.TempDir(), "crl.pem"), twin.revoke(t, soon))
		if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "is not signed by that authority") {
			t.Errorf("error: %v", err)
		}
	})
	t.Run("DER", func(t *testing.T) {
		o := w.options
		der := blocks(w.ca.revoke(t, soon, bad), "X509 CRL")[0].Bytes
		o.CRLFile = write(t, filepath.Join(t.TempDir(), "crl.der"), der)
		s, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := handshake(t, s, w.client(bad.pair())); err == nil {
			t.Error("accepted")
		}
		if _, _, err := handshake(t, s, w.client(good.pair())); err != nil {
			t.Error(err)
		}
	})
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
