package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// ACME says from where to obtain a certificate by the protocol of RFC 8555. Whoever configures it agrees to the authority's terms.
type ACME struct {
	Domains  []string // for which certificates are obtained; a client that names no server gets the first one's
	Email    string   // where the authority sends its messages; may be ""
	CacheDir string   // a folder for the account's key and for certificates; made if it is missing, for the owner alone
	// DirectoryURL is the authority; "" stands for Let's Encrypt.
	DirectoryURL string
}

func sameACME(a, b *ACME) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.Domains, b.Domains) && a.Email == b.Email && a.CacheDir == b.CacheDir && a.DirectoryURL == b.DirectoryURL
}

// acmeManager obtains and renews certificates, in handshakes that need one and by timers of autocert.
type acmeManager struct {
	autocert *autocert.Manager
	first    string
}

func newACME(o *ACME) (*acmeManager, error) {
	if o == nil {
		return nil, nil
	}
	switch {
	case len(o.Domains) == 0:
		return nil, errors.New("ACME needs at least one domain")
	case o.CacheDir == "":
		return nil, errors.New("ACME needs a folder for what it obtains: authorities limit how often one may ask")
	}
	for _, d := range o.Domains {
		if !strings.Contains(d, ".") || strings.ContainsAny(d, "*/: ") {
			return nil, fmt.Errorf("ACME: %q is no domain for which a certificate can be had; want for example mqtt.example.org", d)
		}
	}
	return &acmeManager{first: o.Domains[0], autocert: &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      autocert.DirCache(o.CacheDir),
		HostPolicy: autocert.HostWhitelist(o.Domains...),
		Email:      o.Email,
		Client:     &acme.Client{DirectoryURL: directoryURL(o), UserAgent: "unio"},
	}}, nil
}

func directoryURL(o *ACME) string {
	if o.DirectoryURL != "" {
		return o.DirectoryURL
	}
	return autocert.DefaultACMEDirectory
}

// certificate is tls.Config.GetCertificate. MQTT clients that were given an address name no server, or the address, which is none
// (RFC 6066, 3).
func (m *acmeManager) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if _, err := netip.ParseAddr(hello.ServerName); err == nil || hello.ServerName == "" {
		named := *hello
		named.ServerName = m.first
		hello = &named
	}
	return m.autocert.GetCertificate(hello)
}

// isChallenge recognizes the handshake of a challenge of the type tls-alpn-01: the authority offers that protocol alone (RFC 8737, 3).
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto
}

// challengeConfig is for that handshake. No certificate is asked of the authority; package tlsconn ends the connection behind the
// handshake.
func (m *acmeManager) challengeConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{acme.ALPNProto}, GetCertificate: m.autocert.GetCertificate,
		SessionTicketsDisabled: true,
	}
}
