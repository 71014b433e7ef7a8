package admin_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/admin"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// people is an Authenticator by passwords: users by name; "" is there if anonymous clients may come.
type people map[string]string

func (p people) Authenticate(_ context.Context, c *broker.Client, password []byte) error {
	if c.Transport != nil && c.Transport.Username != "" {
		c.Auth = true
		return nil
	}
	want, ok := p[c.Username]
	if !ok || want != string(password) {
		return mqtt.NotAuthorized
	}
	c.Auth = c.HasUsername
	return nil
}

func (people) Exchange(context.Context, *broker.Client, string) (broker.Exchange, error) {
	return nil, mqtt.BadAuthenticationMethod
}

// grants is an Authorizer that allows what it lists as "USER ACTION TOPIC".
type grants []string

func (g grants) Authorize(a broker.Access) bool {
	if a.Alias {
		return true // there are no denials
	}
	what := map[broker.Action]string{broker.ActionConnect: "connect", broker.ActionReceive: "read", broker.ActionPublish: "write"}[a.Action]
	return slices.Contains(g, strings.TrimSpace(a.Client.Username+" "+what+" "+string(a.Topic)))
}

func vouched(c *broker.Client) bool { return c.Auth == true }

// serve starts a server and returns its address.
func serve(t *testing.T, o admin.Options, endpoints ...admin.Endpoint) string {
	t.Helper()
	return serveOn(t, listen(t), o, endpoints...)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func serveOn(t *testing.T, l net.Listener, o admin.Options, endpoints ...admin.Endpoint) string {
	t.Helper()
	s, err := admin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Mount(endpoints...)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// reply is an answer that was read to its end.
type reply struct {
	StatusCode int
	Header     http.Header
}

// ask sends a request, as "METHOD PATH [USER:PASSWORD]" and headers, and returns the answer with its body.
func ask(t *testing.T, addr, request string, headers ...string) (reply, string) {
	t.Helper()
	words := strings.Fields(request)
	text := words[0] + " " + words[1] + " HTTP/1.1\r\nHost: " + addr + "\r\nConnection: close\r\n"
	r, _ := http.NewRequest(http.MethodGet, "http://x/", nil)
	if len(words) > 2 {
		name, password, _ := strings.Cut(words[2], ":")
		r.SetBasicAuth(name, password)
		text += "Authorization: " + r.Header.Get("Authorization") + "\r\n"
	}
	for _, h := range headers {
		text += h + "\r\n"
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
		t.Fatal(err)
	}
	r.Method = words[0]
	a, body, err := read(conn, r)
	if err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	return a, body
}

// read reads an answer.
func read(conn net.Conn, r *http.Request) (reply, string, error) {
	a, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		return reply{}, "", err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	return reply{a.StatusCode, a.Header}, string(body), err
}

// statuses checks the statuses of requests.
func statuses(t *testing.T, addr string, want map[string]int) {
	t.Helper()
	for request, status := range want {
		if a, body := ask(t, addr, request); a.StatusCode != status {
			t.Errorf("%s: status %d, want %d: %s", request, a.StatusCode, status, body)
		}
	}
}

// ours is an endpoint that says that it was asked.
func ours(pattern string) admin.Endpoint {
	return admin.Endpoint{Pattern: pattern, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "asked") })}
}

