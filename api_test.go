package unio

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/admin"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// apiOf is an HTTP client of the listener with the index i, over TLS if roots is set, with a certificate if that is.
func apiOf(t *testing.T, s *Server, i int, roots *x509.CertPool, certificates ...tls.Certificate) func(request, login string) (int, string) {
	t.Helper()
	addr, scheme := s.Addrs()[i], "http"
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, addr.Network(), addr.String())
		},
	}
	if roots != nil {
		scheme = "https"
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: certificates}
	}
	client := &http.Client{Transport: transport}
	t.Cleanup(client.CloseIdleConnections)
	return func(request, login string) (int, string) {
		t.Helper()
		method, path, _ := strings.Cut(request, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, scheme+"://localhost"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if user, password, ok := strings.Cut(login, ":"); ok {
			r.SetBasicAuth(user, password)
		}
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		body, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(body)
	}
}

// withAPI is a configuration with an MQTT listener and the HTTP API.
func withAPI(t *testing.T, dir string) *config.Config {
	t.Helper()
	cfg := onSockets(t, "mqtt", "api")
	write(t, filepath.Join(dir, "passwd"), "ann:"+secretHash+"\njoe:"+otherHash+"\n")
	write(t, filepath.Join(dir, "acl"), "user ann\ntopic read /api/#\ntopic read /\ntopic write a/b\nuser joe\ntopic read /api/v1/version\n")
	write(t, filepath.Join(dir, "index.html"), "front")
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		l.AllowAnonymous, l.PasswordFile, l.ACLFile = false, filepath.Join(dir, "passwd"), filepath.Join(dir, "acl")
	}
	cfg.Listeners[1].Protocol, cfg.Listeners[1].HTTPDir = config.HTTPAPI, dir
	return cfg
}

func TestBansAreListedAndLiftedByTheHTTPAPI(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := withAPI(t, dir)
	cfg.Ban.Attempts, cfg.Ban.Delay = 3, 0
	write(t, filepath.Join(dir, "acl"), "user ann\ntopic readwrite /api/#\n")
	s := start(t, cfg, nil)
	api := apiOf(t, s, 1, nil)
	for i := range 3 {
		if _, code := login(t, s, "joe", fmt.Sprint("guess ", i)); code != mqtt.NotAuthorized {
			t.Errorf("guess %d: %v", i, code)
		}
	}
	bans := func() (all []admin.Ban) {
		status, body := api("GET /api/v1/bans", "ann:secret")
		var list struct{ Bans []admin.Ban }
		if err := json.Unmarshal([]byte(body), &list); err != nil || status != 200 {
			t.Fatalf("%d %s: %v", status, body, err)
		}
		return list.Bans
	}
	all := bans()
	if len(all) != 1 || all[0].User != "joe" || all[0].Attempts != 3 {
		t.Fatalf("bans %+v", all)
	}
	if status, body := api("DELETE /api/v1/bans/"+all[0].ID, "ann:secret"); status != 204 {
		t.Errorf("lifting it: %d %s", status, body)
	}
	if _, code := login(t, s, "joe", "other"); code != mqtt.Success || len(bans()) != 0 {
		t.Errorf("after the ban: %v, bans %+v", code, bans())
	}
}

func TestTheVersionOfTheHTTPAPIBeginsWithDigits(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"1.2.3": "1.2.3", "v1.2.3": "1.2.3", "v0.0.0-20260102-abcdef+dirty": "0.0.0-20260102-abcdef+dirty",
		"(devel)": "0.0.0-devel", "": "0.0.0-unknown", "vx": "0.0.0-vx",
	} {
		if got := versionNumber(version); got != want {
			t.Errorf("%q is told as %q, want %q", version, got, want)
		}
	}
}

