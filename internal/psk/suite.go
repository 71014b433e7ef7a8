package psk

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"slices"
	"strings"
)

// version12 is TLS 1.2, the only version here.
const version12 = 0x0303

// Suite is the number of a cipher suite.
type Suite uint16

// The cipher suites of this package.
const (
	PSKWithAES128GCM        Suite = 0x00A8 // TLS_PSK_WITH_AES_128_GCM_SHA256, RFC 5487
	PSKWithAES256GCM        Suite = 0x00A9 // TLS_PSK_WITH_AES_256_GCM_SHA384, RFC 5487
	PSKWithChaCha20         Suite = 0xCCAB // TLS_PSK_WITH_CHACHA20_POLY1305_SHA256, RFC 7905
	PSKWithAES128CBC        Suite = 0x00AE // TLS_PSK_WITH_AES_128_CBC_SHA256, RFC 5487; with encrypt-then-MAC
	ECDHEPSKWithAES128GCM   Suite = 0xD001 // TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256, RFC 8442
	ECDHEPSKWithAES256GCM   Suite = 0xD002 // TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384, RFC 8442
	ECDHEPSKWithChaCha20    Suite = 0xCCAC // TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256, RFC 7905
	ECDHEPSKWithAES128CBC   Suite = 0xC037 // TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256, RFC 5489; with encrypt-then-MAC
	suiteEmptyRenegotiation Suite = 0x00FF // TLS_EMPTY_RENEGOTIATION_INFO_SCSV, RFC 5746
	suiteFallback           Suite = 0x5600 // TLS_FALLBACK_SCSV, RFC 7507
)

// suite is what a cipher suite stands for. All of them have SHA-256 or SHA-384 as the hash of the PRF.
type suite struct {
	id       Suite
	openssl  string // what OpenSSL calls it
	standard string // what the RFC calls it
	ecdhe    bool
	hash     func() hash.Hash
	macLen   int // only of CBC
	keyLen   int
	ivLen    int // what of the nonce comes from the key block
	protect  func(mac, key, iv []byte) protector
}

func (s *suite) cbc() bool { return s.macLen > 0 }

// suites are in a server's order of preference: first what keeps old recordings secret when a key is found out (forward
// secrecy), and within that AEAD before CBC.
var suites = []*suite{
	{ECDHEPSKWithAES128GCM, "ECDHE-PSK-AES128-GCM-SHA256", "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256", true, sha256.New, 0, 16, 4, newGCM},
	{ECDHEPSKWithAES256GCM, "ECDHE-PSK-AES256-GCM-SHA384", "TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384", true, sha512.New384, 0, 32, 4, newGCM},
	{ECDHEPSKWithChaCha20, "ECDHE-PSK-CHACHA20-POLY1305", "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256", true, sha256.New, 0, 32, 12, newChaCha20},
	{ECDHEPSKWithAES128CBC, "ECDHE-PSK-AES128-CBC-SHA256", "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256", true, sha256.New, 32, 16, 0, newCBC},
	{PSKWithAES128GCM, "PSK-AES128-GCM-SHA256", "TLS_PSK_WITH_AES_128_GCM_SHA256", false, sha256.New, 0, 16, 4, newGCM},
	{PSKWithAES256GCM, "PSK-AES256-GCM-SHA384", "TLS_PSK_WITH_AES_256_GCM_SHA384", false, sha512.New384, 0, 32, 4, newGCM},
	{PSKWithChaCha20, "PSK-CHACHA20-POLY1305", "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256", false, sha256.New, 0, 32, 12, newChaCha20},
	{PSKWithAES128CBC, "PSK-AES128-CBC-SHA256", "TLS_PSK_WITH_AES_128_CBC_SHA256", false, sha256.New, 32, 16, 0, newCBC},
}

func suiteOf(id Suite) *suite {
	for _, s := range suites {
		if s.id == id {
			return s
		}
	}
	return nil
}

