package certs

import (
	"crypto/tls"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/testenv"
)

// names are OpenSSL's names of suites, sorted.
func names(ids []uint16) string {
	var out []string
	for _, s := range suites12() {
		if slices.Contains(ids, s.id) {
			out = append(out, s.name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestCipherListsAreReadAsOpenSSLWritesThem(t *testing.T) {
	t.Parallel()
	secure := names(func() (ids []uint16) {
		for _, s := range suites12() {
			if !s.weak {
				ids = append(ids, s.id)
			}
		}
		return ids
	}())
	const gcm = "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384"
	const gcm128 = "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256"
	for list, want := range map[string]string{
		"":                             "",
		"HIGH":                         secure,
		"DEFAULT:!aNULL:!eNULL:!MD5":   secure,
		"ALL:@STRENGTH":                secure,
		"ECDHE-RSA-AES128-GCM-SHA256":  "ECDHE-RSA-AES128-GCM-SHA256",
		"ECDHE+AESGCM+AES128":          gcm128,
		"AESGCM:-AES256":               gcm128,
		"AESGCM:-AES128:AES128+AESGCM": gcm,
		"AESGCM:!AES256:AES256+AESGCM": gcm128,
		"CHACHA20":                     "ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305",
		"ECDHE-ECDSA-CHACHA20-POLY1305, aRSA+CHACHA20":     "ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305",
		"HIGH:+AES256:!SHA1:!SHA:!CHACHA20:!AES256":        gcm128,
		"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256":            "ECDHE-RSA-AES128-GCM-SHA256",
		"kRSA+AESGCM:!ECDHE":                               "AES128-GCM-SHA256 AES256-GCM-SHA384",
		"AES128-SHA":                                       "AES128-SHA",
		"DHE-RSA-AES128-GCM-SHA256:AES256-GCM-SHA384":      "AES256-GCM-SHA384",
		"ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES256-SHA":     "ECDHE-RSA-AES256-SHA",
		"DEFAULT@SECLEVEL=1:-AES:!CHACHA20:PSK:AES256-SHA": "AES256-SHA",
	} {
		ids, warnings, err := parseCiphers(list)
		if err != nil || names(ids) != want {
			t.Errorf("%q: %s, %v\nwant %s", list, names(ids), err, want)
		}
		foreign := "DHE-RSA-AES128-GCM-SHA256"
		if strings.HasPrefix(list, foreign+":") && (len(warnings) != 2 || !strings.Contains(warnings[0], foreign)) {
			t.Errorf("%q: warnings %q", list, warnings)
		}
	}
	for list, want := range map[string]string{
		"FOO": `"FOO"`, "HIGH:ECDHE-RSA-AES128-GCM-SHA25": `"ECDHE-RSA-AES128-GCM-SHA25"`, "!HIGH": "leaves no cipher suite",
		"HIGH:!ALL": "leaves no cipher suite", "PSK": "leaves no cipher suite", "HIGH:@FOO": "@FOO", "!": `""`, "HIGH+": `""`, "high": `"high"`,
		"TLS_AES_128_GCM_SHA256": "leaves no cipher suite",
	} {
		if _, _, err := parseCiphers(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one that says %s", list, err, want)
		}
	}
}

// Every suite of OpenSSL is either one of ours or recognized as one that is not available, and all of ours are OpenSSL's.
func TestNamesAreOpenSSLs(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(testenv.Program(t, "openssl", "openssl"), "ciphers", "-stdname", "ALL:COMPLEMENTOFALL").Output()
	if err != nil {
		t.Fatal(err)
	}
	standard := map[string]string{} // OpenSSL's name to IANA's
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		standard[f[2]] = f[0]
		if _, _, err := parseCiphers("HIGH:" + f[2]); err != nil {
			t.Errorf("%s: %v", f[2], err)
		}
	}
	for _, s := range suites12() {
		want := strings.TrimSuffix(s.iana, "_OLD")
		if standard[s.name] != want {
			t.Errorf("%s is %s here, and %q for OpenSSL", s.name, want, standard[s.name])
		}
	}
}

func TestCiphersOfTLS13AreCheckedOnly(t *testing.T) {
	t.Parallel()
	all := "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
	for list, warnings := range map[string]int{"": 0, all: 0, "TLS_AES_256_GCM_SHA384": 1, "TLS_AES_128_CCM_SHA256:" + all: 1} {
		if got, err := checkCiphersTLS13(list); err != nil || len(got) != warnings {
			t.Errorf("%q: %q, %v", list, got, err)
		}
	}
	for _, list := range []string{"TLS_FOO", "HIGH", "TLS_AES_128_CCM_SHA256", all + ":"} {
		if _, err := checkCiphersTLS13(list); err == nil {
			t.Errorf("%q: no error", list)
		}
	}
	for _, name := range tls13Suites[:availableTLS13] {
		if !slices.ContainsFunc(tls.CipherSuites(), func(c *tls.CipherSuite) bool { return c.Name == name }) {
			t.Errorf("%s is not in use", name)
		}
	}
}