func TestMosquittosEndpointsAnswerAsMosquitto(t *testing.T) {
	t.Parallel()
	list := func() []config.Listener {
		return []config.Listener{
			{Port: 1883, AllowAnonymous: true},
			{Path: "/run/mqtt", Protocol: config.WebSockets, TLS: config.TLS{CertFile: "c", KeyFile: "k", RequireCertificate: true}},
			{Port: 8080, Protocol: config.HTTPAPI},
		}
	}
	addr := serve(t, admin.Options{}, admin.Version("2.1.0"), admin.Listeners(list),
		admin.SysTree(func() map[string]int64 { return map[string]int64{"$SYS/broker/uptime": 7} }))
	for path, want := range map[string]string{
		"version":   "2.1.0",
		"systree":   `{"$SYS/broker/uptime":7}`,
		"listeners": `{"listeners":[{"port":1883,"protocol":"mqtt","tls":false,"mtls":false,"allow_anonymous":true},{"path":"/run/mqtt","protocol":"websockets","tls":true,"mtls":true,"allow_anonymous":false},{"port":8080,"protocol":"httpapi","tls":false,"mtls":false,"allow_anonymous":false}]}`,
	} {
		a, body := ask(t, addr, "GET /api/v1/"+path)
		kind := "text/plain; charset=utf-8"
		if path != "version" {
			kind = "application/json"
			var b bytes.Buffer
			if err := json.Compact(&b, []byte(body)); err != nil {
				t.Fatal(err)
			}
			body = b.String()
		}
		if a.StatusCode != http.StatusOK || body != want || a.Header.Get("Content-Type") != kind || a.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: status %d, %s, %s\nwant %s", path, a.StatusCode, a.Header, body, want)
		}
	}
	for request, want := range map[string]string{
		"POST /api/badrequest":       "405 Invalid HTTP Method\n",
		"OPTIONS /api/v1/version":    "405 Invalid HTTP Method\n",
		"DELETE /api/v1/version":     "405 Invalid HTTP Method\n",
		"GET /api/missing":           "404 Not found.\n",
		"GET /":                      "404 Not found.\n",
		"HEAD /api/v1/version":       "200 ",
		"GET /api/v1/version/":       "404 Not found.\n",
		"GET /api/v1//version":       "404 Not found.\n",
		"GET /api/v1/./version":      "404 Not found.\n",
		"GET /api/v1/%76ersion":      "404 Not found.\n",
		"GET /API/v1/version":        "404 Not found.\n",
		"GET /api/v1/+":              "404 Not found.\n",
		"GET /api/v1/version%23":     "404 Not found.\n",
		"GET /x%ff":                  "404 Not found.\n",
		"GET /api/../api/v1/systree": "404 Not found.\n",
	} {
		if a, body := ask(t, addr, request); fmt.Sprint(a.StatusCode)+" "+body != want {
			t.Errorf("%s: status %d, %q, want %q", request, a.StatusCode, body, want)
		}
	}
}

func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "index.html"), "front")
	write(t, filepath.Join(dir, "a.txt"), "a")
	o := admin.Options{
		HTTPDir: dir, Authenticator: people{"ann": "secret", "joe": "joe"}, Vouched: vouched,
		Authorizer: grants{"ann connect", "ann read /api/v1/version", "ann read /", "ann write /api/v1/x", "ann read /api/v1/x", "joe read /api/v1/version"},
	}
	addr := serve(t, o, admin.Version("1"), ours("GET /api/v1/x"), ours("DELETE /api/v1/x"), ours("GET /api/v1/y"))
	statuses(t, addr, map[string]int{
		"GET /api/v1/version":             401,
		"GET /api/v1/version ann:secret":  200,
		"GET /api/v1/version ann:wrong":   401,
		"GET /api/v1/version joe:joe":     401, // may not connect
		"GET /api/v1/nothing ann:secret":  401, // the path is not granted, so it is not told whether it is there
		"GET / ann:secret":                200,
		"GET /index.html ann:secret":      401,
		"GET /a.txt ann:secret":           401,
		"GET /api/v1/x ann:secret":        200,
		"HEAD /api/v1/x ann:secret":       200,
		"DELETE /api/v1/x ann:secret":     200,
		"DELETE /api/v1/x":                401,
		"GET /api/v1/y ann:secret":        401,
		"POST /api/v1/version ann:secret": 405,
		"GET /api/v1/version :":           401,
	})
	a, body := ask(t, addr, "GET /api/v1/version")
	if body != "Not authorised\n" || a.Header.Get("WWW-Authenticate") != `Basic realm="Unio API", charset="UTF-8"` {
		t.Errorf("%v\n%s", a.Header, body)
	}
	for _, header := range []string{"Authorization: Bearer x", "Authorization: Basic !!", "Authorization: Basic Og==\r\nAuthorization: Basic YW5uOnNlY3JldA=="} {
		if a, _ := ask(t, addr, "GET /api/v1/version", header); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: status %d", header, a.StatusCode)
		}
	}
}

