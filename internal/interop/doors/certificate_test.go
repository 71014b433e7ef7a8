//go:build unix

package doors

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/testenv"
)

func TestClientCertificatesAreAcceptedOrRefused(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	p := newPKI(t)
	between := issue(t, p.dir, "between", p.ca, isAuthority)
	below := issue(t, p.dir, "below", between)
	below.file = below.chain(between)
	revoked := issue(t, p.dir, "revoked", p.ca)
	crl := p.ca.revoke(filepath.Join(p.dir, "crl"), revoked)
	strict, lax, lists, undated := testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t)
	b := startBroker(t, slices.Concat(p.listen(strict, "require_certificate true"), p.listen(lax),
		p.listen(lists, "require_certificate true", "crlfile "+crl),
		p.listen(undated, "require_certificate true", "disable_client_cert_date_checks true"))...)
	good := p.client
	old, young := issue(t, p.dir, "old", p.ca, expired), issue(t, p.dir, "young", p.ca, notYet)
	foreign := issue(t, p.dir, "foreign", p.stranger)
	forServers := issue(t, p.dir, "servers", p.ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	for _, c := range []struct {
		name    string
		port    int
		shows   *certificate
		refusal string // part of the line in the log; "": the client is let in
	}{
		{"good", strict, good, ""},
		{"by an intermediate authority", strict, below, ""},
		{"none", strict, nil, "client didn't provide a certificate"},
		{"none, and none is asked for", lax, nil, ""},
		{"not asked for", lax, foreign, ""},
		{"expired", strict, old, "certificate has expired or is not yet valid: current time .* is after"},
		{"not yet valid", strict, young, "certificate has expired or is not yet valid: current time .* is before"},
		{"of another authority", strict, foreign, "certificate signed by unknown authority"},
		{"for servers", strict, forServers, "incompatible key usage"},
		{"not on the list", lists, good, ""},
		{"revoked", lists, revoked, "is revoked|was revoked|revoked"},
		{"revoked, and no list", strict, revoked, ""},
		{"expired, and dates do not count", undated, old, ""},
		{"not yet valid, and dates do not count", undated, young, ""},
		{"of another authority, and dates do not count", undated, foreign, "unknown authority"},
	} {
		for _, version := range []string{"tlsv1.2", "tlsv1.3"} {
			tools := mosquitto(t, c.port, p.trust()...).atMost(version)
			if c.shows != nil {
				tools = tools.with(c.shows.flags()...)
			}
			mark := b.Mark()
			if o := tools.publish("t", "m"); (o.status == 0) != (c.refusal == "") {
				t.Errorf("%s, %s: status %d: %s", c.name, version, o.status, o.output)
			}
			if c.refusal != "" {
				b.awaitFrom(mark, `^Client <unknown> disconnected: TLS handshake: .*(`+c.refusal+`).* \(127.0.0.1\)\.$`)
			}
		}
	}
}

// A certificate that is revoked while its owner has a session of TLS does not come in by the session.
func TestARevokedCertificateIsNotResumed(t *testing.T) {
	t.Parallel()
	testenv.Program(t, "openssl", "openssl")
	p := newPKI(t)
	port, crl, session := testenv.FreePort(t), filepath.Join(p.dir, "crl"), filepath.Join(p.dir, "session")
	p.ca.revoke(crl)
	b := startBroker(t, p.listen(port, "require_certificate true", "crlfile "+crl)...)
	args := []string{"-tls1_2", "-CAfile", p.ca.file, "-cert", p.client.file, "-key", p.client.pem}
	sClient(t, port, "", append(args, "-sess_out", session)...)
	if o := sClient(t, port, "", append(args, "-sess_in", session)...); !strings.Contains(o.output, "Reused, TLSv1.2") {
		t.Fatal(o.output)
	}
	mark := b.Mark()
	p.ca.revoke(crl, p.client)
	b.awaitFrom(mark, "new files of TLS are in force")
	mark = b.Mark()
	sClient(t, port, "", append(args, "-sess_in", session)...)
	b.awaitFrom(mark, "Client <unknown> disconnected: TLS handshake: .*revoked")
}

