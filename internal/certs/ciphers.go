package certs

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// suite is a cipher suite for TLS 1.2 with what OpenSSL's keywords ask about.
type suite struct {
	id     uint16
	iana   string
	name   string // OpenSSL's
	rsaKey bool   // no forward secrecy: the client sends the secret under the server's RSA key
	ecdsa  bool   // the certificate's key is ECDSA or Ed25519; else it is RSA
	weak   bool   // crypto/tls has it but does not use it unless told to
}

func (s suite) has(part string) bool { return strings.Contains(s.name, part) }

func (s suite) aead() bool { return s.has("GCM") || s.has("CHACHA20") }

// suites12 are the suites that can be had. RC4 and 3DES, which crypto/tls still has, cannot, as in today's OpenSSL.
func suites12() []suite {
	openSSLName := strings.NewReplacer("TLS_RSA_WITH_", "", "TLS_", "", "_WITH", "", "AES_128", "AES128", "AES_256", "AES256", "_CBC", "",
		"POLY1305_SHA256", "POLY1305", "_", "-")
	var out []suite
	add := func(from []*tls.CipherSuite) {
		for _, c := range from {
			if !slices.Contains(c.SupportedVersions, tls.VersionTLS12) || strings.Contains(c.Name, "RC4") || strings.Contains(c.Name, "3DES") {
				continue
			}
			out = append(out, suite{
				id: c.ID, iana: c.Name, name: openSSLName.Replace(c.Name), weak: c.Insecure,
				rsaKey: strings.HasPrefix(c.Name, "TLS_RSA_"), ecdsa: strings.Contains(c.Name, "ECDSA"),
			})
		}
	}
	add(tls.CipherSuites())
	add(tls.InsecureCipherSuites())
	return out
}

// cipherKeywords are OpenSSL's words for groups of suites. A group brings in no weak suite, except with the words for the RSA key
// exchange, which mean nothing else; weak suites want to be named.
var cipherKeywords = map[string]func(suite) bool{
	"ALL":      func(suite) bool { return true },
	"DEFAULT":  func(suite) bool { return true },
	"HIGH":     func(suite) bool { return true },
	"FIPS":     func(s suite) bool { return !s.has("CHACHA20") },
	"kRSA":     func(s suite) bool { return s.rsaKey },
	"RSA":      func(s suite) bool { return s.rsaKey },
	"aRSA":     func(s suite) bool { return !s.ecdsa },
	"ECDSA":    func(s suite) bool { return s.ecdsa },
	"aECDSA":   func(s suite) bool { return s.ecdsa },
	"ECDHE":    func(s suite) bool { return !s.rsaKey },
	"EECDH":    func(s suite) bool { return !s.rsaKey },
	"kECDHE":   func(s suite) bool { return !s.rsaKey },
	"kEECDH":   func(s suite) bool { return !s.rsaKey },
	"ECDH":     func(s suite) bool { return !s.rsaKey },
	"AES":      func(s suite) bool { return s.has("AES") },
	"AES128":   func(s suite) bool { return s.has("AES128") },
	"AES256":   func(s suite) bool { return s.has("AES256") },
	"AESGCM":   func(s suite) bool { return s.has("GCM") },
	"CHACHA20": func(s suite) bool { return s.has("CHACHA20") },
	"SHA":      func(s suite) bool { return strings.HasSuffix(s.name, "-SHA") },
	"SHA1":     func(s suite) bool { return strings.HasSuffix(s.name, "-SHA") },
	"SHA256":   func(s suite) bool { return !s.aead() && s.has("SHA256") },
	"SHA384":   func(s suite) bool { return !s.aead() && s.has("SHA384") },
	"TLSv1.2":  func(s suite) bool { return s.aead() || s.has("SHA256") },
	"TLSv1":    func(s suite) bool { return strings.HasSuffix(s.name, "-SHA") },
	"TLSv1.0":  func(s suite) bool { return strings.HasSuffix(s.name, "-SHA") },
	"SSLv3":    func(s suite) bool { return strings.HasSuffix(s.name, "-SHA") },
}

func admitsWeak(word string) bool { return word == "kRSA" || word == "RSA" }

// emptyKeywords are words for groups of which crypto/tls has no suite.
const emptyKeywords = `aNULL eNULL NULL MEDIUM LOW EXP EXPORT EXPORT40 EXPORT56 RC4 RC2 DES 3DES IDEA SEED MD5
 CAMELLIA CAMELLIA128 CAMELLIA256 ARIA ARIA128 ARIA256 ARIAGCM AESCCM AESCCM8 CBC
 DH DHE EDH kDHE kEDH kDH kDHr kDHd ADH AECDH aDSS DSS aDH aECDH kECDH kECDHr kECDHe
 PSK kPSK aPSK kRSAPSK kDHEPSK kECDHEPSK SRP kSRP aSRP KRB5 kKRB5 aKRB5
 GOST aGOST aGOST01 kGOST GOST94 GOST89MAC aFZA kFZA eFZA FZA COMPLEMENTOFALL COMPLEMENTOFDEFAULT SUITEB128 SUITEB192 SUITEB128ONLY`

// suiteParts are what names of suites that OpenSSL has, or had, are made of.
const suiteParts = `ECDHE DHE EDH ADH AECDH ECDH DH PSK RSA DSS ECDSA SRP EXP NULL MD5 SHA SHA256 SHA384 GCM CCM CCM8 CBC CBC3 DES RC4 RC2
 IDEA SEED POLY1305 CHACHA20 AES128 AES256 AES 128 256 CAMELLIA128 CAMELLIA256 ARIA128 ARIA256`