func TestTheHTTPAPITellsOfTheBroker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := withAPI(t, dir)
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Version = "v1.2.3"
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	api := apiOf(t, s, 1, nil)
	for _, c := range []struct {
		request, login string
		status         int
		body           string // "": any
	}{
		{"GET /api/v1/version", "ann:secret", 200, "1.2.3"},
		{"GET /api/v1/version", "joe:other", 200, "1.2.3"},
		{"GET /api/v1/version", "", 401, "Not authorised\n"},
		{"GET /api/v1/version", "ann:other", 401, "Not authorised\n"},
		{"GET /api/v1/systree", "joe:other", 401, "Not authorised\n"},
		{"GET /", "ann:secret", 200, "front"},
		{"GET /passwd", "ann:secret", 401, ""},
		{"GET /api/v1/bans", "ann:secret", 200, ""},
		{"GET /api/v1/bans", "joe:other", 401, "Not authorised\n"},
		{"DELETE /api/v1/version", "ann:secret", 405, "Invalid HTTP Method\n"},
	} {
		if status, body := api(c.request, c.login); status != c.status || c.body != "" && body != c.body {
			t.Errorf("%s as %q: %d %s", c.request, c.login, status, body)
		}
	}
	conn, _ := login(t, s, "ann", "secret")
	_, body := api("GET /api/v1/systree", "ann:secret")
	var tree map[string]int64
	if err := json.Unmarshal([]byte(body), &tree); err != nil || len(tree) != 25 || tree["$SYS/broker/clients/connected"] != 1 {
		t.Errorf("systree: %v, %d values: %v", err, len(tree), tree)
	}
	_ = conn
	var list struct{ Listeners []map[string]any }
	_, body = api("GET /api/v1/listeners", "ann:secret")
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"path": cfg.Listeners[0].Path, "protocol": "mqtt", "tls": false, "mtls": false, "allow_anonymous": false},
		{"path": cfg.Listeners[1].Path, "protocol": "httpapi", "tls": false, "mtls": false, "allow_anonymous": false},
	}
	if !reflect.DeepEqual(list.Listeners, want) {
		t.Errorf("got %v, want %v", list.Listeners, want)
	}
	next := *cfg
	next.Listeners = append([]config.Listener(nil), cfg.Listeners...)
	next.Listeners[0].AllowAnonymous = true
	write(t, filepath.Join(dir, "acl"), "user ann\ntopic read /api/v1/listeners\n")
	if err := s.Reload(&next); err != nil {
		t.Fatal(err)
	}
	if _, body := api("GET /api/v1/listeners", "ann:secret"); strings.Count(body, `"allow_anonymous": true`) != 1 {
		t.Errorf("after the reload: %s", body)
	}
	if status, _ := api("GET /api/v1/version", "ann:secret"); status != 401 {
		t.Errorf("after the reload: status %d", status)
	}
}

func TestRulesForAllTopicsDoNotOpenTheHTTPAPI(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := withAPI(t, dir)
	write(t, filepath.Join(dir, "acl"), "user ann\ntopic readwrite #\ntopic readwrite /#\nuser joe\ntopic readwrite #\ntopic readwrite /api/#\n")
	s := start(t, cfg, nil)
	api := apiOf(t, s, 1, nil)
	for request, want := range map[string][2]int{ // for ann and for joe
		"GET /":                  {200, 200},
		"GET /api/v1/version":    {401, 200},
		"GET /api/v1/systree":    {401, 200},
		"GET /api/v1/bans":       {401, 200},
		"DELETE /api/v1/bans/id": {401, 404},
		"GET /api/v1/explain":    {401, 400},
		"GET /api/":              {401, 404},
		"GET /Api/v1/bans":       {401, 401},
	} {
		for i, login := range []string{"ann:secret", "joe:other"} {
			if status, body := api(request, login); status != want[i] {
				t.Errorf("%s of %s: %d %s", request, login, status, body)
			}
		}
	}
	for user, want := range map[string]bool{"ann": false, "joe": true} {
		a, err := s.Explain(Question{Action: "receive", Topic: "/api/v1/bans", Username: user, Listener: cfg.Listeners[1].Path})
		if err != nil || a.Allow != want {
			t.Errorf("%s, as explained: %+v %v", user, a, err)
		}
	}
}

func TestWhatDeniesAFolderOrItsFileDeniesBoth(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := withAPI(t, dir)
	for _, folder := range []string{"admin", "open", "shut"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, folder, "index.html"), folder)
	}
	write(t, filepath.Join(dir, "acl"), "user ann\ntopic read /#\ntopic deny /admin/index.html\n"+
		"user joe\ntopic read /\ntopic read /shut/#\ntopic deny /shut/\n")
	api := apiOf(t, start(t, cfg, nil), 1, nil)
	for request, want := range map[string]int{
		"GET /admin/index.html ann:secret": 401, "GET /admin/ ann:secret": 401, "HEAD /admin/ ann:secret": 401,
		"GET /admin/index%2ehtml ann:secret": 401, "GET /%61dmin/ ann:secret": 401,
		"GET /admin// ann:secret": 404, "GET //admin/ ann:secret": 404, "GET /admin/. ann:secret": 404, "GET /admin/%2e/ ann:secret": 404,
		"GET /admin/index.html. ann:secret": 404, "GET /admin/Index.html ann:secret": 404, "GET /Admin/ ann:secret": 404,
		"GET /open/ ann:secret": 200, "GET /open/index.html ann:secret": 200, "GET / ann:secret": 200,
		"GET / joe:other": 200, "GET /index.html joe:other": 401, "GET /open/ joe:other": 401,
		"GET /shut/ joe:other": 401, "GET /shut/index.html joe:other": 401, "GET /shut/index.htm joe:other": 404, "GET /shut/index.html ann:secret": 200,
	} {
		words := strings.Fields(request)
		if status, body := api(words[0]+" "+words[1], words[2]); status != want {
			t.Errorf("%s: %d %s", request, status, body)
		}
	}
}