// The certificate says who the client is, and the ACL file what that one may.
func TestCertificatesNameTheUser(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	p := newPKI(t)
	device := issue(t, p.dir, "device", p.ca, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "device 7", OrganizationalUnit: []string{"Floor+1"}, Organization: []string{"Plant, Inc."}, Country: []string{"FI"}}
	})
	nameless := issue(t, p.dir, "nameless", p.ca, func(c *x509.Certificate) { c.Subject = pkix.Name{Organization: []string{"Plant"}} })
	subject := `CN=device 7,OU=Floor\+1,O=Plant\, Inc.,C=FI`
	acl := writeFile(t, filepath.Join(p.dir, "acl"), []byte("user device 7\ntopic readwrite by/name/#\n\nuser "+subject+"\ntopic readwrite by/subject/#\n"))
	byName, bySubject := testenv.FreePort(t), testenv.FreePort(t)
	b := startBroker(t, slices.Concat(p.listen(byName, "require_certificate true", "use_identity_as_username true"),
		p.listen(bySubject, "require_certificate true", "use_subject_as_username true"), []string{"acl_file " + acl})...)
	for port, own := range map[int]string{byName: "by/name/t", bySubject: "by/subject/t"} {
		tools := mosquitto(t, port, p.trust()...).with(device.flags()...).with("-V", "mqttv5", "-u", "somebody else")
		sub := tools.subscribe(own)
		for _, topic := range []string{"by/name/t", "by/subject/t"} {
			o := tools.publish(topic, "hello")
			if denied := strings.Contains(o.output, "Not authorized"); denied == (topic == own) {
				t.Errorf("publish to %s: %q", topic, o.output)
			}
		}
		if got := sub.await("MSG"); got != "MSG "+own+" hello" {
			t.Errorf("%q", got)
		}
		sub.Kill()
	}
	b.await(`New client connected from .* \(p5, c1, k60, u'device 7'\)\.$`)
	b.await(`New client connected from .* \(p5, c1, k60, u'CN=device 7,OU=Floor\\\+1,O=Plant\\, Inc.,C=FI'\)\.$`)
	mark := b.Mark()
	if o := mosquitto(t, byName, p.trust()...).with(nameless.flags()...).publish("by/name/t", "m"); o.status != 4 && o.status != 5 {
		t.Errorf("without a common name: status %d: %s", o.status, o.output)
	}
	b.awaitFrom(mark, "not authorised")
}

// The rights of who may come in change with a reload; the certificate of the authority is another one.
func TestAuthoritiesFollowTheirFile(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	p := newPKI(t)
	port, authorities := testenv.FreePort(t), filepath.Join(p.dir, "authorities")
	writeFile(t, authorities, p.ca.text())
	foreign := issue(t, p.dir, "foreign", p.stranger)
	b := startBroker(t, listen(port), "allow_anonymous true", "certfile "+p.server.file, "keyfile "+p.server.pem, "cafile "+authorities, "require_certificate true")
	tools := mosquitto(t, port, p.trust()...).with(foreign.flags()...)
	if o := tools.publish("t", "m"); o.status == 0 {
		t.Error("a certificate of another authority was accepted")
	}
	mark := b.Mark()
	replace(t, authorities, p.stranger.text())
	b.awaitFrom(mark, "listener 127.0.0.1:.*: new files of TLS are in force") // by themselves
	tools.roundTrip()
	mark = b.Mark()
	if o := mosquitto(t, port, p.trust()...).with(p.client.flags()...).publish("t", "m"); o.status == 0 {
		t.Error("the old authority still vouches")
	}
	b.awaitFrom(mark, "unknown authority")
}

// replace puts content into the place of a file, as careful programs do.
func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	writeFile(t, path+".new", content)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
