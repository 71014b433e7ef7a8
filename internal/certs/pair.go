package certs

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// pair reads the server's certificate chain and its key.
func (l *loader) pair(o *Options) (*tls.Certificate, error) {
	switch {
	case o.CertFile == "" && o.KeyFile == "":
		return nil, errors.New("TLS needs certfile and keyfile")
	case o.CertFile == "":
		return nil, errors.New("keyfile is set without certfile; want both")
	case o.KeyFile == "":
		return nil, errors.New("certfile is set without keyfile; want both")
	}
	content, err := l.read("certfile", o.CertFile)
	if err != nil {
		return nil, err
	}
	chain, skipped, err := certificates(content)
	if err == nil && len(skipped) > 0 {
		err = skipped[0]
	}
	if err != nil {
		return nil, &OptionError{"certfile", o.CertFile, err}
	}
	if content, err = l.read("keyfile", o.KeyFile); err != nil {
		return nil, err
	}
	key, err := privateKey(content)
	if err == nil {
		err = fits(key, chain, o.CertFile)
	}
	if err != nil {
		return nil, &OptionError{"keyfile", o.KeyFile, err}
	}
	out := &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		out.Certificate = append(out.Certificate, c.Raw)
		l.noteCertificate(Server, "certfile", o.CertFile, c)
	}
	return out, nil
}

// maxChain is the most certificates that complete adds.
const maxChain = 10

// complete adds to a certificate that stands alone those that vouch for it, as far as they are among
// the authorities: one after the other, up to the root. OpenSSL sends these, and clients need all
// below the root.
func (l *loader) complete(pair *tls.Certificate, authorities []*x509.Certificate) {
	if len(pair.Certificate) > 1 {
		return
	}
	for c := l.issuer(pair.Leaf, authorities); c != nil && len(pair.Certificate) <= maxChain; c = l.issuer(c, authorities) {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
}

// issuer finds who has signed c, an authority that is not out of date if there is one; nil: c itself,
// or nobody that is known.
func (l *loader) issuer(c *x509.Certificate, authorities []*x509.Certificate) (found *x509.Certificate) {
	if bytes.Equal(c.RawIssuer, c.RawSubject) {
		return nil
	}
	for _, a := range authorities {
		if !bytes.Equal(c.RawIssuer, a.RawSubject) || c.CheckSignatureFrom(a) != nil {
			continue
		}
		if found = a; !l.now.After(a.NotAfter) {
			break
		}
	}
	return found
}

// privateKey finds the private key in PEM.
func privateKey(content []byte) (crypto.Signer, error) {
	found := blocks(content, keyTypes...)
	if len(found) == 0 {
		return nil, fmt.Errorf("no private key in it; want PEM, \"-----BEGIN PRIVATE KEY-----\"%s", hint(content))
	}
	b := found[0]
	if b.Type == "ENCRYPTED PRIVATE KEY" || b.Headers["DEK-Info"] != "" {
		return nil, errors.New("the private key is encrypted, and there is nobody to ask for its passphrase; " +
			"\"openssl pkey -in FILE -out FILE2\" takes the encryption off: protect the file by its permissions instead")
	}
	key, err := parseKey(b)
	if err != nil {
		return nil, fmt.Errorf("the private key cannot be read: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign; want RSA, ECDSA or Ed25519", key)
	}
	return signer, nil
}

// parseKey tries all encodings, since some software mixes up the types.
func parseKey(b *pem.Block) (any, error) {
	key, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(b.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(b.Bytes); err == nil {
		return key, nil
	}
	return nil, err
}

// fits checks that key belongs to the first certificate of chain.
func fits(key crypto.Signer, chain []*x509.Certificate, certFile string) error {
	public, ok := key.Public().(interface{ Equal(x crypto.PublicKey) bool })
	if !ok {
		return fmt.Errorf("a key of type %T cannot be used; want RSA, ECDSA or Ed25519", key)
	}
	for i, c := range chain {
		if !public.Equal(c.PublicKey) {
			continue
		}
		if i > 0 {
			return fmt.Errorf("it fits certificate %d of certfile %s; want the server's own certificate to be the first there", i+1, certFile)
		}
		return nil
	}
	return fmt.Errorf("it does not fit the certificate in certfile %s (%s)", certFile, chain[0].Subject)
}
