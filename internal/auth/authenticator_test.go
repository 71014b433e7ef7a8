package auth

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

func named(user string) *broker.Client {
	return &broker.Client{ID: "c", Username: user, HasUsername: true}
}

func TestAuthenticateFollowsMosquittosRules(t *testing.T) {
	t.Parallel()
	file := passwords(t, "joe")
	empty := passwords(t)
	for _, c := range []struct {
		name     string
		listener Listener
		client   *broker.Client
		password []byte
		want     error
	}{
		{"no file, anonymous", Listener{}, &broker.Client{}, nil, nil},
		{"no file, any name", Listener{}, named("bob"), []byte("x"), nil},
		{"no file, anonymous refused", Listener{RefuseAnonymous: true}, &broker.Client{}, nil, mqtt.NotAuthorized},
		{"no file, name that nobody checks", Listener{RefuseAnonymous: true}, named("bob"), []byte("x"), mqtt.NotAuthorized},
		{"file, anonymous", Listener{Passwords: file}, &broker.Client{}, nil, nil},
		{"file, anonymous with a password", Listener{Passwords: file}, &broker.Client{}, []byte("x"), nil},
		{"file, anonymous refused", Listener{Passwords: file, RefuseAnonymous: true}, &broker.Client{}, nil, mqtt.NotAuthorized},
		{"file, right", Listener{Passwords: file, RefuseAnonymous: true}, named("joe"), []byte("JOE"), nil},
		{"file, wrong", Listener{Passwords: file}, named("joe"), []byte("joe"), mqtt.NotAuthorized},
		{"file, unknown", Listener{Passwords: file}, named("bob"), []byte("BOB"), mqtt.NotAuthorized},
		{"file, no password", Listener{Passwords: file}, named("joe"), nil, mqtt.NotAuthorized},
		{"file, empty name", Listener{Passwords: file}, named(""), []byte(""), mqtt.NotAuthorized},
		{"empty file", Listener{Passwords: empty}, named("joe"), []byte("JOE"), mqtt.NotAuthorized},
	} {
		a := New(Options{Listener: c.listener})
		if err := a.Authenticate(t.Context(), c.client, c.password); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		} else if err == nil && !a.Valid(c.client) {
			t.Errorf("%s: accepted and not valid", c.name)
		}
		if want := c.name == "file, right"; c.client.LoggedIn != want {
			t.Errorf("%s: logged in: %v", c.name, c.client.LoggedIn)
		}
	}
}