func TestWhoIsRefusedKeepsNoConnection(t *testing.T) {
	t.Parallel()
	addr := serve(t, admin.Options{Authenticator: people{"ann": "secret"}, Vouched: vouched}, admin.Version("1"), ours("DELETE /api/v1/x"))
	ann, _ := http.NewRequest(http.MethodGet, "http://x/", nil)
	ann.SetBasicAuth("ann", "secret")
	login := "Authorization: " + ann.Header.Get("Authorization") + "\r\n"
	for request, want := range map[string]struct {
		status int
		closed bool
	}{
		"GET /api/v1/version HTTP/1.1\r\nHost: x\r\n":                                           {401, true},
		"GET /api/v1/version HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n":                 {401, true},
		"POST /api/v1/version HTTP/1.1\r\nHost: x\r\n":                                          {405, true},
		"GET //api/v1/version HTTP/1.1\r\nHost: x\r\n":                                          {404, true},
		"DELETE /api/v1/x HTTP/1.1\r\nHost: x\r\n" + login + "Origin: https://evil.example\r\n": {403, true},
		"GET /api/v1/version HTTP/1.1\r\nHost: x\r\n" + login:                                   {200, false},
		"GET /nothing HTTP/1.1\r\nHost: x\r\n" + login:                                          {404, false},
	} {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second one is answered only if the connection is kept
			if _, err := io.WriteString(nc, request+"\r\n"); err != nil {
				t.Fatal(err)
			}
			if want.closed {
				break
			}
			if a, _, err := read(nc, nil); err != nil || a.StatusCode != want.status {
				t.Fatalf("%q: %+v, %v", request, a, err)
			}
		}
		if want.closed {
			if a, _, err := read(nc, nil); err != nil || a.StatusCode != want.status {
				t.Errorf("%q: %+v, %v", request, a, err)
			}
			_ = nc.SetReadDeadline(time.Now().Add(5 * time.Second))
			if rest, err := io.ReadAll(nc); err != nil || len(rest) > 0 {
				t.Errorf("%q: %q follows, %v", request, rest, err)
			}
		}
		_ = nc.Close()
	}
}

func TestOurEndpointsAreClosedToTheAnonymous(t *testing.T) {
	t.Parallel()
	addr := serve(t, admin.Options{Authenticator: people{"": "", "ann": "secret"}, Vouched: vouched}, admin.Version("1"), ours("GET /api/v1/x"))
	statuses(t, addr, map[string]int{"GET /api/v1/version": 200, "GET /api/v1/x": 401, "GET /api/v1/x ann:secret": 200})
	addr = serve(t, admin.Options{}, ours("GET /api/v1/x")) // nobody vouches for anybody
	statuses(t, addr, map[string]int{"GET /api/v1/x ann:secret": 401})
}

func TestACertificateNamesTheClient(t *testing.T) {
	t.Parallel()
	identify := func(nc net.Conn) (*broker.Transport, error) {
		if _, ok := nc.(*net.TCPConn); !ok {
			t.Errorf("asked about a %T", nc)
		}
		return &broker.Transport{Username: "ann"}, nil
	}
	var seen *broker.Client
	denied := func(a broker.Access) { seen = a.Client }
	o := admin.Options{
		Listener: "here", Authenticator: people{}, Vouched: vouched, Identify: identify, Denied: denied,
		Authorizer: grants{"ann connect", "ann read /api/v1/x"},
	}
	addr := serve(t, o, ours("GET /api/v1/x"))
	statuses(t, addr, map[string]int{"GET /api/v1/x": 200, "GET /api/v1/x joe:joe": 200})
	statuses(t, addr, map[string]int{"GET /y": 401})
	if seen == nil || seen.ID != admin.ClientID || seen.Listener != "here" || seen.RemoteAddr == nil {
		t.Errorf("denied was %+v", seen)
	}
	o.Identify = func(net.Conn) (*broker.Transport, error) { return nil, errors.New("no certificate") }
	statuses(t, serve(t, o, ours("GET /api/v1/x")), map[string]int{"GET /api/v1/x": 401})
}

