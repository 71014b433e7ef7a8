package sql

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
	"github.com/uniomq/unio/internal/auth/servers"
)

// hostile are names that would do harm in a query that is made of them.
var hostile = []string{`' OR '1'='1`, `'; DROP TABLE users; --`, `\' OR 1=1 #`, `joe'--`, `%`, `_oe`, `"joe"`, "$1", "?"}

// fill makes tables with users.
func fill(t *testing.T, db *sql.DB, numbered bool) {
	t.Helper()
	hash := func(a auth.Algorithm, password string) string {
		h, err := auth.NewHash(a, 10, []byte(password))
		if err != nil {
			t.Fatal(err)
		}
		return h.String()
	}
	foreign, err := bcrypt.GenerateFromPassword([]byte("BOB"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		t.Helper()
		if numbered {
			for i := range args {
				query = strings.Replace(query, "?", fmt.Sprintf("$%d", i+1), 1)
			}
		}
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE TABLE users (name VARCHAR(100), hash VARCHAR(400), superuser INTEGER, site VARCHAR(100))")
	exec("CREATE TABLE members (name VARCHAR(100), grp VARCHAR(100))")
	for _, u := range []struct {
		name string
		hash any
		site any
	}{
		{"joe", hash(auth.PBKDF2, "JOE"), "a, b"},
		{"ann", hash(auth.SHA512, "ANN"), nil},
		{"bob", string(foreign), ""},
		{"argon", hash(auth.Argon2id, "ARGON"), nil},
		{"none", nil, nil},
		{"plain", "PLAIN", nil},
		{"twice", hash(auth.SHA512, "x"), nil},
		{"twice", hash(auth.SHA512, "x"), nil},
	} {
		exec("INSERT INTO users VALUES (?, ?, 1, ?)", u.name, u.hash, u.site)
	}
	for _, group := range []string{"ops", "staff"} {
		exec("INSERT INTO members VALUES (?, ?)", "joe", group)
	}
}

func client(user string) *broker.Client {
	return &broker.Client{ID: "c", Username: user, HasUsername: true, RemoteAddr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}}
}

// testBackend checks what all databases must do.
func testBackend(t *testing.T, db *sql.DB, o Options) {
	o.Query, o.GroupQuery = "SELECT hash, superuser, site FROM users WHERE name = %u AND 'x' <> %c", "SELECT grp FROM members WHERE name = %u ORDER BY grp"
	o.Gate = auth.NewGate()
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	check := func(user, password string) (auth.Answer, error) {
		return b.Check(t.Context(), &auth.Request{Client: client(user), Password: []byte(password)})
	}
	for _, c := range []struct {
		user, password string
		want           auth.Verdict
		reason         string
	}{
		{"joe", "JOE", auth.Allow, "password"},
		{"ann", "ANN", auth.Allow, "password"},
		{"bob", "BOB", auth.Allow, "password"},
		{"argon", "ARGON", auth.Allow, "password"},
		{"joe", "joe", auth.Deny, "wrong password"},
		{"none", "", auth.Deny, "the user has no password"},
		{"nobody", "x", auth.NotMine, "unknown user"},
		{"", "x", auth.NotMine, "unknown user"},
	} {
		if a, err := check(c.user, c.password); err != nil || a.Verdict != c.want || a.Reason != c.reason {
			t.Errorf("%s, %s: %v, %s, %v; want %v, %s", c.user, c.password, a.Verdict, a.Reason, err, c.want, c.reason)
		}
	}
	for _, name := range hostile {
		if a, err := check(name, "JOE"); err != nil || a.Verdict != auth.NotMine {
			t.Errorf("user %q: %v, %v", name, a.Verdict, err)
		}
	}
	for _, user := range []string{"plain", "twice"} {
		if a, err := check(user, "PLAIN"); err == nil || strings.Contains(err.Error(), "PLAIN") {
			t.Errorf("%s: %v, error %v", user, a.Verdict, err)
		}
	}
	a, _ := check("joe", "JOE")
	got, _ := json.Marshal(a.Attributes)
	if want := `{"groups":["ops","staff"],"site":["a","b"],"superuser":["1"]}`; string(got) != want {
		t.Errorf("attributes %s, want %s", got, want)
	}
	if a, err := b.Check(t.Context(), &auth.Request{Client: &broker.Client{ID: "c"}}); err != nil || a.Verdict != auth.NotMine {
		t.Errorf("a client without user name: %v, %v", a.Verdict, err)
	}
	testRecheck(t, db, b, a.Proof)
}

func testRecheck(t *testing.T, db *sql.DB, b *Backend, proof any) {
	t.Helper()
	recheck := func(want bool) {
		t.Helper()
		if ok, err := b.Recheck(t.Context(), client("joe"), proof); ok != want || err != nil {
			t.Errorf("recheck: %v, %v; want %v", ok, err, want)
		}
	}
	recheck(true)
	for _, change := range []string{"UPDATE users SET hash = 'x' WHERE name = 'joe'", "DELETE FROM users WHERE name = 'joe'"} {
		if _, err := db.ExecContext(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		recheck(false)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Recheck(canceled, client("joe"), proof); err == nil {
		t.Error("no error for a query that was canceled")
	}
}

func testServer(t *testing.T, url string) {
	db, numbered, err := open(url, servers.Password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	fill(t, db, numbered)
	testBackend(t, db, Options{URL: url, Password: servers.Password})
	wrong, err := New(Options{URL: url, Password: "guess", Query: "SELECT hash FROM users WHERE name = %u", Gate: auth.NewGate()})
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close()
	a, err := wrong.Check(t.Context(), &auth.Request{Client: client("joe"), Password: []byte("JOE")})
	if err == nil || strings.Contains(err.Error(), "guess") {
		t.Errorf("with a wrong password for the database: %v, %v", a.Verdict, err)
	}
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	testServer(t, servers.PostgreSQL(t))
}

func TestMariaDB(t *testing.T) {
	t.Parallel()
	testServer(t, servers.MariaDB(t))
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users #1?.db")
	b, err := New(Options{URL: "sqlite:" + path, Query: "SELECT hash FROM users WHERE name = %u", Gate: auth.NewGate()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if a, err := b.Check(t.Context(), &auth.Request{Client: client("joe"), Password: []byte("x")}); err == nil {
		t.Errorf("without a file: %v", a.Verdict)
	}
	db, err := sql.Open("sqlite", "file:"+strings.NewReplacer("#", "%23", "?", "%3f", " ", "%20").Replace(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	fill(t, db, false)
	testBackend(t, db, Options{URL: "sqlite:" + path})
	if a, err := b.Check(t.Context(), &auth.Request{Client: client("ann"), Password: []byte("ANN")}); err != nil || a.Verdict != auth.Allow {
		t.Errorf("when the file has come: %v, %v", a.Verdict, err)
	}
	if _, err := b.db.ExecContext(t.Context(), "DELETE FROM users"); err == nil {
		t.Error("the backend can write")
	}
}

func TestQueriesGetParameters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"SELECT h FROM t WHERE u=%u AND c=%c AND a = %a": "SELECT h FROM t WHERE u=$1 AND c=$2 AND a = $3 uca",
		"WHERE u = %u OR x = %u":                         "WHERE u = $1 OR x = $2 uu",
		"WHERE n LIKE '%x%' AND i %amount = 0 AND u=%u":  "WHERE n LIKE '%x%' AND i %amount = 0 AND u=$1 u",
		`WHERE "a'b" = %u -- x`:                          `WHERE "a'b" = $1 -- x u`,
	} {
		q, err := parseQuery(text, true)
		if got := q.text + " " + q.letters; err != nil || got != want {
			t.Errorf("%s becomes %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"u = '%u'", `u = "x%cx"`, "u = `%u`", "/* %u */", "-- %a", "u = '%u"} {
		if q, err := parseQuery(text, true); err == nil {
			t.Errorf("%s becomes %s", text, q.text)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	const query = "SELECT h FROM u WHERE n = %u"
	for _, o := range []Options{
		{URL: "oracle://x/y", Query: query},
		{URL: "postgres://u:p@h/d", Query: query},
		{URL: "mysql://u:p@h/d", Query: query},
		{URL: "sqlite:", Query: query},
		{URL: "mysql://u@h/d?charset=x", Query: query},
		{URL: "mysql://u@h/d?tls=maybe", Query: query},
		{URL: "x", Query: query},
		{URL: "sqlite:x", Query: "SELECT 1"},
		{URL: "sqlite:x", Query: "SELECT '%u'"},
		{URL: "sqlite:x", Query: query, GroupQuery: "SELECT '%u'"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
