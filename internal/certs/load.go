package certs

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// state is what is in force. It never changes; a reload makes another.
type state struct {
	config    *tls.Config
	foreign   *tls.Config // config without ALPN, for clients that offer other protocols alone
	challenge *tls.Config // for the handshake of an ACME authority that checks; nil without ACME
	infos     []Info
	warnings  []Warning
}

// loader reads what Options name.
type loader struct {
	*reader
	now      time.Time
	infos    []Info
	warnings []Warning
}

// load reads everything. The loader, which knows what was read, is returned also if there is an error.
func load(ctx context.Context, o *Options, acme *acmeManager) (st *state, l *loader, err error) {
	l = &loader{reader: newReader(ctx), now: o.now()}
	st, err = l.load(o, acme)
	if err != nil {
		return nil, l, err
	}
	st.infos, st.warnings = l.infos, l.warnings
	return st, l, nil
}

func (l *loader) load(o *Options, acme *acmeManager) (*state, error) {
	config := &tls.Config{KeyLogWriter: o.KeyLog, Time: o.Now, NextProtos: o.ALPN}
	st := &state{config: config}
	if err := l.versions(o, config); err != nil {
		return nil, err
	}
	if acme != nil {
		if o.CertFile != "" || o.KeyFile != "" {
			return nil, errors.New("there is a certfile and ACME; want one of them")
		}
		config.GetCertificate = acme.certificate
		st.challenge = acme.challengeConfig()
	} else {
		pair, err := l.pair(o)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{*pair}
		l.checkSuites(config, pair.Leaf)
	}
	authorities, err := l.authorities(o)
	if err != nil {
		return nil, err
	}
	for i := range config.Certificates {
		l.complete(&config.Certificates[i], authorities)
	}
	v, err := l.verifier(o, authorities)
	if err != nil {
		return nil, err
	}
	if v != nil {
		v.demand(config)
	}
	st.foreign = config.Clone()
	st.foreign.NextProtos = nil
	return st, nil
}

// versions applies tls_version, ciphers and ciphers_tls1.3.
func (l *loader) versions(o *Options, config *tls.Config) error {
	switch o.MinVersion {
	case "", "tlsv1.2":
		config.MinVersion = tls.VersionTLS12
	case "tlsv1.3":
		config.MinVersion = tls.VersionTLS13
	case "tlsv1.1", "tlsv1", "tlsv1.0", "sslv3":
		return fmt.Errorf("tls_version %s is not safe any more (RFC 8996); want tlsv1.2 or tlsv1.3, the oldest version to accept", o.MinVersion)
	default:
		return fmt.Errorf("tls_version %q is not known; want tlsv1.2 or tlsv1.3", o.MinVersion)
	}
	ids, warnings, err := parseCiphers(o.Ciphers)
	if err != nil {
		return &OptionError{Option: "ciphers", Err: err}
	}
	config.CipherSuites = ids
	l.warn("ciphers", "", warnings...)
	if warnings, err = checkCiphersTLS13(o.CiphersTLS13); err != nil {
		return &OptionError{Option: "ciphers_tls1.3", Err: err}
	}
	l.warn("ciphers_tls1.3", "", warnings...)
	return nil
}

// checkSuites finds a list of ciphers that does not go with the certificate's key.
func (l *loader) checkSuites(config *tls.Config, leaf *x509.Certificate) {
	if config.CipherSuites == nil || config.MinVersion > tls.VersionTLS12 {
		return
	}
	ecdsa := leaf.PublicKeyAlgorithm != x509.RSA
	for _, s := range suites12() {
		for _, id := range config.CipherSuites {
			if s.id == id && s.ecdsa == ecdsa {
				return
			}
		}
	}
	l.warn("ciphers", "", fmt.Sprintf("none goes with the certificate's key (%s): clients without TLS 1.3 will be refused",
		leaf.PublicKeyAlgorithm))
}

func (l *loader) warn(option, file string, texts ...string) {
	for _, t := range texts {
		l.warnings = append(l.warnings, Warning{Option: option, File: file, Text: t})
	}
}

// noteCertificate remembers a certificate for Certificates, and warns if it is out of date.
func (l *loader) noteCertificate(use Use, option, file string, c *x509.Certificate) {
	subject, err := Subject(c)
	if err != nil {
		subject = c.Subject.String()
	}
	issuer, err := distinguishedName(c.RawIssuer)
	if err != nil {
		issuer = c.Issuer.String()
	}
	l.infos = append(l.infos, Info{
		Use: use, File: file, Subject: subject, Issuer: issuer, Serial: fmt.Sprintf("%X", c.SerialNumber),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, DNSNames: c.DNSNames, Fingerprint: Fingerprint(c),
	})
	switch {
	case l.now.After(c.NotAfter):
		l.warn(option, file, fmt.Sprintf("the certificate of %q is expired since %s", subject, date(c.NotAfter)))
	case l.now.Before(c.NotBefore):
		l.warn(option, file, fmt.Sprintf("the certificate of %q is not valid before %s", subject, date(c.NotBefore)))
	}
}

// cause is an error without the file's name.
func cause(err error) error {
	if e, ok := errors.AsType[*OptionError](err); ok {
		return e.Err
	}
	return err
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// authorities reads cafile and capath.
func (l *loader) authorities(o *Options) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	known := map[[sha256.Size]byte]bool{}
	add := func(option, file string, certs []*x509.Certificate, skipped []error) {
		for _, err := range skipped {
			l.warn(option, file, err.Error())
		}
		for _, c := range certs {
			if sum := sha256.Sum256(c.Raw); !known[sum] {
				known[sum] = true
				out = append(out, c)
				l.noteCertificate(Authority, option, file, c)
			}
		}
	}
	if o.CAFile != "" {
		content, err := l.read("cafile", o.CAFile)
		if err != nil {
			return nil, err
		}
		certs, skipped, err := certificates(content)
		if err != nil {
			return nil, &OptionError{"cafile", o.CAFile, err}
		}
		add("cafile", o.CAFile, certs, skipped)
	}
	if o.CAPath != "" {
		files, err := l.list("capath", o.CAPath)
		if err != nil {
			return nil, err
		}
		before := len(known)
		for _, file := range files {
			var certs []*x509.Certificate
			var skipped []error
			content, err := l.read("capath", file)
			if err == nil {
				certs, skipped, err = certificates(content)
			}
			if l.ctx.Err() != nil {
				return nil, err
			}
			if err != nil { // one bad file among many takes no authority away from the others
				skipped = append(skipped, cause(err))
			}
			add("capath", file, certs, skipped)
		}
		if len(known) == before && o.CAFile == "" {
			return nil, &OptionError{"capath", o.CAPath, errors.New("no certificate in it; want PEM files named *.pem, *.crt or *.cer")}
		}
	}
	return out, nil
}

// verifier is what checks clients' certificates; nil if none is wanted.
func (l *loader) verifier(o *Options, authorities []*x509.Certificate) (*verifier, error) {
	var crls *revocation
	if o.CRLFile != "" {
		var err error
		if crls, err = l.revocation(o.CRLFile, authorities); err != nil {
			return nil, err
		}
	}
	switch {
	case !o.RequireCertificate:
		return nil, nil
	case o.CAFile == "" && o.CAPath == "":
		return nil, errors.New("require_certificate needs cafile or capath: the authorities that sign clients' certificates")
	}
	return newVerifier(authorities, crls, o), nil
}
