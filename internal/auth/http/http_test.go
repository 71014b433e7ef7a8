package http

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
)

func request() *auth.Request {
	return &auth.Request{
		Client:   &broker.Client{ID: "c&1", Username: "joe", HasUsername: true, RemoteAddr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7)}},
		Password: []byte(`se"cret&x`),
	}
}

// server answers each request with a status and a body, and keeps the last request.
type server struct {
	*httptest.Server
	status       int
	kind, body   string
	method, path string
	header       http.Header
	got          string
}

func serve(t *testing.T) *server {
	t.Helper()
	s := &server{status: 200, kind: "application/json; charset=utf-8", body: `{"result":"allow"}`}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.method, s.path, s.header, s.got = r.Method, r.URL.String(), r.Header, string(body)
		w.Header().Set("Content-Type", s.kind)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, s.body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) backend(t *testing.T, o Options) *Backend {
	t.Helper()
	if o.URL == "" {
		o.URL = s.URL + "/auth"
	}
	o.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestRequestsCarryTheFields(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const json = `{"address":"192.0.2.7","clientid":"c\u00261","password":"se\"cret\u0026x","username":"joe"}`
	for _, c := range []struct {
		o                        Options
		method, path, kind, body string
	}{
		{Options{}, "POST", "/auth", "application/json", json},
		{Options{Form: true}, "POST", "/auth", "application/x-www-form-urlencoded", "address=192.0.2.7&clientid=c%261&password=se%22cret%26x&username=joe"},
		{Options{Get: true, Fields: [][2]string{{"u", "x-%u"}, {"c", "%c"}}}, "GET", "/auth?c=c%261&u=x-joe", "", ""},
		{Options{Get: true, URL: s.URL + "/auth?k=1", Fields: [][2]string{{"u", "%u"}}}, "GET", "/auth?k=1&u=joe", "", ""},
		{Options{Header: http.Header{"Authorization": {"Bearer t"}}, Fields: [][2]string{{"u", "%%u"}}}, "POST", "/auth", "application/json", `{"u":"%u"}`},
	} {
		if a, err := s.backend(t, c.o).Check(t.Context(), request()); err != nil || a.Verdict != auth.Allow {
			t.Errorf("%+v: %v, %v", c.o, a, err)
		}
		got := []string{s.method, s.path, s.header.Get("Content-Type"), s.got}
		if want := []string{c.method, c.path, c.kind, c.body}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("request %q, want %q", got, want)
		}
		if want := c.o.Header.Get("Authorization"); s.header.Get("Authorization") != want {
			t.Errorf("authorization %q, want %q", s.header.Get("Authorization"), want)
		}
	}
}

func TestStatusAndBodyDecide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		status     int
		kind, body string
		statusOnly bool
		want       auth.Verdict
		err        string
	}{
		{"allow", 200, "application/json", `{"result":"allow","more":[]}`, false, auth.Allow, ""},
		{"deny", 200, "application/json", `{"result":"deny"}`, false, auth.Deny, ""},
		{"ignore", 200, "application/json", `{"result":"ignore"}`, false, auth.NotMine, ""},
		{"403", 403, "text/plain", ``, false, auth.Deny, ""},
		{"401", 401, "text/plain", ``, false, auth.Deny, ""},
		{"no result", 200, "application/json", `{}`, false, 0, "expected the result"},
		{"a page", 200, "text/html", `{"result":"allow"}`, false, 0, "application/json"},
		{"no JSON", 200, "application/json", `ok`, false, 0, "expected a JSON object"},
		{"too long", 200, "application/json", `{"result":"allow","x":"` + strings.Repeat("x", maxBody) + `"}`, false, 0, "at most"},
		{"redirection", 302, "application/json", `{"result":"allow"}`, false, 0, "status 302"},
		{"fault", 500, "application/json", `{"result":"allow"}`, false, 0, "status 500"},
		{"404", 404, "application/json", `{"result":"allow"}`, false, 0, "status 404"},
		{"204", 204, "", ``, false, 0, "status 204"},
		{"status 200", 200, "text/html", `whatever`, true, auth.Allow, ""},
		{"status 204", 204, "", ``, true, auth.Allow, ""},
		{"status 403", 403, "text/html", `whatever`, true, auth.Deny, ""},
		{"status 404", 404, "text/html", `whatever`, true, auth.NotMine, ""},
		{"status 302", 302, "text/html", `whatever`, true, 0, "status 302"},
		{"status 500", 500, "text/html", `whatever`, true, 0, "status 500"},
	} {
		s := serve(t)
		s.status, s.kind, s.body = c.status, c.kind, c.body
		b := s.backend(t, Options{StatusOnly: c.statusOnly})
		a, err := b.Check(t.Context(), request())
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.err)
		case c.err == "" && (err != nil || a.Verdict != c.want):
			t.Errorf("%s: %v, %v; want %v", c.name, a.Verdict, err, c.want)
		case c.want == auth.Allow && c.err == "" && (!b.Valid(nil, a.Proof) || s.backend(t, Options{}).Valid(nil, a.Proof)):
			t.Errorf("%s: valid with another backend, or not with this one", c.name)
		}
	}
}

func TestAnswerDescribesTheClient(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.body = `{"result":"allow","is_superuser":true,"groups":["a","b"],"client_attrs":{"site":"x"},"expire_at":4102444800}`
	a, err := s.backend(t, Options{}).Check(t.Context(), request())
	got, _ := json.Marshal(a.Attributes)
	if err != nil || string(got) != `{"groups":["a","b"],"site":["x"],"superuser":["true"]}` || !a.Expires.Equal(time.Unix(4102444800, 0)) {
		t.Errorf("attributes %s until %v, %v", got, a.Expires, err)
	}
}

func TestPasswordsThatJSONWouldChangeAreDenied(t *testing.T) {
	t.Parallel()
	s := serve(t)
	r := request()
	r.Password = []byte("a\xff")
	for _, c := range []struct {
		o    Options
		want auth.Verdict
	}{{Options{}, auth.Deny}, {Options{Form: true}, auth.Allow}} {
		if a, err := s.backend(t, c.o).Check(t.Context(), r); err != nil || a.Verdict != c.want {
			t.Errorf("%+v: %v, %v; want %v", c.o, a.Verdict, err, c.want)
		}
	}
	if !strings.Contains(s.got, "password=a%FF") {
		t.Errorf("the form is %s", s.got)
	}
}

func TestErrorsDoNotTellThePassword(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.Close()
	for _, o := range []Options{{Get: true}, {}, {Form: true}} {
		_, err := s.backend(t, o).Check(t.Context(), request())
		if err == nil || strings.Contains(err.Error(), "cret") || strings.Contains(err.Error(), "/auth") {
			t.Errorf("error %v", err)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{URL: "x"}, {URL: "https://u:p@h/"}, {URL: "https://h/", CA: []byte("x")}, {URL: "https://h/", Fields: [][2]string{{"a", "%x"}}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