func TestChangesForAnotherSiteAreRefused(t *testing.T) {
	t.Parallel()
	addr := serve(t, admin.Options{Authenticator: people{"ann": "secret"}, Vouched: vouched}, ours("DELETE /api/v1/x"))
	for header, want := range map[string]int{
		"Origin: https://evil.example": 403, "Sec-Fetch-Site: cross-site": 403, "Sec-Fetch-Site: same-site": 403,
		"Origin: http://" + addr: 200, "Sec-Fetch-Site: same-origin": 200, "X-No: browser": 200,
	} {
		if a, _ := ask(t, addr, "DELETE /api/v1/x ann:secret", header); a.StatusCode != want {
			t.Errorf("%s: status %d, want %d", header, a.StatusCode, want)
		}
	}
}

func TestAnswersTellBrowsersWhatTheyMayDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "index.html"), "front")
	addr := serve(t, admin.Options{HTTPDir: dir}, admin.Version("1"))
	for path, want := range map[string]string{
		"/api/v1/version": "no-store|default-src 'none'; frame-ancestors 'none'|nosniff|no-referrer|SAMEORIGIN",
		"/":               "|frame-ancestors 'self'|nosniff|no-referrer|SAMEORIGIN",
	} {
		a, _ := ask(t, addr, "GET "+path)
		var got []string
		for _, h := range []string{"Cache-Control", "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "X-Frame-Options"} {
			got = append(got, a.Header.Get(h))
		}
		if text := strings.Join(got, "|"); text != want {
			t.Errorf("%s: %s, want %s", path, text, want)
		}
	}
	if a, body := ask(t, addr, "GET /"); body != "front" || a.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%s %v", body, a.Header)
	}
}

func TestAFolderThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := admin.New(admin.Options{HTTPDir: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("no error")
	}
}

func TestLargeHeadersAndBodiesAreRefused(t *testing.T) {
	t.Parallel()
	addr := serve(t, admin.Options{}, admin.Version("1"), ours("PUT /api/v1/x"))
	if a, _ := ask(t, addr, "GET /api/v1/version", "X: "+strings.Repeat("x", admin.MaxHeaderBytes+5<<10)); a.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("headers: status %d", a.StatusCode)
	}
	read := admin.Endpoint{Public: true, Pattern: "PUT /api/v1/x", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err == nil {
			t.Error("a body without end")
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})}
	addr = serve(t, admin.Options{}, read)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+addr+"/api/v1/x", bytes.NewReader(make([]byte, admin.MaxBodyBytes+1)))
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = a.Body.Close()
	if a.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("body: status %d", a.StatusCode)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	addr := serve(t, admin.Options{MaxConnections: 2}, admin.Version("1"))
	var open []net.Conn
	for range 2 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /api/v1/version HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, _, err := read(conn, nil); err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	third, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	if n, err := third.Read(make([]byte, 1)); err == nil {
		t.Errorf("a third connection gets %d bytes", n)
	}
	_ = open[0].Close()
	for { // until the server has seen it
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /api/v1/version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		a, _, err := read(conn, nil)
		_ = conn.Close()
		if err == nil && a.StatusCode == http.StatusOK {
			return
		}
	}
}

func TestWhoSaysNothingIsClosed(t *testing.T) {
	t.Parallel()
	addr := serve(t, admin.Options{Timeout: 50 * time.Millisecond}, admin.Version("1"))
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if text, err := io.ReadAll(conn); err != nil || len(text) > 0 {
		t.Errorf("got %q, %v", text, err)
	}
}

// shy is a connection of which nothing is to be read before the handshake.
type shy struct {
	net.Conn
	shaken bool
}

func (c *shy) HandshakeContext(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		return errors.New("a handshake without end")
	}
	c.shaken = true
	return nil
}

func (c *shy) Read(p []byte) (int, error) {
	if !c.shaken {
		return 0, errors.New("no handshake")
	}
	return c.Conn.Read(p)
}

type shyListener struct{ net.Listener }

func (l shyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &shy{Conn: c}, err
}

func TestTheHandshakeBelowComesFirst(t *testing.T) {
	t.Parallel()
	addr := serveOn(t, shyListener{listen(t)}, admin.Options{}, admin.Version("1"))
	statuses(t, addr, map[string]int{"GET /api/v1/version": 200})
}

