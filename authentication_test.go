package unio

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	stored "github.com/uniomq/unio/internal/auth/scram"
	"github.com/uniomq/unio/internal/mosqlog"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// configured returns a configuration with a Unix socket and these lines.
func configured(t *testing.T, lines ...string) *config.Config {
	t.Helper()
	socket := onSockets(t, "a").Listeners[0].Path
	text := "listener 0 " + socket + "\nallow_anonymous false\n" + strings.Join(lines, "\n") + "\n"
	cfg, err := config.Parse("unio.conf", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// audited returns the events of an audit log, each as "EVENT USER", when there are as many as n: they
// are written by a goroutine.
func audited(t *testing.T, path string, n int) []string {
	t.Helper()
	for end := time.Now().Add(deadline); ; runtime.Gosched() {
		if all := events(t, path); len(all) >= n || time.Now().After(end) {
			return all
		}
	}
}

// events returns what an audit log has, as audited does, but for a line that is not at its end.
func events(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		var e struct{ Event, User string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, strings.TrimSpace(e.Event+" "+e.User))
	}
	return all
}

// token signs claims with HS256.
func token(t *testing.T, secret string, claims map[string]any) string {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func TestAClientIsDisconnectedWhenItsTokenEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := strings.Repeat("s", 32)
	write(t, filepath.Join(dir, "secret"), secret+"\n")
	write(t, filepath.Join(dir, "passwd"), "ann:"+secretHash+"\n")
	s := start(t, configured(t, "password_file "+filepath.Join(dir, "passwd"), "auth_chain jwt password_file",
		"auth_jwt_secret_file "+filepath.Join(dir, "secret"), "auth_jwt_username_claim sub", "auth_jwt_attribute groups"), nil)
	if _, code := login(t, s, "ann", "secret"); code != mqtt.Success {
		t.Errorf("ann, who has a password: %v", code)
	}
	if _, code := login(t, s, "joe", token(t, secret+"x", map[string]any{"sub": "joe", "exp": time.Now().Unix() + 100})); code != mqtt.NotAuthorized {
		t.Errorf("a token that another secret signed: %v", code)
	}
	joe, code := login(t, s, "joe", token(t, secret, map[string]any{"sub": "joe", "exp": time.Now().Unix() + 2, "groups": []string{"g"}}))
	if code != mqtt.Success {
		t.Fatalf("joe: %v", code)
	}
	for _, c := range s.Broker().Clients() {
		if c.Username == "joe" && !slices.Equal(c.Attributes[broker.AttributeGroup], []string{"g"}) {
			t.Errorf("joe has the attributes %v", c.Attributes)
		}
	}
	got, err := io.ReadAll(joe)
	if want := (&mqtt.Disconnect{Reason: mqtt.MaximumConnectTime}).Append(nil, mqtt.V5); err != nil || !bytes.Equal(got, want) {
		t.Errorf("at the end of the token came %x, %v; want %x", got, err, want)
	}
}

func TestReloadAsksTheDatabaseAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, trail := filepath.Join(dir, "users.db"), filepath.Join(dir, "audit")
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE TABLE users (name TEXT, hash TEXT)")
	exec("INSERT INTO users VALUES ('ann', ?), ('bob', ?)", secretHash, secretHash)
	cfg := configured(t, "audit_log "+trail, "auth_sql_url sqlite:"+file, "auth_sql_query SELECT hash FROM users WHERE name = %u", "auth_cache_time 3600")
	s := start(t, cfg, nil)
	ann, code := login(t, s, "ann", "secret")
	bob, code2 := login(t, s, "bob", "secret")
	if code != mqtt.Success || code2 != mqtt.Success {
		t.Fatalf("ann: %v, bob: %v", code, code2)
	}
	if _, code := login(t, s, "bob", "wrong"); code != mqtt.NotAuthorized {
		t.Errorf("a wrong password: %v", code)
	}
	exec("UPDATE users SET hash = ? WHERE name = 'bob'", otherHash)
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(bob)
	if want := (&mqtt.Disconnect{Reason: mqtt.NotAuthorized}).Append(nil, mqtt.V5); err != nil || !bytes.Equal(got, want) {
		t.Errorf("bob, whose password changed, got %x, %v", got, err)
	}
	send(t, ann, &mqtt.Pingreq{})
	if _, ok := receive(t, ann).(*mqtt.Pingresp); !ok {
		t.Error("ann was disconnected")
	}
	if _, code := login(t, s, "bob", "secret"); code != mqtt.NotAuthorized {
		t.Errorf("bob with what was remembered: %v", code)
	}
	if _, code := login(t, s, "bob", "other"); code != mqtt.Success {
		t.Errorf("bob with the new password: %v", code)
	}
	// The client is told before the line is written, and may be back by then: the order is not certain.
	want := []string{"login_failed bob", "login_failed bob", "reload", "revoked bob"}
	if got := slices.Sorted(slices.Values(audited(t, trail, len(want)))); !slices.Equal(got, want) {
		t.Errorf("audit log %q, want %q", got, want)
	}
	broken := *cfg
	broken.AuditLog = filepath.Join(dir, "none", "audit")
	if err := s.Reload(&broken); err == nil {
		t.Error("a reload with an audit log that cannot be opened")
	}
	if _, code := login(t, s, "ann", "secret"); code != mqtt.Success {
		t.Errorf("after a reload that failed: %v", code)
	}
	if got := audited(t, trail, len(want)+1); got[len(got)-1] != "reload_failed" {
		t.Errorf("audit log ends in %q", got[len(got)-1])
	}
}