// TestNobodyLogsInWithAnEmptyPassword even where a file has its hash, by whichever algorithm.
func TestNobodyLogsInWithAnEmptyPassword(t *testing.T) {
	t.Parallel()
	blowfish, err := bcrypt.GenerateFromPassword(nil, bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	hashes := []string{string(blowfish)}
	for _, a := range []Algorithm{PBKDF2, SHA512} {
		h, err := NewHash(a, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, h.String())
	}
	for _, text := range hashes {
		h, err := ParseForeignHash(text)
		if err != nil {
			t.Fatal(err)
		}
		a := New(Options{Listener: Listener{Passwords: &Passwords{users: map[string]*Hash{"joe": h}}}})
		for _, password := range [][]byte{nil, {}} {
			if err := a.Authenticate(t.Context(), named("joe"), password); !errors.Is(err, mqtt.NotAuthorized) {
				t.Errorf("%s: the password %q: %v", text, password, err)
			}
		}
	}
}

func TestListenersHaveTheirOwnPasswords(t *testing.T) {
	t.Parallel()
	a := New(Options{
		Listener:  Listener{Passwords: passwords(t, "joe")},
		Listeners: map[string]Listener{"inner": {Passwords: passwords(t, "anne")}, "open": {}},
	})
	for listener, want := range map[string]string{"": "joe", "inner": "anne", "open": "joe anne "} {
		got := ""
		for _, user := range []string{"joe", "anne"} {
			c := named(user)
			c.Listener = listener
			if a.Authenticate(t.Context(), c, []byte(map[string]string{"joe": "JOE", "anne": "ANNE"}[user])) == nil {
				got += user
				if listener == "open" {
					got += " "
				}
			}
		}
		if got != want {
			t.Errorf("listener %q accepts %q, want %q", listener, got, want)
		}
	}
}

func TestValidAfterReload(t *testing.T) {
	t.Parallel()
	before := passwords(t, "joe", "anne", "bob")
	a := New(Options{Listener: Listener{Passwords: before}})
	clients := map[string]*broker.Client{"": {ID: "anonymous"}}
	for _, user := range []string{"joe", "anne", "bob"} {
		clients[user] = named(user)
	}
	for user, c := range clients {
		var password []byte
		if user != "" {
			password = map[string][]byte{"joe": []byte("JOE"), "anne": []byte("ANNE"), "bob": []byte("BOB")}[user]
		}
		if err := a.Authenticate(t.Context(), c, password); err != nil {
			t.Fatalf("%s: %v", user, err)
		}
	}
	// In the new file joe is as he was, anne has another hash of the same password, bob is gone.
	text := "joe:" + before.users["joe"].String() + "\nanne:" + cheap(t, "ANNE").String() + "\n"
	after, err := parsePasswords("passwd", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	a.Set(Options{Listener: Listener{Passwords: after}})
	for user, want := range map[string]bool{"": true, "joe": true, "anne": false, "bob": false} {
		if got := a.Valid(clients[user]); got != want {
			t.Errorf("user %q is valid: %v, want %v", user, got, want)
		}
		if err := a.Revalidate(t.Context(), clients[user]); (err == nil) != want || err != nil && !errors.Is(err, mqtt.NotAuthorized) {
			t.Errorf("user %q, whose login spans that: %v, want it let in: %v", user, err, want)
		}
	}
	a.Set(Options{Listener: Listener{Passwords: after, RefuseAnonymous: true}})
	if a.Valid(clients[""]) {
		t.Error("an anonymous client stays valid where they are refused")
	}
	unchecked := New(Options{})
	if err := unchecked.Authenticate(t.Context(), clients["joe"], nil); err != nil {
		t.Fatal(err)
	}
	unchecked.Set(Options{Listener: Listener{Passwords: after}})
	if unchecked.Valid(clients["joe"]) {
		t.Error("a client whose password nobody checked is valid where there is a password file now")
	}
}

func TestEnhancedAuthenticationIsRefused(t *testing.T) {
	t.Parallel()
	if x, err := New(Options{}).Exchange(t.Context(), &broker.Client{}, "SCRAM-SHA-256"); x != nil || !errors.Is(err, mqtt.BadAuthenticationMethod) {
		t.Errorf("Exchange = %v, %v", x, err)
	}
}

func TestChecksAreBounded(t *testing.T) {
	t.Parallel()
	g := NewGate()
	var leaves []func()
	for range max(runtime.GOMAXPROCS(0)-1, 1) {
		leave, err := g.enter(t.Context(), named("joe"), 0)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	if g.turns.free >= g.least {
		t.Fatal("hashes may take all processors")
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	a := New(Options{Listener: Listener{Passwords: passwords(t, "joe")}, Gate: g})
	if err := a.Authenticate(canceled, named("joe"), []byte("JOE")); !errors.Is(err, mqtt.ServerBusy) {
		t.Errorf("a client that cannot wait is told %v, want %v", err, mqtt.ServerBusy)
	}
	for _, leave := range leaves {
		leave()
	}
	leave, err := g.enter(t.Context(), named("joe"), maxMemory) // heavier than all there is, and yet alone
	if err != nil {
		t.Fatal(err)
	}
	if g.turns.free > 0 {
		t.Error("the heaviest hash is not alone")
	}
	leave()
}
