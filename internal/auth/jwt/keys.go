package jwt

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/uniomq/unio/internal/auth"
)

var (
	errNoKeys = errors.New("the keys have not been fetched yet")
	errNoKey  = errors.New("unknown key")
)

// Limits of the fetching of keys.
const (
	maxJWKS      = 1 << 20          // bytes of a JWKS
	maxKeys      = 100              // of a JWKS
	fetchTimeout = 10 * time.Second // of one fetch
	fetchPause   = 10 * time.Second // between two fetches, however many tokens name unknown keys
)

// key is one key that may verify signatures.
type key struct {
	id        string // of a JWKS; empty: any
	algorithm string // empty: any that fits
	key       any
}

// keys are the keys of a backend: those that do not change, and those of the URL.
type keys struct {
	fixed   []key
	fetched atomic.Pointer[[]key] // nil: there is no URL, or it has not been reached yet
	url     string
	client  *http.Client
	refresh time.Duration
	failed  func(error)

	missing chan struct{} // a token names a key that is not there
	cancel  context.CancelFunc
	done    sync.WaitGroup

	mu   sync.Mutex    // guards next
	next chan struct{} // closed when the next fetch has ended, well or not
}

func newKeys(o *Options) (*keys, error) {
	k := &keys{
		url: o.JWKSURL, refresh: o.Refresh, failed: o.FetchFailed, missing: make(chan struct{}, 1), next: make(chan struct{}), cancel: func() {},
	}
	for _, text := range o.Keys {
		public, err := parsePEM(text)
		if err != nil {
			return nil, err
		}
		k.fixed = append(k.fixed, key{key: public})
	}
	if o.Secret != nil {
		k.fixed = append(k.fixed, key{key: o.Secret})
	}
	if o.JWKS != nil {
		set, err := parseJWKS(o.JWKS)
		if err != nil {
			return nil, err
		}
		k.fixed = append(k.fixed, set...)
	}
	if k.url == "" {
		return k, nil
	}
	if k.refresh <= 0 {
		k.refresh = DefaultRefresh
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if o.CA != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("expected certificates in PEM")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	k.client = &http.Client{Transport: transport, Timeout: fetchTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // whose status is not 200: keys come from the URL that was configured
	}}
	ctx, cancel := context.WithCancel(context.Background())
	k.cancel = cancel
	k.done.Go(func() { k.run(ctx) })
	return k, nil
}

func (k *keys) close() {
	k.cancel()
	k.done.Wait()
	if k.client != nil {
		k.client.CloseIdleConnections()
	}
}

// run fetches the keys until ctx ends. What was fetched last stays in force while a fetch fails.
func (k *keys) run(ctx context.Context) {
	for ctx.Err() == nil {
		set, err := k.fetch(ctx)
		wait := k.refresh
		if err == nil {
			k.fetched.Store(&set)
		} else if ctx.Err() == nil {
			wait = min(wait, fetchPause)
			if k.failed != nil {
				k.failed(fmt.Errorf("fetch the keys of tokens: %w", err))
			}
		}
		select { // what was missed before this fetch is answered by it
		case <-k.missing:
		default:
		}
		k.mu.Lock()
		close(k.next)
		k.next = make(chan struct{})
		k.mu.Unlock()
		auth.Pause(ctx, min(wait, fetchPause), nil)
		auth.Pause(ctx, wait-fetchPause, k.missing)
	}
}

func (k *keys) fetch(ctx context.Context) ([]key, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	res, err := k.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok { // its text repeats the URL
			err = u.Err
		}
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("expected status 200, not %d", res.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxJWKS+1))
	if err != nil {
		return nil, err
	}
	return parseJWKS(text)
}

// find returns the keys that may verify a token.
func (k *keys) find(ctx context.Context, t *gojwt.Token) (any, error) {
	id, _ := t.Header["kid"].(string)
	found := k.matching(id, t.Method.Alg())
	if len(found) == 0 && k.url != "" {
		k.mu.Lock()
		next := k.next
		k.mu.Unlock()
		if found = k.matching(id, t.Method.Alg()); len(found) == 0 {
			k.await(ctx, next)
			found = k.matching(id, t.Method.Alg())
		}
		if len(found) == 0 && k.fetched.Load() == nil {
			return nil, errNoKeys
		}
	}
	if len(found) == 0 {
		return nil, errNoKey
	}
	return gojwt.VerificationKeySet{Keys: found}, nil
}

// await asks for a fetch and waits for its end, not much longer than a fetch takes that begins at once.
func (k *keys) await(ctx context.Context, next <-chan struct{}) {
	select {
	case k.missing <- struct{}{}:
	default: // somebody has asked
	}
	const patience = 2 * time.Second
	auth.Pause(ctx, patience, next)
}

// matching returns the keys of an id, or of any if the token names none, that may be used with an algorithm.
func (k *keys) matching(id, algorithm string) []gojwt.VerificationKey {
	all := k.fixed
	if set := k.fetched.Load(); set != nil {
		all = append(slices.Clip(all), *set...)
	}
	var found []gojwt.VerificationKey
	for _, key := range all {
		if (id == "" || key.id == "" || key.id == id) && (key.algorithm == "" || key.algorithm == algorithm) && fits(key.key, algorithm) {
			found = append(found, key.key)
		}
	}
	return found
}

// fits reports whether a key is of the kind of an algorithm: a public key is never a secret.
func fits(key any, algorithm string) bool {
	_, secret := key.([]byte)
	return secret == (algorithm[0] == 'H')
}

// parseJWKS reads the keys for signatures of a set. Kinds that are not known are passed over (RFC 7517, 5).
func parseJWKS(text []byte) ([]key, error) {
	var set jwkset.JWKSMarshal
	if len(text) > maxJWKS {
		return nil, fmt.Errorf("expected a JWKS of at most %d bytes", maxJWKS)
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("expected a JWKS: a JSON object with keys")
	}
	var all []key
	for _, m := range set.Keys {
		if m.USE != "" && m.USE != jwkset.UseSig {
			continue
		}
		jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{Private: true}, jwkset.JWKValidateOptions{})
		if errors.Is(err, jwkset.ErrUnsupportedKey) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("expected a JWKS, but its key %q is not valid", m.KID)
		}
		k := key{id: m.KID, algorithm: m.ALG.String(), key: jwk.Key()}
		if private, ok := k.key.(crypto.Signer); ok {
			k.key = private.Public()
		}
		all = append(all, k)
	}
	if len(all) == 0 || len(all) > maxKeys {
		return nil, fmt.Errorf("expected a JWKS with 1 to %d keys for signatures, not %d", maxKeys, len(all))
	}
	return all, nil
}

// parsePEM reads a public key or a certificate.
func parsePEM(text []byte) (any, error) {
	block, _ := pem.Decode(text)
	if block != nil {
		switch block.Type {
		case "PUBLIC KEY":
			if key, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
				return key, nil
			}
		case "RSA PUBLIC KEY":
			if key, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
				return key, nil
			}
		case "CERTIFICATE":
			if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
				return cert.PublicKey, nil
			}
		}
	}
	return nil, errors.New("expected a public key or a certificate in PEM")
}