func TestWhoGuessesIsBannedAndTheBanCanBeLifted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	trail := filepath.Join(dir, "audit")
	write(t, filepath.Join(dir, "passwd"), "ann:"+secretHash+"\n")
	log := &testenv.Buffer{}
	s := start(t, configured(t, "audit_log "+trail, "password_file "+filepath.Join(dir, "passwd"), "auth_ban_attempts 3", "auth_ban_delay 0"), slog.New(mosqlog.New(log, config.Log{Types: config.LogAll})))
	for i := range 3 {
		if _, code := login(t, s, "ann", fmt.Sprint("guess ", i)); code != mqtt.NotAuthorized {
			t.Errorf("guess %d: %v", i, code)
		}
	}
	if _, code := login(t, s, "ann", "secret"); code != mqtt.Banned {
		t.Errorf("a banned user with the right password: %v", code)
	}
	bans := s.Bans()
	if len(bans) != 1 || bans[0].User != "ann" || bans[0].Address != "" || bans[0].Attempts != 3 {
		t.Fatalf("bans %+v", bans)
	}
	if s.LiftBan("", "joe") || !s.LiftBan("", "ann") || s.LiftBan("", "ann") {
		t.Error("the ban is not lifted, or twice")
	}
	if _, code := login(t, s, "ann", "secret"); code != mqtt.Success {
		t.Errorf("after the ban: %v", code)
	}
	want := []string{"login_failed ann", "login_failed ann", "ban ann", "login_failed ann", "login_banned ann", "ban_lifted ann"}
	if got := audited(t, trail, len(want)); !slices.Equal(got, want) {
		t.Errorf("audit log %q, want %q", got, want)
	}
	if text := log.String(); !strings.Contains(text, `Banned user "ann" until`) || strings.Contains(text, "guess") {
		t.Errorf("log\n%s", text)
	}
	if text, err := os.ReadFile(trail); err != nil || bytes.Contains(text, []byte("guess")) {
		t.Errorf("the audit log has a password, or %v", err)
	}
}

