package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/uniomq/unio/internal/testenv"
)

func raw(tag int, text string) asn1.RawValue { return asn1.RawValue{Tag: tag, Bytes: []byte(text)} }

// name encodes a subject of which each element is one RDN.
func name(t *testing.T, rdns ...[]attribute) []byte {
	t.Helper()
	var names []rdnSET
	for _, r := range rdns {
		names = append(names, r)
	}
	der, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestSubjectIsAsOpenSSLWritesIt(t *testing.T) {
	t.Parallel()
	openssl := testenv.Program(t, "openssl", "openssl")
	ca := authority(t, "root", nil)
	oid := func(n ...int) asn1.ObjectIdentifier { return n }
	bmp := ""
	for _, u := range utf16.Encode([]rune("Zürich")) {
		bmp += string([]byte{byte(u >> 8), byte(u)})
	}
	var everything [][]attribute
	for dotted := range shortNames {
		o, err := x509.ParseOID(dotted)
		if err != nil {
			t.Fatal(err)
		}
		var id asn1.ObjectIdentifier
		if der, err := o.MarshalBinary(); err != nil {
			t.Fatal(err)
		} else if _, err := asn1.Unmarshal(append([]byte{asn1.TagOID, byte(len(der))}, der...), &id); err != nil {
			t.Fatal(err)
		}
		everything = append(everything, []attribute{{id, raw(asn1.TagUTF8String, "x")}})
	}
	cn := oidCommonName
	for what, subject := range map[string][]byte{
		"order": name(t, []attribute{{oid(2, 5, 4, 6), raw(asn1.TagPrintableString, "CH")}},
			[]attribute{{oid(2, 5, 4, 10), raw(asn1.TagUTF8String, "Acme")}}, []attribute{{cn, raw(asn1.TagUTF8String, "device 7")}}),
		"several in one": name(t, []attribute{{cn, raw(asn1.TagUTF8String, "a")}, {oid(2, 5, 4, 5), raw(asn1.TagPrintableString, "12")}},
			[]attribute{{oid(2, 5, 4, 11), raw(asn1.TagUTF8String, "b")}}),
		"escapes":   name(t, []attribute{{cn, raw(asn1.TagUTF8String, ` #a,b+c"d\e<f>g;h=i `)}}),
		"hash":      name(t, []attribute{{cn, raw(asn1.TagUTF8String, "#a")}}),
		"one space": name(t, []attribute{{cn, raw(asn1.TagUTF8String, " ")}}),
		"controls":  name(t, []attribute{{cn, raw(asn1.TagUTF8String, "a\x00b\x1f\x7f\n")}}),
		"unicode":   name(t, []attribute{{cn, raw(asn1.TagUTF8String, "Zürich 漢字 𝄞")}}),
		"bmp":       name(t, []attribute{{cn, raw(asn1.TagBMPString, bmp)}}),
		"latin":     name(t, []attribute{{cn, raw(asn1.TagT61String, "Z\xfcrich")}}),
		"email": name(t, []attribute{{oid(1, 2, 840, 113549, 1, 9, 1), raw(asn1.TagIA5String, "a@example.org")}},
			[]attribute{{oid(0, 9, 2342, 19200300, 100, 1, 25), raw(asn1.TagIA5String, "org")}}),
		"unknown type": name(t, []attribute{{oid(1, 2, 3, 4), raw(asn1.TagUTF8String, "x")}}, []attribute{{cn, raw(asn1.TagUTF8String, "y")}}),
		"empty value":  name(t, []attribute{{cn, raw(asn1.TagUTF8String, "")}}, []attribute{{oid(2, 5, 4, 11), raw(asn1.TagUTF8String, "b")}}),
		"names":        name(t, everything...),
		"none":         name(t),
	} {
		device := ca.leaf(t, "x", func(c *x509.Certificate) { c.RawSubject = subject })
		cmd := exec.Command(openssl, "x509", "-noout", "-subject", "-nameopt", "RFC2253")
		cmd.Stdin = strings.NewReader(string(device.pem()))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: openssl: %v: %s", what, err, out)
		}
		want := strings.TrimSuffix(strings.TrimPrefix(string(out), "subject="), "\n")
		if got, err := Subject(device.cert); err != nil || got != want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", what, err, got, want)
		}
	}
}

func TestFingerprintIsOpenSSLs(t *testing.T) {
	t.Parallel()
	ca := authority(t, "root", nil)
	cmd := exec.Command(testenv.Program(t, "openssl", "openssl"), "x509", "-noout", "-fingerprint", "-sha256")
	cmd.Stdin = strings.NewReader(string(ca.pem()))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, want, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
	if got := Fingerprint(ca.cert); got != strings.ToLower(strings.ReplaceAll(want, ":", "")) {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
}

func TestCommonNameIsTheFirst(t *testing.T) {
	t.Parallel()
	ca := authority(t, "root", nil)
	for what, c := range map[string]struct {
		subject []byte
		want    string // "": an error
	}{
		"first": {
			name(t, []attribute{{oidCommonName, raw(asn1.TagUTF8String, "a")}}, []attribute{{oidCommonName, raw(asn1.TagUTF8String, "b")}}), "a",
		},
		"none":  {name(t, []attribute{{asn1.ObjectIdentifier{2, 5, 4, 11}, raw(asn1.TagUTF8String, "a")}}), ""},
		"empty": {name(t, []attribute{{oidCommonName, raw(asn1.TagUTF8String, "")}}), ""},
		"null":  {name(t, []attribute{{oidCommonName, raw(asn1.TagUTF8String, "admin\x00x")}}), ""},
	} {
		device := ca.leaf(t, "x", func(cert *x509.Certificate) { cert.RawSubject = c.subject })
		got, err := CommonName(device.cert)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	if _, err := CommonName(&x509.Certificate{RawSubject: []byte{1}, Subject: pkix.Name{CommonName: "x"}}); err == nil {
		t.Error("a name that is not well-formed gave no error")
	}
}
