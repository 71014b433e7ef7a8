package http

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
)

// Name is the backend's name in auth_chain.
const Name = "http"

// Options say whom to ask, and how.
type Options struct {
	URL    string
	CA     []byte      // certificates in PEM that may vouch for the server; nil: the system's
	Header http.Header // to send along
	Get    bool        // the fields go into the query of a GET
	Form   bool        // else they go as a form, not as JSON
	Fields [][2]string // name and template; nil: DefaultFields
	// StatusOnly takes the answer from the status: 200 and 204 allow, 401 and 403 deny, 404 does not know the client.
	StatusOnly bool
	// Connections bounds those to the server; 0: DefaultConnections.
	Connections int
}

// DefaultFields are what is sent where nothing else is said.
var DefaultFields = [][2]string{{"username", "%u"}, {"password", "%p"}, {"clientid", "%c"}, {"address", "%a"}}

// DefaultConnections is how many connections to the server there are at most.
const DefaultConnections = 32

// maxBody bounds an answer, in bytes.
const maxBody = 64 << 10

// Backend asks a web server.
type Backend struct {
	o      Options
	fields []field
	client *http.Client
}

type field struct {
	name  string
	value *auth.Template
}

var (
	_ auth.Bounded   = (*Backend)(nil)
	_ auth.Validator = (*Backend)(nil)
)

// New returns a backend. It does not reach for the server.
func New(o Options) (*Backend, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("expected a URL https://HOST/PATH; a password for it has its place in auth_http_header_file")
	}
	b := &Backend{o: o}
	if o.Fields == nil {
		o.Fields = DefaultFields
	}
	for _, f := range o.Fields {
		t, err := auth.ParseTemplate(f[1], "upca")
		if err != nil {
			return nil, err
		}
		b.fields = append(b.fields, field{f[0], t})
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second,
		MaxConnsPerHost: b.Connections(), TLSHandshakeTimeout: 10 * time.Second,
	}
	transport.MaxIdleConnsPerHost = transport.MaxConnsPerHost
	if o.CA != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("expected certificates in PEM")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	b.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // passwords go where the configuration says, and nowhere else
	}}
	return b, nil
}

// Close closes idle connections.
func (b *Backend) Close() error {
	b.client.CloseIdleConnections()
	return nil
}

// Name returns Name.
func (*Backend) Name() string { return Name }

// Connections implements auth.Bounded.
func (b *Backend) Connections() int { return cmp.Or(max(b.o.Connections, 0), DefaultConnections) }

// Valid reports whether the same server, asked in the same way, let the client in. It cannot be asked again without the password.
func (b *Backend) Valid(_ *broker.Client, proof any) bool { return proof == b }

// Check asks the server.
func (b *Backend) Check(ctx context.Context, r *auth.Request) (auth.Answer, error) {
	if !b.o.Get && !b.o.Form && !utf8.Valid(r.Password) {
		return auth.Denied("the password is not UTF-8, which JSON cannot carry as it is"), nil
	}
	req, err := b.request(ctx, r)
	if err != nil {
		return auth.Answer{}, plain(err)
	}
	res, err := b.client.Do(req)
	if err != nil {
		return auth.Answer{}, plain(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1)) // all of it, so that the connection can be used again
	if err != nil {
		return auth.Answer{}, plain(err)
	}
	a, err := b.answer(res, body)
	if a.Verdict == auth.Allow {
		a.Proof = b
	}
	return a, err
}

// plain takes the URL, which may hold a password, out of an error.
func plain(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func (b *Backend) request(ctx context.Context, r *auth.Request) (*http.Request, error) {
	form, object := url.Values{}, map[string]string{}
	for _, f := range b.fields {
		v := f.value.Expand(func(letter byte) string { return auth.ValueOf(letter, r.Client, r.Password) })
		form.Set(f.name, v)
		object[f.name] = v
	}
	method, to, kind := http.MethodPost, b.o.URL, "application/json"
	var body []byte
	switch {
	case b.o.Get:
		method, kind = http.MethodGet, ""
		separator := "?"
		if strings.Contains(to, "?") {
			separator = "&"
		}
		to += separator + form.Encode()
	case b.o.Form:
		kind, body = "application/x-www-form-urlencoded", []byte(form.Encode())
	default:
		var err error
		if body, err = json.Marshal(object); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, b.o.Header)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if !b.o.StatusOnly {
		req.Header.Set("Accept", "application/json")
	}
	return req, nil
}

// answer reads what the server says.
func (b *Backend) answer(res *http.Response, body []byte) (auth.Answer, error) {
	switch {
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		return auth.Denied(fmt.Sprintf("status %d", res.StatusCode)), nil
	case b.o.StatusOnly && res.StatusCode == http.StatusNotFound:
		return auth.Unknown("status 404"), nil
	case b.o.StatusOnly && (res.StatusCode == http.StatusOK || res.StatusCode == http.StatusNoContent):
		return auth.Answer{Verdict: auth.Allow, Reason: fmt.Sprintf("status %d", res.StatusCode)}, nil
	case res.StatusCode != http.StatusOK || b.o.StatusOnly:
		return auth.Answer{}, fmt.Errorf("status %d is no answer", res.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return auth.Answer{}, errors.New("expected an answer of the type application/json")
	}
	return parse(body)
}

// reply is the JSON object of an answer. Names are those of EMQX.
type reply struct {
	Result    string          `json:"result"`
	Superuser bool            `json:"is_superuser"`
	Groups    []string        `json:"groups"`
	Expires   json.Number     `json:"expire_at"` // seconds since 1970
	Attrs     json.RawMessage `json:"client_attrs"`
}

func parse(body []byte) (auth.Answer, error) {
	var r reply
	if len(body) > maxBody {
		return auth.Answer{}, fmt.Errorf("expected an answer of at most %d bytes", maxBody)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return auth.Answer{}, errors.New("expected a JSON object with result, is_superuser, groups, client_attrs and expire_at")
	}
	switch r.Result {
	case "deny":
		return auth.Denied("result deny"), nil
	case "ignore":
		return auth.Unknown("result ignore"), nil
	case "allow":
	default:
		return auth.Answer{}, errors.New("expected the result allow, deny or ignore")
	}
	a := auth.Answer{Verdict: auth.Allow, Reason: "result allow", Attributes: map[string][]string{}}
	var attributes map[string]string
	if r.Attrs != nil && json.Unmarshal(r.Attrs, &attributes) != nil {
		return auth.Answer{}, errors.New("expected an object of texts in client_attrs")
	}
	for name, value := range attributes {
		a.Attributes[name] = []string{value}
	}
	if len(r.Groups) > 0 {
		a.Attributes["groups"] = r.Groups
	}
	if r.Superuser {
		a.Attributes["superuser"] = []string{"true"}
	}
	if r.Expires != "" {
		at, err := r.Expires.Int64()
		if err != nil {
			return auth.Answer{}, errors.New("expected whole seconds since 1970 in expire_at")
		}
		a.Expires = time.Unix(at, 0)
	}
	return a, nil
}