// TestOneWrongPasswordFromClosedSocketsIsBanned: nobody who has an outdated password hangs up before the answer.
func TestOneWrongPasswordFromClosedSocketsIsBanned(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	write(t, path, "ann:"+secretHash+"\njoe:"+secretHash+"\n")
	s := start(t, configured(t, "password_file "+path, "auth_ban_attempts 3"), nil)
	c := mqtt.Connect{Version: mqtt.V5, ClientID: "c", CleanStart: true, Username: "ann", HasUsername: true, Password: []byte("wrong"), HasPassword: true}
	packet := c.Append(nil, c.Version)
	for end := time.Now().Add(deadline); len(s.Bans()) == 0 && time.Now().Before(end); {
		conn, err := net.Dial("unix", s.Addrs()[0].String())
		if errors.Is(err, syscall.EAGAIN) {
			continue // more wait than the socket takes
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(packet)
		_ = conn.Close()
	}
	if bans := s.Bans(); len(bans) != 1 || bans[0].User != "ann" {
		t.Errorf("bans %+v", bans)
	}
	if _, code := login(t, s, "joe", "secret"); code != mqtt.Success {
		t.Errorf("another user: %v", code)
	}
}

func TestABackendThatDoesNotAnswerLetsNobodyIn(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "passwd")
	write(t, path, "ann:"+secretHash+"\n")
	log := &testenv.Buffer{}
	s := start(t, configured(t, "auth_http_url "+server.URL, "password_file "+path, "auth_chain http password_file"), slog.New(mosqlog.New(log, config.Log{Types: config.LogAll})))
	for range 5 {
		if _, code := login(t, s, "ann", "secret"); code != mqtt.ServerUnavailable {
			t.Errorf("CONNACK says %v", code)
		}
	}
	if n := strings.Count(log.String(), "Authentication by http: status 500 is no answer"); n != 1 {
		t.Errorf("%d lines about it, want 1:\n%s", n, log)
	}
}

// credentials returns the line of joe in a file for SCRAM.
func credentials(t *testing.T, password string) string {
	t.Helper()
	c, err := stored.NewCredentials(stored.DefaultIterations, []byte(password))
	if err != nil {
		t.Fatal(err)
	}
	return "joe:" + c.String() + "\n"
}

// enhanced is a client that authenticates by SCRAM.
func enhanced(t *testing.T, s *Server, method, user, password string) (net.Conn, mqtt.ReasonCode) {
	t.Helper()
	return enhancedAfter(t, s, method, user, password, func() {})
}

// enhancedAfter is enhanced, and has something done before it answers the broker.
func enhancedAfter(t *testing.T, s *Server, method, user, password string, before func()) (net.Conn, mqtt.ReasonCode) {
	t.Helper()
	hash := map[string]scram.HashGeneratorFcn{"SCRAM-SHA-256": scram.SHA256, "SCRAM-SHA-512": scram.SHA512}[method]
	client, err := hash.NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	talk := client.NewConversation()
	first, err := talk.Step("")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := mqtt.Connect{Version: mqtt.V5, ClientID: "scram-" + user, CleanStart: true}
	c.Properties.SetAuthMethod(method)
	c.Properties.SetAuthData([]byte(first))
	tell(t, conn, &c)
	for {
		switch p := hear(t, conn).(type) {
		case *mqtt.Auth:
			before()
			next, err := talk.Step(string(p.Properties.AuthData))
			if err != nil {
				t.Fatal(err)
			}
			a := mqtt.Auth{Reason: mqtt.ContinueAuthentication}
			a.Properties.SetAuthMethod(method)
			a.Properties.SetAuthData([]byte(next))
			tell(t, conn, &a)
		case *mqtt.Connack:
			if p.Reason == mqtt.Success {
				if _, err := talk.Step(string(p.Properties.AuthData)); err != nil || !talk.Valid() {
					t.Errorf("the broker does not prove that it knows the user: %v", err)
				}
			}
			return conn, p.Reason
		default:
			t.Fatalf("came %T", p)
		}
	}
}

