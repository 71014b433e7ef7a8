package config

import (
	"cmp"
	"slices"
)

// Protocol is what a listener speaks.
type Protocol uint8

// The values of protocol.
const (
	MQTT Protocol = iota
	WebSockets
	HTTPAPI // no MQTT
)

// TLS is what the options of a listener say of certificates and keys.
type TLS struct {
	// CertFile and KeyFile are the broker's certificate, with those that vouch for it, and its key; empty: no TLS with certificates.
	CertFile, KeyFile string
	// CAFile and CAPath hold the certificates that may vouch for clients; CRLFile lists those that are revoked.
	CAFile, CAPath, CRLFile string
	// RequireCertificate refuses clients without certificate.
	RequireCertificate bool
	// NoDateChecks accepts client certificates that are expired or not valid yet.
	NoDateChecks bool
	// Version is the lowest version, "tlsv1.2" or "tlsv1.3"; empty for the lowest that is safe.
	Version string
	// Ciphers are the suites of TLS 1.2 and of PSK, and Ciphers13 those of TLS 1.3, by the names that OpenSSL gives them; empty for all
	// that are safe.
	Ciphers, Ciphers13 string
	// PSKHint switches TLS with pre-shared keys on; PSKFile has them.
	PSKHint, PSKFile string
	// ACME gets the certificate from an authority, for Domains; none: nothing.
	ACME ACME
}

// ACME is how a certificate is got from an authority that speaks RFC 8555.
type ACME struct {
	Domains   []string
	Email     string // to be warned at
	Directory string // URL; empty: Let's Encrypt
	Cache     string // folder that keeps account and certificates
}

// On reports whether the listener is encrypted.
func (t *TLS) On() bool { return t.CertFile != "" || t.PSKHint != "" || len(t.ACME.Domains) > 0 }

// check finds what in the options of the listeners does not go together.
func (p *parser) check() {
	for i := range p.cfg.Listeners {
		l := &p.cfg.Listeners[i]
		t := &l.TLS
		certificates := t.CertFile != "" || t.KeyFile != ""
		acme := len(t.ACME.Domains) > 0
		proxyTLS := l.ProxyProtocol == 2
		for _, rule := range []struct {
			broken bool
			option string
			err    error
		}{
			{t.CertFile != "" && t.KeyFile == "", "certfile", expectedTLS("keyfile as well: TLS needs both")},
			{t.KeyFile != "" && t.CertFile == "", "keyfile", expectedTLS("certfile as well: TLS needs both")},
			{t.PSKHint != "" && (certificates || acme), "psk_hint", expected("no certfile for the same listener: it has either certificates or pre-shared keys")},
			{t.PSKHint != "" && l.Protocol == HTTPAPI, "psk_hint", expected("certfile and keyfile for protocol http_api: no HTTP client speaks TLS with pre-shared keys")},
			{t.PSKHint != "" && t.PSKFile == "", "psk_hint", expected("psk_file as well")},
			{t.PSKHint != "" && t.Version == "tlsv1.3", "tls_version", expectedTLS("tlsv1.2 with psk_hint: pre-shared keys are for TLS 1.2 alone")},
			{certificates && acme, "acme_domain", expected("no certfile for the same listener: its certificate comes from one of the two")},
			{t.RequireCertificate && !t.On() && !proxyTLS, "require_certificate", expected("certfile and keyfile as well: without them clients cannot show a certificate")},
			{t.RequireCertificate && (certificates || acme) && t.CAFile == "" && t.CAPath == "", "require_certificate", expectedTLS("cafile or capath as well, to check certificates with")},
			{t.CRLFile != "" && t.On() && t.CAFile == "" && t.CAPath == "", "crlfile", expectedTLS("cafile or capath as well: it lists certificates that they vouch for")},
			{l.ProxyRequireTLS && l.ProxyProtocol != 2, "proxy_protocol_v2_require_tls", expected("enable_proxy_protocol 2 as well")},
			{l.IdentityAsUsername && l.SubjectAsUsername, "use_subject_as_username", expected("only one of it and use_identity_as_username")},
			{l.SubjectAsUsername && proxyTLS && !t.On(), "use_subject_as_username", expected("use_identity_as_username: enable_proxy_protocol 2 tells the common name alone")},
			{(l.IdentityAsUsername || l.SubjectAsUsername) && !t.On() && !proxyTLS, firstSet(l), expected("TLS, or enable_proxy_protocol 2: without it there is no identity to take")},
		} {
			if rule.broken {
				p.failAt(p.cfg.Origin(rule.option, i), rule.option, rule.err)
			}
		}
		noTLS, noWebSocket := "without certfile and keyfile the listener is not encrypted", "without protocol websockets nobody asks for it"
		for _, idle := range []struct {
			on          bool
			option, why string
		}{
			{!t.On() && t.CAFile != "", "cafile", noTLS},
			{!t.On() && t.CAPath != "", "capath", noTLS},
			{!t.On() && t.CRLFile != "", "crlfile", noTLS},
			{t.PSKHint != "" && t.Ciphers13 != "", "ciphers_tls1.3", "pre-shared keys are for TLS 1.2 alone"},
			{l.Protocol == MQTT && l.HTTPDir != "", "http_dir", "without protocol websockets or http_api nobody asks for it"},
			{l.Protocol != WebSockets && len(l.WebSocketOrigins) > 0, "websockets_origin", noWebSocket},
		} {
			if idle.on {
				at := p.cfg.Origin(idle.option, i)
				p.cfg.Warnings = append(p.cfg.Warnings, Warning{File: at.File, Line: at.Line, Option: idle.option, Msg: "has no effect: " + idle.why})
			}
		}
	}
}

// firstSet names the option that asks for an identity as user name.
func firstSet(l *Listener) string {
	return cmp.Or(nameIf(l.IdentityAsUsername, "use_identity_as_username"), "use_subject_as_username")
}

func nameIf(on bool, name string) string {
	if on {
		return name
	}
	return ""
}

// failAt notes a mistake of an option that a file set, once for all listeners that share its line.
func (p *parser) failAt(at Origin, option string, err error) {
	e := newError(at, option, err)
	if !slices.ContainsFunc(p.errors, func(old *Error) bool { return *old == *e }) {
		p.errors = append(p.errors, e)
	}
}

// setProtocol handles protocol.
func setProtocol(t *target, v value) error {
	switch v.text {
	case "mqtt":
		t.section.Protocol = MQTT
	case "websockets":
		t.section.Protocol = WebSockets
	default:
		t.section.Protocol = HTTPAPI
	}
	return nil
}

// setTLSVersion handles tls_version. TLS 1.1 is broken (RFC 8996). Mosquitto takes it as a lowest
// version, and clients of such a file that speak a newer one go on being served.
func setTLSVersion(t *target, v value) error {
	switch v.text {
	case "tlsv1.2", "tlsv1.3":
		return setOnce(&t.section.TLS.Version, v.text)
	case "tlsv1.1":
		t.warn("TLS 1.1 is not safe (RFC 8996): the lowest version is 1.2. Write tlsv1.2 instead")
		return setOnce(&t.section.TLS.Version, "tlsv1.2")
	case "tlsv1":
		return expectedTLS("tlsv1.2 or tlsv1.3: %s is not safe", v.text)
	}
	return expectedTLS("tlsv1.2 or tlsv1.3, not %q", v.text)
}
