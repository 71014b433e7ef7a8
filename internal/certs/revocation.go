package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// revocation has the revocation lists of one crlfile. It does not change.
type revocation struct {
	file string
	// byIssuer has the lists whose signature was found good, by the authority that issued them, see issuerKey.
	byIssuer map[string][]*revocationList
	// others has those whose issuer is not among the loaded authorities, by the issuer's name. It may be an intermediate authority whose
	// certificate only clients have.
	others map[string][]*revocationList
}

type revocationList struct {
	list    *x509.RevocationList
	serials map[string]bool // the revoked certificates, see serialKey
}

func serialKey(n *big.Int) string { return string(n.Bytes()) }

// issuerKey tells authorities apart: one name may have several keys.
func issuerKey(authority *x509.Certificate) string {
	return string(authority.RawSubject) + string(authority.RawSubjectPublicKeyInfo)
}

// revocation reads a crlfile.
func (l *loader) revocation(file string, authorities []*x509.Certificate) (*revocation, error) {
	content, err := l.read("crlfile", file)
	if err != nil {
		return nil, err
	}
	r := &revocation{file: file, byIssuer: map[string][]*revocationList{}, others: map[string][]*revocationList{}}
	lists, err := revocationLists(content)
	if err != nil {
		return nil, &OptionError{"crlfile", file, err}
	}
	for _, list := range lists {
		if err := r.add(list, authorities); err != nil {
			return nil, &OptionError{"crlfile", file, err}
		}
		l.noteRevocations(file, list.list)
	}
	return r, nil
}

func revocationLists(content []byte) ([]*revocationList, error) {
	var encoded [][]byte
	for _, b := range blocks(content, "X509 CRL") {
		encoded = append(encoded, b.Bytes)
	}
	if len(encoded) == 0 && content[0] == 0x30 {
		encoded = append(encoded, content) // DER
	}
	if len(encoded) == 0 {
		return nil, fmt.Errorf("no revocation list in it; want PEM, \"-----BEGIN X509 CRL-----\", or DER%s", hint(content))
	}
	var lists []*revocationList
	for i, der := range encoded {
		parsed, err := x509.ParseRevocationList(der)
		if err == nil {
			err = checkScope(parsed)
		}
		if err != nil {
			return nil, fmt.Errorf("revocation list %d in it cannot be used: %w", i+1, err)
		}
		list := &revocationList{list: parsed, serials: make(map[string]bool, len(parsed.RevokedCertificateEntries))}
		for _, e := range parsed.RevokedCertificateEntries {
			list.serials[serialKey(e.SerialNumber)] = true
		}
		lists = append(lists, list)
	}
	return lists, nil
}

var (
	oidDelta        = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidDistribution = asn1.ObjectIdentifier{2, 5, 29, 28}
)

// The tags of an issuing distribution point that do not narrow a list of a client's certificates (RFC 5280, 5.2.5).
const (
	tagDistributionPoint = 0
	tagOnlyUserCerts     = 1
)

// checkScope refuses lists that do not speak of all of the issuer's certificates, since their silence would mean nothing. A list
// with a critical extension that is not understood must not be used (RFC 5280, 5.2).
func checkScope(list *x509.RevocationList) error {
	for _, e := range list.Extensions {
		switch {
		case e.Id.Equal(oidDelta):
			return errors.New("it is a delta list; want a complete one")
		case e.Id.Equal(oidDistribution):
			var scope []asn1.RawValue
			if _, err := asn1.Unmarshal(e.Value, &scope); err != nil {
				return fmt.Errorf("its issuing distribution point is not well-formed: %w", err)
			}
			for _, s := range scope {
				if s.Tag != tagDistributionPoint && s.Tag != tagOnlyUserCerts {
					return errors.New("it is for some reasons or kinds of certificates only, or indirect; want a complete one")
				}
			}
		case e.Critical:
			return fmt.Errorf("it has a critical extension, %v, that is not known", e.Id)
		}
	}
	return nil
}

// add files a list under the authorities that signed it.
func (r *revocation) add(list *revocationList, authorities []*x509.Certificate) error {
	issuer := list.list.RawIssuer
	var wrong error
	found := false
	for _, a := range authorities {
		if !bytes.Equal(a.RawSubject, issuer) {
			continue
		}
		if err := list.list.CheckSignatureFrom(a); err != nil {
			wrong = err
			continue
		}
		found = true
		r.byIssuer[issuerKey(a)] = append(r.byIssuer[issuerKey(a)], list)
	}
	if !found && wrong != nil {
		return fmt.Errorf("the revocation list of %q is not signed by that authority: %w", list.list.Issuer, wrong)
	}
	if !found {
		r.others[string(issuer)] = append(r.others[string(issuer)], list)
	}
	return nil
}

func (l *loader) noteRevocations(file string, list *x509.RevocationList) {
	issuer, err := distinguishedName(list.RawIssuer)
	if err != nil {
		issuer = list.Issuer.String()
	}
	l.infos = append(l.infos, Info{
		Use: Revocations, File: file, Subject: issuer, Issuer: issuer, NotBefore: list.ThisUpdate, NotAfter: list.NextUpdate,
		Serial: fmt.Sprintf("%X", list.Number),
	})
	switch {
	case !list.NextUpdate.IsZero() && l.now.After(list.NextUpdate):
		l.warn("crlfile", file, fmt.Sprintf("the revocation list of %q is expired since %s: without a newer one, its clients are refused",
			issuer, date(list.NextUpdate)))
	case l.now.Before(list.ThisUpdate):
		l.warn("crlfile", file, fmt.Sprintf("the revocation list of %q is not valid before %s", issuer, date(list.ThisUpdate)))
	}
}

// from returns the lists that an authority issued.
func (r *revocation) from(authority *x509.Certificate) []*revocationList {
	if lists := r.byIssuer[issuerKey(authority)]; len(lists) > 0 {
		return lists
	}
	var lists []*revocationList
	for _, list := range r.others[string(authority.RawSubject)] {
		if list.list.CheckSignatureFrom(authority) == nil {
			lists = append(lists, list)
		}
	}
	return lists
}

func (l *revocationList) current(now time.Time) bool {
	return !now.Before(l.list.ThisUpdate) && (l.list.NextUpdate.IsZero() || !now.After(l.list.NextUpdate))
}

// check looks a verified chain up. The client's certificate, which is the first, needs a current list; see the package's documentation.
func (r *revocation) check(chain []*x509.Certificate, now time.Time) error {
	for i, c := range chain {
		issuer := c // an anchor that is a client's own certificate vouches for itself
		if i+1 < len(chain) {
			issuer = chain[i+1]
		} else if i > 0 {
			break // the anchor
		}
		lists := r.from(issuer)
		checked := false
		for _, list := range lists {
			if !list.current(now) {
				continue
			}
			checked = true
			if list.serials[serialKey(c.SerialNumber)] {
				return fmt.Errorf("the certificate of %q, serial number %X, is revoked (crlfile %s)", c.Subject, c.SerialNumber, r.file)
			}
		}
		switch {
		case checked || i > 0:
		case len(lists) > 0:
			return fmt.Errorf("the revocation list of %q is expired or not yet valid: renew crlfile %s", issuer.Subject, r.file)
		default:
			return fmt.Errorf("crlfile %s has no revocation list of %q, which signed the client's certificate", r.file, issuer.Subject)
		}
	}
	return nil
}