func tell(t *testing.T, conn net.Conn, p mqtt.Packet) {
	t.Helper()
	if _, err := conn.Write(p.Append(nil, mqtt.V5)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, conn net.Conn) mqtt.Packet {
	t.Helper()
	var in []byte
	for {
		frame, _, err := mqtt.Split(in, 0)
		if err != nil {
			t.Fatal(err)
		}
		if frame != nil {
			p, err := mqtt.Decode(mqtt.V5, frame)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		b := make([]byte, 1)
		if _, err := io.ReadFull(conn, b); err != nil {
			t.Fatal(err)
		}
		in = append(in, b...)
	}
}

func TestClientsAuthenticateBySCRAM(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "scram")
	write(t, path, credentials(t, "JOE"))
	cfg := configured(t, "auth_scram_file "+path)
	s := start(t, cfg, nil)
	var conns []net.Conn
	for _, method := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		conn, code := enhanced(t, s, method, "joe", "JOE")
		if code != mqtt.Success {
			t.Errorf("%s: %v", method, code)
		}
		conns = append(conns, conn)
		for _, wrong := range [][2]string{{"joe", "joe"}, {"ann", "ANN"}} {
			if _, code := enhanced(t, s, method, wrong[0], wrong[1]); code != mqtt.NotAuthorized {
				t.Errorf("%s as %s with %s: %v", method, wrong[0], wrong[1], code)
			}
		}
	}
	if _, code := login(t, s, "joe", "JOE"); code != mqtt.NotAuthorized {
		t.Errorf("the password in CONNECT: %v", code)
	}
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	tell(t, conns[1], &mqtt.Pingreq{})
	if _, ok := hear(t, conns[1]).(*mqtt.Pingresp); !ok {
		t.Error("a reload that changes nothing disconnects")
	}
	write(t, path, credentials(t, "NEW"))
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if d, ok := hear(t, conns[1]).(*mqtt.Disconnect); !ok || d.Reason != mqtt.NotAuthorized {
		t.Errorf("joe, whose password changed, got %+v", d)
	}
}

func TestMistakesOfAuthenticationAreToldWithTheirLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "short"), "short")
	for lines, want := range map[string]string{
		"auth_jwt_key_file " + dir + "/none":                                         "unio.conf:3: auth_jwt_key_file: open " + dir + "/none: no such file or directory",
		"auth_jwt_secret_file " + dir + "/short":                                     "unio.conf:3: auth_jwt_secret_file: expected a secret of at least 32 bytes, not 5",
		"auth_sql_url sqlite:x":                                                      "unio.conf:3: auth_sql_url: expected an auth_sql_query, too",
		"auth_sql_url sqlite:x\nauth_sql_query SELECT h FROM u WHERE n = '%u'":       "unio.conf:3: auth_sql_url: expected %u, %c and %a outside of quotes and comments: they are parameters",
		"auth_chain ldap":                                                            "unio.conf:3: auth_chain: expected an auth_ldap_url for ldap",
		"auth_chain password_file scram":                                             "unio.conf:3: auth_chain: expected a password_file for password_file\nunio.conf:3: auth_chain: expected an auth_scram_file for scram",
		"auth_scram_file " + dir + "/short":                                          dir + "/short:1: expected USER:CREDENTIALS",
		"auth_ldap_url ldap://h\nauth_ldap_dn uid=%u\nauth_ldap_bind_dn cn=x":        "unio.conf:3: auth_ldap_url: expected auth_ldap_bind_dn and auth_ldap_bind_password_file together",
		"auth_http_url https://h/\nauth_http_header_file " + dir + "/short":          "unio.conf:4: auth_http_header_file: expected lines NAME: VALUE",
		"auth_redis_url redis://h:6379\nauth_redis_key users\nauth_redis_field hash": "unio.conf:3: auth_redis_url: expected a key with %u or %c: without one all users are the same",
	} {
		cfg := configured(t, strings.Split(lines, "\n")...)
		if _, err := CheckFiles(cfg); err == nil || err.Error() != want {
			t.Errorf("%s\n%v\nwant\n%s", lines, err, want)
		}
	}
}

func TestPlainConnectionsToOtherMachinesAreWarnedOf(t *testing.T) {
	t.Parallel()
	cfg := configured(t, "auth_http_url http://192.0.2.1/", "auth_ldap_url ldap://127.0.0.1 ldap://ldap.example.com", "auth_ldap_dn uid=%u")
	warnings, err := CheckFiles(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.Option+" "+strings.Fields(w.Msg)[3])
	}
	if want := []string{"auth_ldap_url ldap.example.com", "auth_http_url 192.0.2.1"}; !slices.Equal(got, want) {
		t.Errorf("warnings %q, want %q", got, want)
	}
}
