package jwt

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
)

// signer makes tokens with an EC key.
type signer struct {
	*ecdsa.PrivateKey
	id string
}

func newSigner(t *testing.T, id string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, id}
}

func (s signer) sign(t *testing.T, claims gojwt.MapClaims) string {
	t.Helper()
	token := gojwt.NewWithClaims(gojwt.SigningMethodES256, claims)
	if s.id != "" {
		token.Header["kid"] = s.id
	}
	text, err := token.SignedString(s.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (s signer) pem(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&s.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// jwks returns the set of the public keys of signers, and a key of an unknown kind.
func jwks(t *testing.T, signers ...signer) []byte {
	t.Helper()
	set := jwkset.NewMemoryStorage()
	for _, s := range signers {
		key, err := jwkset.NewJWKFromKey(&s.PublicKey, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: s.id, USE: jwkset.UseSig}})
		if err != nil {
			t.Fatal(err)
		}
		if err := set.KeyWrite(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	text, err := set.JSONPublic(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.Replace(string(text), `{"keys":[`, `{"keys":[{"kty":"NEW","kid":"n"},`, 1))
}

func backend(t *testing.T, o Options) *Backend {
	t.Helper()
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func ask(t *testing.T, b *Backend, c *broker.Client, token string) auth.Answer {
	t.Helper()
	a, err := b.Check(t.Context(), &auth.Request{Client: c, Password: []byte(token)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func joe() *broker.Client { return &broker.Client{ID: "dev1", Username: "joe", HasUsername: true} }

// with returns the claims of a good token and others.
func with(more gojwt.MapClaims) gojwt.MapClaims {
	claims := gojwt.MapClaims{
		"iss": "issuer", "aud": []string{"other", "mqtt"}, "exp": time.Now().Add(time.Hour).Unix(), "sub": "joe", "client": []string{"dev1", "dev2"},
		"groups": []string{"a", "b"}, "realm": map[string]any{"roles": []string{"r"}}, "acl": map[string]any{"pub": []string{"t"}}, "level": 3,
	}
	for name, v := range more {
		if v == nil {
			delete(claims, name)
		} else {
			claims[name] = v
		}
	}
	return claims
}

func strict(s signer, t *testing.T) Options {
	return Options{
		Keys: [][]byte{s.pem(t)}, Issuer: "issuer", Audience: "mqtt", UsernameClaim: "sub", Checks: []Check{{"client", "%c"}, {"sub", "%u"}},
		Attributes: map[string]string{"groups": "groups", "roles": "realm.roles", "acl": "acl", "level": "level", "none": "missing"},
	}
}

const critical = "the token has crit: it asks for an extension that is not known"

// extended returns a good token with more in its header.
func (s signer) extended(t *testing.T, header map[string]any) string {
	t.Helper()
	token := gojwt.NewWithClaims(gojwt.SigningMethodES256, with(nil))
	maps.Copy(token.Header, header)
	text, err := token.SignedString(s.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const noName = "the token has no claim sub for the user name: expected a string of printable characters"

func TestTokensAreJudged(t *testing.T) {
	t.Parallel()
	s, other := newSigner(t, ""), newSigner(t, "")
	b := backend(t, strict(s, t))
	for _, c := range []struct {
		name   string
		token  string
		client *broker.Client
		want   auth.Verdict
		reason string
	}{
		{"good", s.sign(t, with(nil)), joe(), auth.Allow, "token"},
		{"no user name in CONNECT", s.sign(t, with(nil)), &broker.Client{ID: "dev2"}, auth.Allow, "token"},
		{"another user name", s.sign(t, with(nil)), &broker.Client{ID: "dev1", Username: "ann", HasUsername: true}, auth.Deny, "the user name is not that of the token"},
		{"another client id", s.sign(t, with(nil)), &broker.Client{ID: "dev3", Username: "joe", HasUsername: true}, auth.Deny, "the claim client does not fit the client"},
		{"another key", other.sign(t, with(nil)), joe(), auth.Deny, "the token's signature or algorithm is not accepted"},
		{"expired", s.sign(t, with(gojwt.MapClaims{"exp": time.Now().Add(-time.Second).Unix()})), joe(), auth.Deny, "the token has expired"},
		{"no end", s.sign(t, with(gojwt.MapClaims{"exp": nil})), joe(), auth.Deny, "the token lacks a claim that is asked for: exp, iss or aud"},
		{"not yet", s.sign(t, with(gojwt.MapClaims{"nbf": time.Now().Add(time.Hour).Unix()})), joe(), auth.Deny, "the token is not valid yet"},
		{"another issuer", s.sign(t, with(gojwt.MapClaims{"iss": "x"})), joe(), auth.Deny, "the token is of another issuer"},
		{"another audience", s.sign(t, with(gojwt.MapClaims{"aud": "x"})), joe(), auth.Deny, "the token is for another audience"},
		{"no user name in the token", s.sign(t, with(gojwt.MapClaims{"sub": nil})), joe(), auth.Deny, noName},
		{"a NUL", s.sign(t, with(gojwt.MapClaims{"sub": "joe\x00"})), &broker.Client{ID: "dev1"}, auth.Deny, noName},
		{"a number as user name", s.sign(t, with(gojwt.MapClaims{"sub": 42})), &broker.Client{ID: "dev1"}, auth.Deny, noName},
		{"a list as user name", s.sign(t, with(gojwt.MapClaims{"sub": []string{"joe"}})), &broker.Client{ID: "dev1"}, auth.Deny, noName},
		{"a line as user name", s.sign(t, with(gojwt.MapClaims{"sub": "joe\nann"})), &broker.Client{ID: "dev1"}, auth.Deny, noName},
		{"an invisible user name", s.sign(t, with(gojwt.MapClaims{"sub": "joe\u202e"})), &broker.Client{ID: "dev1"}, auth.Deny, noName},
		{"a long user name", s.sign(t, with(gojwt.MapClaims{"sub": strings.Repeat("x", 65536)})), &broker.Client{ID: "dev1"}, auth.Deny, noName},
		{"an unknown extension", s.extended(t, map[string]any{"crit": []string{"x"}, "x": true}), joe(), auth.Deny, critical},
		{"a payload of its own kind", s.extended(t, map[string]any{"crit": []string{"b64"}, "b64": false}), joe(), auth.Deny, critical},
		{"an empty list of extensions", s.extended(t, map[string]any{"crit": []string{}}), joe(), auth.Deny, critical},
		{"a password", "secret", joe(), auth.NotMine, "no token"},
		{"a password with dots", "a.b.c", joe(), auth.NotMine, "no token"},
		{"no password", "", joe(), auth.NotMine, "no token"},
	} {
		if got := ask(t, b, c.client, c.token); got.Verdict != c.want || got.Reason != c.reason {
			t.Errorf("%s: %v, %s; want %v, %s", c.name, got.Verdict, got.Reason, c.want, c.reason)
		}
	}
}

// TestNoAlgorithmCanBeTalkedInto tries the known ways around a signature.
func TestNoAlgorithmCanBeTalkedInto(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	secret := []byte(strings.Repeat("s", 64))
	b := backend(t, Options{Keys: [][]byte{public}, Secret: secret, Algorithms: []string{"RS256", "HS256"}})
	sign := func(m gojwt.SigningMethod, key any, header map[string]any) string {
		token := gojwt.NewWithClaims(m, with(nil))
		maps.Copy(token.Header, header)
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, token := range map[string]string{
		"none":                     sign(gojwt.SigningMethodNone, gojwt.UnsafeAllowNoneSignatureType, nil),
		"the public key as secret": sign(gojwt.SigningMethodHS256, public, nil),
		"not allowed":              sign(gojwt.SigningMethodHS512, secret, nil),
		"its own key":              sign(gojwt.SigningMethodHS256, []byte("x"), map[string]any{"jwk": map[string]any{"kty": "oct", "k": "eA"}}),
		"no signature":             sign(gojwt.SigningMethodRS256, rsaKey, nil)[:strings.LastIndexByte(sign(gojwt.SigningMethodRS256, rsaKey, nil), '.')+1],
	} {
		if got := ask(t, b, joe(), token); got.Verdict != auth.Deny {
			t.Errorf("%s: %v, %s", name, got.Verdict, got.Reason)
		}
	}
	for name, token := range map[string]string{"RS256": sign(gojwt.SigningMethodRS256, rsaKey, nil), "HS256": sign(gojwt.SigningMethodHS256, secret, nil)} {
		if got := ask(t, b, joe(), token); got.Verdict != auth.Allow {
			t.Errorf("%s: %v, %s", name, got.Verdict, got.Reason)
		}
	}
}

func TestClaimsBecomeAttributesAndTheEndOfTheConnection(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "")
	o := strict(s, t)
	o.Leeway = 5 * time.Second
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	a := ask(t, backend(t, o), &broker.Client{ID: "dev1"}, s.sign(t, with(gojwt.MapClaims{"exp": end.Unix()})))
	if a.Username != "joe" || !a.Expires.Equal(end.Add(o.Leeway)) {
		t.Errorf("user %q until %v, want joe until %v", a.Username, a.Expires, end.Add(o.Leeway))
	}
	want := map[string][]string{"groups": {"a", "b"}, "roles": {"r"}, "acl": {`{"pub":["t"]}`}, "level": {"3"}}
	got, _ := json.Marshal(a.Attributes)
	if wanted, _ := json.Marshal(want); string(got) != string(wanted) {
		t.Errorf("attributes %s, want %s", got, wanted)
	}
}

func TestValidFollowsTheRulesOfToday(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "")
	client := joe()
	token := s.sign(t, with(nil))
	proof := ask(t, backend(t, strict(s, t)), client, token).Proof
	for name, change := range map[string]func(*Options){
		"nothing":  func(*Options) {},
		"issuer":   func(o *Options) { o.Issuer = "another" },
		"audience": func(o *Options) { o.Audience = "another" },
		"keys":     func(o *Options) { o.Keys = [][]byte{newSigner(t, "").pem(t)} },
		"check":    func(o *Options) { o.Checks = []Check{{"groups", "admin"}} },
	} {
		o := strict(s, t)
		change(&o)
		if got, want := backend(t, o).Valid(client, proof), name == "nothing"; got != want {
			t.Errorf("after a change of %s the client is valid: %v", name, got)
		}
	}
}

func TestKeysFollowTheURL(t *testing.T) {
	t.Parallel()
	first, second := newSigner(t, "1"), newSigner(t, "2")
	var set atomic.Pointer[[]byte]
	publish := func(s ...signer) {
		text := jwks(t, s...)
		set.Store(&text)
	}
	publish(first)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(*set.Load()) }))
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	b := backend(t, Options{JWKSURL: server.URL, CA: ca, Refresh: 10 * time.Millisecond})
	if got := ask(t, b, joe(), first.sign(t, with(nil))); got.Verdict != auth.Allow {
		t.Errorf("a token of the first key: %v, %s", got.Verdict, got.Reason)
	}
	publish(second)
	for until := time.Now().Add(10 * time.Second); ; {
		oldKey, newKey := ask(t, b, joe(), first.sign(t, with(nil))), ask(t, b, joe(), second.sign(t, with(nil)))
		if newKey.Verdict == auth.Allow && oldKey.Verdict == auth.Deny && oldKey.Reason == "the token is signed with an unknown key" {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("after a change of keys the new one gives %v, the old one %v, %s", newKey.Verdict, oldKey.Verdict, oldKey.Reason)
		}
	}
}

func TestWithoutKeysNobodyIsLetIn(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "1")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer server.Close()
	failed := make(chan error, 1)
	b := backend(t, Options{JWKSURL: server.URL, FetchFailed: func(err error) { failed <- err }})
	if err := <-failed; !strings.Contains(err.Error(), "expected status 200, not 502") {
		t.Errorf("told %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it does not wait for another fetch
	if a, err := b.Check(ctx, &auth.Request{Client: joe(), Password: []byte(s.sign(t, with(nil)))}); !errors.Is(err, errNoKeys) {
		t.Errorf("answer %v, %v", a.Verdict, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "1")
	long := []byte(strings.Repeat("s", 32))
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "expected keys"},
		{Options{Secret: []byte("short")}, "at least 32 bytes"},
		{Options{Secret: long, Algorithms: []string{"HS512"}}, "at least 64 bytes"},
		{Options{Secret: long, Algorithms: []string{"RS256"}}, "algorithms that fit the keys"},
		{Options{Keys: [][]byte{s.pem(t)}, Algorithms: []string{"none"}}, "algorithms that fit the keys"},
		{Options{Keys: [][]byte{[]byte("x")}}, "public key or a certificate in PEM"},
		{Options{JWKS: []byte("x")}, "expected a JWKS"},
		{Options{JWKS: []byte(`{"keys":[]}`)}, "1 to 100 keys"},
		{Options{JWKSURL: "ftp://x"}, "expected a URL"},
		{Options{Keys: [][]byte{s.pem(t)}, Checks: []Check{{"sub", "%p"}}}, "expected one of u c behind %"},
	} {
		b, err := New(c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
		if err == nil {
			_ = b.Close()
		}
	}
	if _, err := New(Options{JWKS: jwks(t, s)}); err != nil {
		t.Error(err)
	}
}

func FuzzCheck(f *testing.F) {
	b, err := New(Options{Secret: []byte(strings.Repeat("s", 32)), UsernameClaim: "a.b"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		a, err := b.Check(t.Context(), &auth.Request{Client: joe(), Password: []byte(token)})
		if err != nil || !slices.Contains([]auth.Verdict{auth.Deny, auth.NotMine}, a.Verdict) {
			t.Fatalf("%v, %v", a, err)
		}
	})
}
