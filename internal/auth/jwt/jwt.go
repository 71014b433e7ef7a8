package jwt

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
)

// Name is the backend's name in auth_chain.
const Name = "jwt"

// Backend verifies tokens.
type Backend struct {
	o         Options
	material  [sha256.Size]byte
	parser    *gojwt.Parser
	validator *gojwt.Validator
	checks    []check
	keys      *keys
}

var (
	_ auth.Backend   = (*Backend)(nil)
	_ auth.Validator = (*Backend)(nil)
)

// New returns a backend. The keys of JWKSURL are fetched in the background: until they are there, tokens are refused.
func New(o Options) (*Backend, error) {
	algorithms, err := o.allowed()
	if err != nil {
		return nil, err
	}
	if o.JWKSURL != "" {
		if err := checkURL(o.JWKSURL); err != nil {
			return nil, err
		}
	}
	b := &Backend{o: o, material: o.material()}
	if b.checks, err = parseChecks(o.Checks); err != nil {
		return nil, err
	}
	rules := []gojwt.ParserOption{
		gojwt.WithValidMethods(algorithms), gojwt.WithLeeway(o.Leeway), gojwt.WithJSONNumber(), gojwt.WithStrictDecoding(),
	}
	if o.Issuer != "" {
		rules = append(rules, gojwt.WithIssuer(o.Issuer))
	}
	if o.Audience != "" {
		rules = append(rules, gojwt.WithAudience(o.Audience))
	}
	if !o.AllowNoExpiry {
		rules = append(rules, gojwt.WithExpirationRequired())
	}
	b.parser, b.validator = gojwt.NewParser(rules...), gojwt.NewValidator(rules...)
	b.keys, err = newKeys(&o)
	return b, err
}

// Close ends the fetching of keys.
func (b *Backend) Close() error {
	b.keys.close()
	return nil
}

// Name returns Name.
func (*Backend) Name() string { return Name }

// Check verifies the token that the client has in place of a password.
func (b *Backend) Check(ctx context.Context, r *auth.Request) (auth.Answer, error) {
	text := string(r.Password)
	if !isToken(text) {
		return auth.Unknown("no token"), nil
	}
	claims := gojwt.MapClaims{}
	_, err := b.parser.ParseWithClaims(text, claims, func(t *gojwt.Token) (any, error) {
		if _, there := t.Header["crit"]; there { // RFC 7515, 4.1.11: what is not understood is not to be accepted
			return nil, errCritical
		}
		return b.keys.find(ctx, t)
	})
	switch {
	case errors.Is(err, errNoKeys):
		return auth.Answer{}, errNoKeys
	case err != nil:
		return auth.Denied(reason(err)), nil
	}
	return b.judge(r.Client, claims), nil
}

// judge says what follows from the claims of a token that is signed and in time.
func (b *Backend) judge(c *broker.Client, claims gojwt.MapClaims) auth.Answer {
	a := auth.Answer{Verdict: auth.Allow, Reason: "token", Proof: proof{b.material, claims}}
	name := c.Username
	if claim := b.o.UsernameClaim; claim != "" {
		var ok bool
		if name, ok = lookup(claims, claim).(string); !ok || !isName(name) {
			return auth.Denied("the token has no claim " + claim + " for the user name: expected a string of printable characters")
		}
		if c.Username != "" && c.Username != name {
			return auth.Denied("the user name is not that of the token")
		}
		a.Username = name
	}
	for _, check := range b.checks {
		want := check.value.Expand(func(letter byte) string {
			if letter == 'u' {
				return name
			}
			return auth.ValueOf(letter, c, nil)
		})
		if !contains(lookup(claims, check.claim), want) {
			return auth.Denied("the claim " + check.claim + " does not fit the client")
		}
	}
	for name, claim := range b.o.Attributes {
		if values := texts(lookup(claims, claim)); values != nil {
			if a.Attributes == nil {
				a.Attributes = map[string][]string{}
			}
			a.Attributes[name] = values
		}
	}
	if end, err := claims.GetExpirationTime(); err == nil && end != nil {
		a.Expires = end.Add(b.o.Leeway)
	}
	return a
}

// maxName is the length of a user name in MQTT, in bytes.
const maxName = 65535

// isName reports whether a text may be a user name: names stand in logs, and in topics by rules with %u.
func isName(text string) bool {
	return text != "" && len(text) <= maxName && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// errCritical says that a token asks for something that is not known here, such as RFC 7797's payloads.
var errCritical = errors.New("crit")

// proof is what a client was let in with, without the signature.
type proof struct {
	material [sha256.Size]byte
	claims   gojwt.MapClaims
}

// Valid reports whether the client's token would do under the rules of today: its keys come from the same place, and its claims fit.
func (b *Backend) Valid(c *broker.Client, p any) bool {
	was, ok := p.(proof)
	return ok && was.material == b.material && b.validator.Validate(was.claims) == nil && b.judge(c, was.claims).Verdict == auth.Allow
}

// isToken reports whether a text looks as a signed token does (RFC 7515, 3.1): three parts, the first of which is a header.
func isToken(text string) bool {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return false
	}
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	var fields struct {
		Alg string `json:"alg"`
	}
	return err == nil && json.Unmarshal(header, &fields) == nil && fields.Alg != ""
}

// reason says why a token is denied, in words that hold nothing of it.
func reason(err error) string {
	for _, cause := range []struct {
		err  error
		text string
	}{
		{gojwt.ErrTokenExpired, "the token has expired"},
		{gojwt.ErrTokenNotValidYet, "the token is not valid yet"},
		{gojwt.ErrTokenInvalidIssuer, "the token is of another issuer"},
		{gojwt.ErrTokenInvalidAudience, "the token is for another audience"},
		{gojwt.ErrTokenRequiredClaimMissing, "the token lacks a claim that is asked for: exp, iss or aud"},
		{errCritical, "the token has crit: it asks for an extension that is not known"},
		{errNoKey, "the token is signed with an unknown key"},
		{gojwt.ErrTokenSignatureInvalid, "the token's signature or algorithm is not accepted"},
		{gojwt.ErrTokenUnverifiable, "the token's algorithm is not known"},
	} {
		if errors.Is(err, cause.err) {
			return cause.text
		}
	}
	return "the token is malformed"
}

// lookup returns a claim; a dot leads into an object, unless a claim has that name as a whole.
func lookup(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok {
		return v
	}
	first, rest, nested := strings.Cut(path, ".")
	if object, ok := claims[first].(map[string]any); ok && nested {
		return lookup(object, rest)
	}
	return nil
}

// texts returns a claim as texts: those of an array one by one, objects as JSON.
func texts(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return []string{v}
	case []any:
		all := make([]string, 0, len(v))
		for _, element := range v {
			if _, nested := element.([]any); !nested {
				all = append(all, texts(element)...)
			}
		}
		return all
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return []string{string(text)}
}

func contains(v any, want string) bool {
	return slices.Contains(texts(v), want)
}