func isWord(list, word string) bool { return slices.Contains(strings.Fields(list), word) }

// isForeignSuite reports whether name looks like a suite of OpenSSL that crypto/tls does not have.
func isForeignSuite(name string) bool {
	parts := strings.Split(name, "-")
	for _, p := range parts {
		if !isWord(suiteParts, p) {
			return false
		}
	}
	return len(parts) > 1
}

// cipherList is the state of working through a list.
type cipherList struct {
	suites   []suite
	chosen   []bool
	banned   []bool // by "!": for good
	warnings []string
}

// parseCiphers gives the cipher suites that a list in OpenSSL's language chooses for TLS 1.2; "" stands for those of crypto/tls. The order
// does not count, since crypto/tls has its own.
func parseCiphers(list string) (ids []uint16, warnings []string, err error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil, nil
	}
	all := suites12()
	l := &cipherList{suites: all, chosen: make([]bool, len(all)), banned: make([]bool, len(all))}
	words := strings.FieldsFunc(strings.ReplaceAll(list, "@", ":@"), func(r rune) bool { return strings.ContainsRune(":, ;\t", r) })
	for _, word := range words {
		if err := l.apply(word); err != nil {
			return nil, nil, err
		}
	}
	for i, s := range l.suites {
		if !l.chosen[i] {
			continue
		}
		ids = append(ids, s.id)
		if s.weak {
			l.warnings = append(l.warnings, s.name+" is weak; use it only for devices that have nothing better")
		}
	}
	if len(ids) == 0 {
		return nil, nil, fmt.Errorf("the list %q leaves no cipher suite; want for example ECDHE-RSA-AES128-GCM-SHA256 or HIGH", list)
	}
	return ids, l.warnings, nil
}

// apply is one element of the list: an operator, and words joined by "+" that must all hold.
func (l *cipherList) apply(word string) error {
	if rest, ok := strings.CutPrefix(word, "@"); ok {
		return l.command(rest)
	}
	operator := byte(0)
	if strings.IndexByte("!-+", word[0]) >= 0 {
		operator, word = word[0], word[1:]
	}
	in := make([]bool, len(l.suites))
	for i := range in {
		in[i] = true
	}
	weak := false
	for part := range strings.SplitSeq(word, "+") {
		if err := l.narrow(in, part, operator == 0); err != nil {
			return err
		}
		weak = weak || admitsWeak(part) || l.isSuite(part)
	}
	for i := range in {
		switch {
		case !in[i]:
		case operator == '!':
			l.chosen[i], l.banned[i] = false, true
		case operator == '-':
			l.chosen[i] = false
		case operator == 0:
			l.chosen[i] = l.chosen[i] || !l.banned[i] && (weak || !l.suites[i].weak)
		} // "+" only moves suites to the end
	}
	return nil
}

// narrow keeps those of in that word stands for.
func (l *cipherList) narrow(in []bool, word string, adds bool) error {
	matches := cipherKeywords[word]
	switch {
	case matches != nil:
	case l.isSuite(word):
		matches = func(s suite) bool { return s.name == word || s.iana == word }
	case isTLS13Suite(word):
		matches = func(suite) bool { return false }
		l.warnings = append(l.warnings, word+" is for TLS 1.3: it belongs to ciphers_tls1.3")
	case isWord(emptyKeywords, word):
		matches = func(suite) bool { return false }
	case isForeignSuite(word):
		matches = func(suite) bool { return false }
		if adds {
			l.warnings = append(l.warnings, word+" is not available, and left out")
		}
	default:
		return fmt.Errorf("%q is no cipher suite; want OpenSSL's names or words with colons between, for example ECDHE-RSA-AES128-GCM-SHA256",
			word)
	}
	for i := range in {
		in[i] = in[i] && matches(l.suites[i])
	}
	return nil
}

func (l *cipherList) isSuite(word string) bool {
	return slices.ContainsFunc(l.suites, func(s suite) bool { return s.name == word || s.iana == word })
}

func (l *cipherList) command(word string) error {
	switch {
	case word == "STRENGTH":
	case strings.HasPrefix(word, "SECLEVEL="):
		l.warnings = append(l.warnings, "@"+word+" has no effect: there are no security levels")
	default:
		return fmt.Errorf("\"@%s\" is not known; want @STRENGTH", word)
	}
	return nil
}

// tls13Suites are the suites of RFC 8446, appendix B.4; crypto/tls has the first three.
var tls13Suites = []string{
	"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256",
}

const availableTLS13 = 3

func isTLS13Suite(name string) bool { return slices.Contains(tls13Suites, name) }

// checkCiphersTLS13 looks at a list of suites for TLS 1.3, which crypto/tls does not let anybody choose.
func checkCiphersTLS13(list string) (warnings []string, err error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	named := map[string]bool{}
	for name := range strings.SplitSeq(list, ":") {
		name = strings.TrimSpace(name)
		i := slices.Index(tls13Suites, name)
		switch {
		case i < 0:
			return nil, fmt.Errorf("%q is no cipher suite of TLS 1.3; want %s", name, strings.Join(tls13Suites[:availableTLS13], ", "))
		case i >= availableTLS13:
			warnings = append(warnings, name+" is not available, and left out")
		default:
			named[name] = true
		}
	}
	switch {
	case len(named) == 0:
		return nil, fmt.Errorf("the list %q leaves no cipher suite; want %s", list, strings.Join(tls13Suites[:availableTLS13], ", "))
	case len(named) < availableTLS13:
		warnings = append(warnings, "the suites of TLS 1.3 cannot be chosen; in use are "+strings.Join(tls13Suites[:availableTLS13], ", "))
	}
	return warnings, nil
}
