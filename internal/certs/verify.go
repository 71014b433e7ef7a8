package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// verifier checks clients' certificates.
type verifier struct {
	roots   *x509.CertPool
	shown   *x509.CertPool // the authorities as they are, whose names clients are told
	crls    *revocation    // nil: revocation is not checked
	undated bool
	now     func() time.Time
}

func newVerifier(authorities []*x509.Certificate, crls *revocation, o *Options) *verifier {
	v := &verifier{roots: x509.NewCertPool(), shown: x509.NewCertPool(), crls: crls, undated: o.DisableClientDateChecks, now: o.now}
	for _, a := range authorities {
		v.shown.AddCert(a)
		v.roots.AddCert(v.dated(a))
	}
	return v
}

// demand makes config ask clients for a certificate, and check it.
func (v *verifier) demand(config *tls.Config) {
	config.ClientCAs = v.shown
	config.ClientAuth = tls.RequireAndVerifyClientCert
	if v.undated { // crypto/tls would look at the dates
		config.ClientAuth = tls.RequireAnyClientCert
	}
	config.VerifyConnection = v.verify
}

// verify runs at the end of each handshake, also one that resumes a session, for which crypto/tls itself verifies nothing anew.
func (v *verifier) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the client showed no certificate")
	}
	chains := state.VerifiedChains
	if state.DidResume || v.undated || len(chains) == 0 {
		var err error
		if chains, err = v.chains(state.PeerCertificates); err != nil {
			return fmt.Errorf("the client's certificate: %w", err)
		}
	}
	if v.crls == nil {
		return nil
	}
	var err error
	for _, chain := range chains { // one good chain will do
		if err = v.crls.check(chain, v.now()); err == nil {
			return nil
		}
	}
	return err
}

func (v *verifier) chains(shown []*x509.Certificate) ([][]*x509.Certificate, error) {
	o := x509.VerifyOptions{
		Roots: v.roots, Intermediates: x509.NewCertPool(), CurrentTime: v.now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range shown[1:] {
		o.Intermediates.AddCert(v.dated(c))
	}
	return v.dated(shown[0]).Verify(o)
}

// dated returns a certificate as it is to be verified: itself, or a copy that is valid at any time. The copy keeps the bytes that
// are signed.
func (v *verifier) dated(c *x509.Certificate) *x509.Certificate {
	if !v.undated {
		return c
	}
	free := *c
	free.NotBefore, free.NotAfter = time.Time{}, time.Unix(1<<40, 0)
	return &free
}