func TestOverTLSTheAPIAnswers(t *testing.T) {
	t.Parallel()
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	defer certificate.Close()
	addr := serveOn(t, tls.NewListener(listen(t), certificate.TLS), admin.Options{}, admin.Version("1"))
	a, err := certificate.Client().Get("https://" + addr + "/api/v1/version")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		t.Errorf("status %d", a.StatusCode)
	}
}

func TestPanicsAndFailedLoginsAreLogged(t *testing.T) {
	t.Parallel()
	log := &testenv.Buffer{}
	o := admin.Options{Log: slog.New(slog.NewTextHandler(log, nil)), Authenticator: people{"": ""}}
	panics := admin.Endpoint{Public: true, Pattern: "GET /api/v1/x", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("at the disco") })}
	addr := serve(t, o, panics)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/v1/x HTTP/1.1\r\nHost: x\r\n\r\n")
	if text, err := io.ReadAll(conn); err != nil || len(text) > 0 {
		t.Errorf("got %q, %v", text, err)
	}
	statuses(t, addr, map[string]int{"GET / ann:secret": 401, "GET /": 404})
	if text := log.String(); !strings.Contains(text, "at the disco") || strings.Count(text, "is not authorised") != 1 || strings.Contains(text, "secret") {
		t.Errorf("log:\n%s", text)
	}
}

func TestExplainAnswersTheQuery(t *testing.T) {
	t.Parallel()
	endpoint := admin.Explain(func(q url.Values) (any, error) {
		if q.Get("topic") == "" {
			return nil, errors.New("expected a topic")
		}
		return map[string]string{"topic": q.Get("topic")}, nil
	})
	addr := serve(t, admin.Options{Authenticator: people{"ann": "secret"}, Vouched: vouched}, endpoint)
	for query, want := range map[string]string{
		"?topic=%3Ca%3E": "200 {\n  \"topic\": \"<a>\"\n}\n",
		"":               "400 {\n  \"error\": \"expected a topic\"\n}\n",
		"?a;b":           "400 {\n  \"error\": \"invalid semicolon separator in query\"\n}\n",
	} {
		if a, body := ask(t, addr, "GET /api/v1/explain"+query+" ann:secret"); fmt.Sprint(a.StatusCode)+" "+body != want {
			t.Errorf("%s: status %d, %s", query, a.StatusCode, body)
		}
	}
}

// cells are bans.
type cells []admin.Ban

func (c *cells) Bans() []admin.Ban { return slices.Clone(*c) }

func (c *cells) LiftBan(address, user string) bool {
	n := len(*c)
	*c = slices.DeleteFunc(*c, func(b admin.Ban) bool { return b.Address == address && b.User == user })
	return len(*c) < n
}

func TestBansAreListedAndLifted(t *testing.T) {
	t.Parallel()
	at := time.Unix(1e9, 0).UTC()
	bans := &cells{{Address: "2001:db8::/64", Since: at, Until: at, Attempts: 3}, {Address: "192.0.2.1", User: "a/b"}, {User: "a/b"}}
	addr := serve(t, admin.Options{Authenticator: people{"ann": "secret"}, Vouched: vouched}, admin.BanEndpoints(bans)...)
	list := func() (l struct{ Bans []admin.Ban }) {
		a, body := ask(t, addr, "GET /api/v1/bans ann:secret")
		if err := json.Unmarshal([]byte(body), &l); err != nil || a.StatusCode != http.StatusOK {
			t.Fatalf("status %d, %v", a.StatusCode, err)
		}
		return l
	}
	all := list().Bans
	if len(all) != 3 || all[0].Address != "2001:db8::/64" || all[0].Attempts != 3 || !all[0].Until.Equal(at) || all[2].User != "a/b" {
		t.Fatalf("bans %+v", all)
	}
	statuses(t, addr, map[string]int{"DELETE /api/v1/bans/x ann:secret": 404, "DELETE /api/v1/bans/" + all[1].ID: 401})
	statuses(t, addr, map[string]int{"DELETE /api/v1/bans/" + all[1].ID + " ann:secret": 204})
	statuses(t, addr, map[string]int{"DELETE /api/v1/bans/" + all[1].ID + " ann:secret": 404})
	if left := list().Bans; len(left) != 2 || left[1].User != "a/b" || left[1].Address != "" {
		t.Errorf("left %+v", left)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
