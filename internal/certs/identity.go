package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Client returns the certificate that a client showed in a handshake under [Source.Config], nil if it showed none. A handshake with a
// certificate that does not verify fails, so this one did verify.
func Client(state tls.ConnectionState) *x509.Certificate {
	if !state.HandshakeComplete || len(state.PeerCertificates) == 0 {
		return nil
	}
	return state.PeerCertificates[0]
}

// Fingerprint is the certificate's SHA-256 hash in hexadecimal, lower case, without colons.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// CommonName is the first common name of the subject, which use_identity_as_username takes as user name. It is an error if there is none,
// or if it is empty or holds a null character, which is a way to look like somebody else.
func CommonName(cert *x509.Certificate) (string, error) {
	names, err := attributes(cert.RawSubject)
	if err != nil {
		return "", err
	}
	for _, rdn := range names {
		for _, a := range rdn {
			if !a.Type.Equal(oidCommonName) {
				continue
			}
			text, ok := text(a.Value)
			switch {
			case !ok:
				return "", errors.New("the certificate's common name is not text")
			case text == "":
				return "", errors.New("the certificate's common name is empty")
			case strings.ContainsRune(text, 0):
				return "", errors.New("the certificate's common name holds a null character")
			}
			return text, nil
		}
	}
	return "", errors.New("the certificate's subject has no common name")
}

// Subject is the subject as use_subject_as_username takes it for a user name: the string of RFC 2253 as OpenSSL writes it, last
// attribute first, characters outside ASCII as hexadecimal UTF-8: "CN=device\, 7,O=Z\C3\BCrich".
func Subject(cert *x509.Certificate) (string, error) { return distinguishedName(cert.RawSubject) }

type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// rdn is a RelativeDistinguishedName; the name ends in SET because that is how encoding/asn1 recognizes a set.
type rdnSET []attribute

func attributes(raw []byte) ([]rdnSET, error) {
	var names []rdnSET
	rest, err := asn1.Unmarshal(raw, &names)
	if err != nil || len(rest) > 0 {
		return nil, errors.New("the distinguished name is not well-formed")
	}
	return names, nil
}

func distinguishedName(raw []byte) (string, error) {
	names, err := attributes(raw)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, rdn := range slices.Backward(names) {
		for j, a := range slices.Backward(rdn) {
			switch {
			case out.Len() == 0:
			case j == len(rdn)-1:
				out.WriteByte(',')
			default:
				out.WriteByte('+') // the same RDN has several attributes
			}
			writeAttribute(&out, a)
		}
	}
	return out.String(), nil
}

// writeAttribute writes TYPE=VALUE. A type without a name, and a value that is no string, are written as the hexadecimal of
// their encoding (RFC 2253, 2.4).
func writeAttribute(out *strings.Builder, a attribute) {
	name, known := shortNames[a.Type.String()]
	if !known {
		name = a.Type.String()
	}
	out.WriteString(name)
	out.WriteByte('=')
	value, ok := text(a.Value)
	if !known || !ok {
		fmt.Fprintf(out, "#%X", a.Value.FullBytes)
		return
	}
	for i := range len(value) {
		writeEscaped(out, value[i], i == 0, i == len(value)-1)
	}
}

func writeEscaped(out *strings.Builder, c byte, first, last bool) {
	switch {
	case c < ' ', c >= 0x7f:
		fmt.Fprintf(out, "\\%02X", c)
	case strings.IndexByte(`,+"\<>;`, c) >= 0, first && (c == '#' || c == ' '), last && c == ' ':
		out.WriteByte('\\')
		out.WriteByte(c)
	default:
		out.WriteByte(c)
	}
}

// text decodes a string to UTF-8. It knows the types that crypto/x509 lets through in names.
func text(v asn1.RawValue) (string, bool) {
	if v.Class != asn1.ClassUniversal || v.IsCompound {
		return "", false
	}
	switch v.Tag {
	case asn1.TagUTF8String:
		return string(v.Bytes), utf8.Valid(v.Bytes)
	case asn1.TagPrintableString, asn1.TagIA5String, asn1.TagNumericString, asn1.TagT61String:
		out := make([]rune, 0, len(v.Bytes)) // in practice T61String is Latin-1
		for _, b := range v.Bytes {
			out = append(out, rune(b))
		}
		return string(out), true
	case asn1.TagBMPString:
		if len(v.Bytes)%2 != 0 {
			return "", false
		}
		units := make([]uint16, 0, len(v.Bytes)/2)
		for b := v.Bytes; len(b) > 0; b = b[2:] {
			units = append(units, uint16(b[0])<<8|uint16(b[1]))
		}
		return string(utf16.Decode(units)), true
	}
	return "", false
}

// shortNames are the names that OpenSSL gives to attribute types.
var shortNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description",
	"2.5.4.15": "businessCategory", "2.5.4.16": "postalAddress", "2.5.4.17": "postalCode", "2.5.4.18": "postOfficeBox",
	"2.5.4.20": "telephoneNumber", "2.5.4.41": "name", "2.5.4.42": "GN", "2.5.4.43": "initials",
	"2.5.4.44": "generationQualifier", "2.5.4.45": "x500UniqueIdentifier", "2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym",
	"2.5.4.72": "role", "2.5.4.97": "organizationIdentifier", "2.5.4.98": "c3", "2.5.4.99": "n3",
	"1.2.840.113549.1.9.1": "emailAddress", "1.2.840.113549.1.9.2": "unstructuredName",
	"1.2.840.113549.1.9.8": "unstructuredAddress", "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.3": "mail",
	"0.9.2342.19200300.100.1.5": "favouriteDrink", "0.9.2342.19200300.100.1.25": "DC", "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
	"1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST", "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}
