package jwt

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/uniomq/unio/internal/auth"
)

// Options say which tokens are accepted.
type Options struct {
	// JWKSURL is where keys are fetched (RFC 7517, 5), at the start, every Refresh, and when a token names a key that is not there.
	JWKSURL string
	Refresh time.Duration // 0: DefaultRefresh
	CA      []byte        // certificates in PEM that may vouch for the URL's server; nil: the system's
	// JWKS is the content of a JWKS file.
	JWKS []byte
	// Keys are public keys or certificates in PEM.
	Keys [][]byte
	// Secret is the key of the algorithms HS256, HS384 and HS512.
	Secret []byte
	// Algorithms are those that are allowed; nil: those of public keys and, with Secret, HS256, HS384 and HS512, or these alone
	// if there is nothing but Secret.
	Algorithms []string

	Issuer   string        // the claim iss must be this one; empty: any
	Audience string        // the claim aud must have this one; empty: any
	Leeway   time.Duration // by which clocks may differ
	// AllowNoExpiry accepts tokens without end.
	AllowNoExpiry bool

	// UsernameClaim is the claim that is the user name: of a client that gave none, and otherwise it must be the same. Empty: none is.
	UsernameClaim string
	// Checks are claims that must have a value, or contain it.
	Checks []Check
	// Attributes are claims to copy, by the name that they get.
	Attributes map[string]string

	// FetchFailed is told why keys could not be fetched. May be nil.
	FetchFailed func(error)
}

// Check asks that a claim is what a template with %u and %c says.
type Check struct{ Claim, Value string }

// DefaultRefresh is the time between two fetches of keys.
const DefaultRefresh = time.Hour

var (
	publicAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	secretAlgorithms = []string{"HS256", "HS384", "HS512"}
)

// allowed returns the algorithms to allow. Never "none".
func (o *Options) allowed() ([]string, error) {
	public := o.JWKSURL != "" || o.JWKS != nil || len(o.Keys) > 0
	var usable []string
	if public {
		usable = append(usable, publicAlgorithms...)
	}
	if o.Secret != nil {
		usable = append(usable, secretAlgorithms...)
	}
	if len(usable) == 0 {
		return nil, errors.New("expected keys: a JWKS, a public key or a secret")
	}
	for _, a := range o.Algorithms {
		if !slices.Contains(usable, a) {
			return nil, fmt.Errorf("expected algorithms that fit the keys (%s), not %q", strings.Join(usable, ", "), a)
		}
	}
	if len(o.Algorithms) > 0 {
		usable = o.Algorithms
	}
	// RFC 7518, 3.2: a key at least as long as the hash.
	if n := leastSecret(usable); o.Secret != nil && len(o.Secret) < n {
		return nil, fmt.Errorf("expected a secret of at least %d bytes, not %d", n, len(o.Secret))
	}
	return usable, nil
}

func leastSecret(algorithms []string) int {
	switch {
	case slices.Contains(algorithms, "HS256"):
		return 32
	case slices.Contains(algorithms, "HS384"):
		return 48
	case slices.Contains(algorithms, "HS512"):
		return 64
	}
	return 0
}

// material stands for where the keys come from.
func (o *Options) material() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", o.JWKSURL, o.JWKS, o.Keys, o.Secret))
}

type check struct {
	claim string
	value *auth.Template
}

func parseChecks(checks []Check) ([]check, error) {
	parsed := make([]check, len(checks))
	for i, c := range checks {
		t, err := auth.ParseTemplate(c.Value, "uc")
		if err != nil {
			return nil, err
		}
		parsed[i] = check{c.Claim, t}
	}
	return parsed, nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return errors.New("expected a URL https://HOST/PATH without a password")
	}
	return nil
}