func TestExplainOverHTTPSaysWhatExplainSays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := withAPI(t, dir)
	s := start(t, cfg, nil)
	api := apiOf(t, s, 1, nil)
	for _, q := range []Question{
		{Action: "publish", Topic: "a/b", ClientID: "c", Username: "ann", QoS: 1, Retain: true, Size: 3, Version: mqtt.V5},
		{Action: "subscribe", Topic: "$share/g/<a>/#", ClientID: "c", Anonymous: true, Address: "10.1.1.1", Version: mqtt.V311},
		{Action: "connect", ClientID: "c", Names: []string{"x", "y"}, Attributes: map[string][]string{"group": {"g", "h"}, "z": {"="}}, TLS: true, Version: mqtt.V31},
	} {
		answer, err := Explain(cfg, q)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := answer.WriteJSON(&want); err != nil {
			t.Fatal(err)
		}
		if status, body := api("GET /api/v1/explain?"+q.Query().Encode(), "ann:secret"); status != 200 || body != want.String() {
			t.Errorf("status %d\n%swant\n%s", status, body, &want)
		}
		back, err := ParseQuestion(q.Query())
		if !reflect.DeepEqual(q, back) || err != nil {
			t.Errorf("%v: got %+v, want %+v", err, back, q)
		}
	}
	write(t, filepath.Join(dir, "acl"), "topic read /api/v1/explain\nuser ann\ntopic read /api/#\n")
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if _, body := api("GET /api/v1/explain?action=publish&topic=a/b&user=ann", "ann:secret"); !strings.Contains(body, `"allow": false`) {
		t.Errorf("by the rules in force: %s", body)
	}
	for query, want := range map[string]string{
		"action=fly":                  "expected connect, publish",
		"action=publish&topic=%23":    "expected the name of a topic",
		"action=connect&qos=3":        "expected 0, 1 or 2 for qos",
		"action=connect&size=x":       "expected a number of bytes",
		"action=connect&tls=maybe":    "expected true or false for tls",
		"action=connect&attribute=x":  "expected attribute to be NAME=VALUE",
		"action=connect&mqtt-version": "expected 3.1, 3.1.1 or 5",
		"action=connect&password=x":   "expected the flags of unio explain",
		"action=connect&listener=x":   "expected a listener of the configuration",
	} {
		if status, body := api("GET /api/v1/explain?"+query, "ann:secret"); status != 400 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	next := *cfg
	next.Listeners = append([]config.Listener(nil), cfg.Listeners...)
	next.Listeners[1].AllowAnonymous = true
	if err := s.Reload(&next); err != nil {
		t.Fatal(err)
	}
	if status, _ := api("GET /api/v1/explain?action=connect", ""); status != 401 {
		t.Errorf("for the anonymous, to whom the rules grant it: status %d", status)
	}
}

func TestQuestionsFromElsewhereAreRead(t *testing.T) {
	t.Parallel()
	q, err := ParseQuestion(url.Values{"role": {"r"}, "group": {"g"}, "user": {""}, "clean-start": {"1"}})
	want := Question{Username: "", CleanStart: true, Version: mqtt.V5, Attributes: map[string][]string{"role": {"r"}, "group": {"g"}}}
	if !reflect.DeepEqual(q, want) || err != nil {
		t.Errorf("%v: got %+v, want %+v", err, q, want)
	}
}

// pair makes a certificate that vouches for itself, for localhost and the common name.
func pair(t *testing.T, dir, name string) (certFile, keyFile string, c tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	certPEM, keyPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	write(t, certFile, string(certPEM))
	write(t, keyFile, string(keyPEM))
	c, err = tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile, c
}