// String returns OpenSSL's name.
func (id Suite) String() string {
	if s := suiteOf(id); s != nil {
		return s.openssl
	}
	return "unknown"
}

// AllSuites returns every suite of this package, the most preferred first.
func AllSuites() []Suite {
	all := make([]Suite, len(suites))
	for i, s := range suites {
		all[i] = s.id
	}
	return all
}

// ParseSuites reads a list of cipher suites as in mosquitto.conf's ciphers: names of OpenSSL, or of the RFCs, between colons, commas or
// spaces, and the words of OpenSSL that choose among these suites; "-" and "!" before one take suites out, "!" for good. It returns those that
// are left, in the order of the list, and what is not understood, which has no effect: OpenSSL has more suites and more words.
func ParseSuites(list string) (known []Suite, unknown []string) {
	banned := map[Suite]bool{}
	for _, name := range strings.FieldsFunc(strings.ReplaceAll(list, "@", ":@"), func(r rune) bool { return strings.ContainsRune(":, ;\t", r) }) {
		if strings.HasPrefix(name, "@") || slices.Contains(wordsForNone, strings.TrimLeft(name, "!-+")) {
			continue // an order, of which there is a fixed one here, or a group that has nothing in common with these suites
		}
		ids := suitesOf(strings.TrimLeft(name, "!-+"))
		switch {
		case ids == nil:
			unknown = append(unknown, name)
		case name[0] == '+': // moves to the end
		case name[0] == '!' || name[0] == '-':
			known = slices.DeleteFunc(known, func(id Suite) bool { return slices.Contains(ids, id) })
			for _, id := range ids {
				banned[id] = banned[id] || name[0] == '!'
			}
		default:
			for _, id := range ids {
				if !banned[id] && !slices.Contains(known, id) {
					known = append(known, id)
				}
			}
		}
	}
	return known, unknown
}

// wordsForNone are OpenSSL's words for groups of suites of which none is here.
var wordsForNone = []string{
	"aNULL", "eNULL", "NULL", "ADH", "AECDH", "LOW", "MEDIUM", "EXP", "EXPORT", "RC4", "RC2", "DES", "3DES", "IDEA", "SEED", "MD5", "SRP", "DSS", "aDSS",
	"CAMELLIA", "ARIA", "AESCCM", "RSA", "aRSA", "kRSA", "ECDSA", "aECDSA", "DH", "DHE", "EDH", "kDHE", "kDHEPSK", "kRSAPSK", "SSLv3", "TLSv1", "SHA", "SHA1",
}

// suitesOf returns the suites that a name or a word of OpenSSL stands for; nil: it is not known.
func suitesOf(name string) []Suite {
	is := func(s *suite) bool { return name == s.openssl || name == s.standard }
	switch name {
	case "PSK", "aPSK", "ALL", "HIGH", "DEFAULT", "TLSv1.2":
		is = func(*suite) bool { return true }
	case "kPSK":
		is = func(s *suite) bool { return !s.ecdhe }
	case "kECDHEPSK", "ECDHE", "EECDH", "kECDHE", "kEECDH":
		is = func(s *suite) bool { return s.ecdhe }
	case "AES", "AES128", "AES256", "CHACHA20":
		is = func(s *suite) bool { return strings.Contains(s.openssl, name) }
	case "AESGCM":
		is = func(s *suite) bool { return strings.Contains(s.openssl, "GCM") }
	}
	var ids []Suite
	for _, s := range suites {
		if is(s) {
			ids = append(ids, s.id)
		}
	}
	return ids
}

// choose returns the suites that ids stand for; all of them for none.
func choose(ids []Suite) ([]*suite, bool) {
	if len(ids) == 0 {
		return suites, true
	}
	var chosen []*suite
	for _, id := range ids {
		s := suiteOf(id)
		if s == nil {
			return nil, false
		}
		chosen = append(chosen, s)
	}
	return chosen, true
}
