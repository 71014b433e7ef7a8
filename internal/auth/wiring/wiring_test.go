package wiring

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/auth"
)

func parse(t *testing.T, lines ...string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("conf", strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func chain(t *testing.T, b *Build, i int) []auth.Backend {
	t.Helper()
	c := b.Chain(i, nil)
	if m := b.Mistakes(); len(m) > 0 {
		t.Fatal(m)
	}
	return c
}

func names(chain []auth.Backend) string {
	var all []string
	for _, b := range chain {
		all = append(all, b.Name())
	}
	return strings.Join(all, " ")
}

// inner returns the backend that a Remote wraps.
func inner(b auth.Backend) auth.Backend { return b.(interface{ Unwrap() auth.Backend }).Unwrap() }

func TestChainHasWhatIsConfigured(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret, empty := filepath.Join(dir, "secret"), filepath.Join(dir, "scram")
	for path, text := range map[string]string{secret: strings.Repeat("s", 32), empty: "# nobody yet\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := []string{
		"auth_http_url https://h/", "auth_ldap_url ldaps://h", "auth_ldap_dn uid=%u", "auth_redis_url redis://h", "auth_sql_url sqlite:x",
		"auth_sql_query SELECT h FROM u WHERE n = %u", "auth_jwt_secret_file " + secret, "auth_scram_file " + empty,
	}
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{nil, "transport"},
		{all, "transport scram jwt sql redis ldap http"},
		{append([]string{"auth_chain http jwt"}, all...), "http jwt"},
		{[]string{"auth_cache_size 1"}, "transport"},
	} {
		b := NewMaker(auth.NewGate(), nil).Begin(parse(t, c.lines...))
		if got := names(chain(t, b, 0)); got != c.want {
			t.Errorf("%q: chain %q, want %q", c.lines, got, c.want)
		}
		b.Discard()
	}
}

func TestBackendsAreUsedOnUnlessTheirOptionsChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "pw")
	write := func(text string) {
		if err := os.WriteFile(secret, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a")
	lines := []string{"listener 1883", "listener 1884", "auth_redis_url redis://h", "auth_redis_password_file " + secret}
	m := NewMaker(auth.NewGate(), nil)
	first := m.Begin(parse(t, lines...))
	one, two := chain(t, first, 0), chain(t, first, 1)
	if one[1] != two[1] {
		t.Error("two listeners with the same options do not share a backend")
	}
	first.Keep()
	again := m.Begin(parse(t, lines...))
	same := chain(t, again, 0)
	if inner(same[1]) != inner(one[1]) || same[1] == one[1] {
		t.Error("the backend is another one, or its answers are remembered over a reload")
	}
	again.Keep()
	write("b")
	changed := m.Begin(parse(t, lines...))
	other := chain(t, changed, 0)
	if inner(other[1]) == inner(one[1]) {
		t.Error("a backend keeps an old password")
	}
	changed.Discard()
	last := m.Begin(parse(t, append(lines, "auth_cache_time 1")...))
	write("a")
	if got := chain(t, last, 0); inner(got[1]) != inner(one[1]) {
		t.Error("a build that was discarded, or the time of answers, changes the backend")
	}
}

func TestMistakesOfOptionsAreToldOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	readable := filepath.Join(dir, "open")
	if err := os.WriteFile(readable, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := parse(t, "listener 1883", "listener 1884", "auth_redis_url redis://h", "auth_redis_cafile "+filepath.Join(dir, "none"), "auth_redis_password_file "+readable)
	b := NewMaker(auth.NewGate(), nil).Begin(cfg)
	for i := range cfg.Listeners {
		b.Chain(i, nil)
	}
	if got := b.Mistakes().Error(); !strings.HasPrefix(got, "conf:4: auth_redis_cafile: open ") || strings.Contains(got, "\n") {
		t.Errorf("mistakes\n%s", got)
	}
	if w := b.Warnings(); len(w) != 1 || w[0].Line != 5 || !strings.Contains(w[0].Msg, "chmod o-r") {
		t.Errorf("warnings %v", w)
	}
}

// TestTokensThatNameNobodyAreWarnedOf: who has one may take any name.
func TestTokensThatNameNobodyAreWarnedOf(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("s", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]int{"": 1, "auth_jwt_username_claim sub": 0, "auth_jwt_check sub %u": 0, "auth_jwt_check client_id %c": 1} {
		b := NewMaker(auth.NewGate(), nil).Begin(parse(t, "auth_jwt_secret_file "+secret, line))
		chain(t, b, 0)
		if w := b.Warnings(); len(w) != want || want > 0 && !strings.Contains(w[0].String(), "auth_jwt_username_claim") {
			t.Errorf("%q: warnings %v, want %d", line, w, want)
		}
		b.Discard()
	}
}