func TestTheHTTPAPIOverTLSKnowsCertificates(t *testing.T) {
	t.Parallel()
	dir, secrets := t.TempDir(), t.TempDir()
	cfg := withAPI(t, dir)
	certFile, keyFile, server := pair(t, secrets, "broker")
	annFile, _, ann := pair(t, secrets, "ann")
	l := &cfg.Listeners[1]
	l.TLS.CertFile, l.TLS.KeyFile, l.TLS.CAFile = certFile, keyFile, annFile
	l.TLS.RequireCertificate, l.IdentityAsUsername = true, true
	s := start(t, cfg, nil)
	roots := x509.NewCertPool()
	roots.AddCert(server.Leaf)
	if status, body := apiOf(t, s, 1, roots, ann)("GET /api/v1/explain?action=connect", ""); status != 200 || !strings.Contains(body, `"allow": true`) {
		t.Errorf("with ann's certificate: %d %s", status, body)
	}
	bare, err := net.Dial("unix", l.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	noCertificate := tls.Client(bare, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	_, _ = io.WriteString(noCertificate, "GET /api/v1/version HTTP/1.1\r\nHost: x\r\n\r\n") // TLS 1.3 tells behind the handshake
	if text, err := io.ReadAll(noCertificate); err == nil || len(text) > 0 {
		t.Errorf("without a certificate: %q, %v", text, err)
	}
	conn, err := net.Dial("unix", l.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /api/v1/version HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(conn); bytes.Contains(text, []byte("HTTP")) {
		t.Errorf("without TLS: %q", text)
	}
}

func TestAFolderForTheAPIThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	cfg := withAPI(t, t.TempDir())
	cfg.Listeners[1].HTTPDir = filepath.Join(t.TempDir(), "none")
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err == nil || !strings.Contains(err.Error(), "folder to serve over HTTP") {
		t.Errorf("Listen: %v", err)
	}
}

// TestTheBrokerTellsOfItselfOnItsTopic asks by MQTT, as users with different rights.
func TestTheBrokerTellsOfItselfOnItsTopic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := withAPI(t, dir)
	const topic = "$CONTROL/broker/v1"
	write(t, filepath.Join(dir, "acl"), "user ann\ntopic readwrite $CONTROL/broker/#\nuser joe\ntopic read $CONTROL/broker/#\n")
	var out testenv.Buffer
	s := start(t, cfg, slog.New(slog.NewTextHandler(&out, nil)))
	ann, _ := login(t, s, "ann", "secret")
	joe, _ := login(t, s, "joe", "other")
	for _, conn := range []net.Conn{ann, joe} {
		p := mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: topic + "/#"}}}
		if _, err := conn.Write(p.Append(nil, mqtt.V5)); err != nil {
			t.Fatal(err)
		}
		if ack, ok := receiveAs(t, conn, mqtt.V5).(*mqtt.Suback); !ok || ack.Reasons[0].Failed() {
			t.Fatalf("SUBACK is %+v", ack)
		}
	}
	ask := func(conn net.Conn) (reason mqtt.ReasonCode, answer string) {
		t.Helper()
		p := mqtt.Publish{Topic: []byte(topic), QoS: 1, PacketID: 1, Payload: []byte(`{"commands":[{"command":"listListeners"}]}`)}
		if _, err := conn.Write(p.Append(nil, mqtt.V5)); err != nil {
			t.Fatal(err)
		}
		for {
			switch p := receiveAs(t, conn, mqtt.V5).(type) {
			case *mqtt.Publish:
				answer = string(p.Topic) + " " + string(p.Payload)
			case *mqtt.Ack:
				return p.Reason, answer
			default:
				t.Fatalf("came %T", p)
			}
		}
	}
	unavailable := topic + `/response {"error":"endpoint not available"}`
	if reason, answer := ask(ann); reason != mqtt.Success || answer != unavailable {
		t.Errorf("without enable_control_api: %v, %s", reason, answer)
	}
	next := *cfg
	next.EnableControlAPI = true
	if err := s.Reload(&next); err != nil {
		t.Fatal(err)
	}
	want := topic + `/response {"responses":[{"command":"listListeners","data":{"listeners":[{"port":0,"protocol":"mqtt","socket-path":"` + cfg.Listeners[0].Path +
		`","tls":false},{"port":0,"socket-path":"` + cfg.Listeners[1].Path + `","tls":false}]}}]}`
	if reason, answer := ask(ann); reason != mqtt.Success || answer != want {
		t.Errorf("%v, %s\nwant %s", reason, answer, want)
	}
	if reason, answer := ask(joe); reason != mqtt.NotAuthorized || answer != "" {
		t.Errorf("joe, who may not ask: %v, %s", reason, answer)
	}
	if !strings.Contains(out.String(), "Broker: id-ann/ann | listListeners") {
		t.Errorf("log: %s", out.String())
	}
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if _, answer := ask(ann); answer != unavailable {
		t.Errorf("switched off: %s", answer)
	}
}
