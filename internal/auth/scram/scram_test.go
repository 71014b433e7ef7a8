package scram

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config/mistake"
	"github.com/uniomq/unio/internal/auth"
)

func file(t *testing.T, users ...string) *File {
	t.Helper()
	var text strings.Builder
	for _, user := range users {
		c, err := NewCredentials(minIterations, []byte(strings.ToUpper(user)))
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(user + ":" + c.String() + "\n")
	}
	f, err := parse("scram", text.String())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// talk lets somebody else's client talk to the backend, and returns the last answer and whether the client believes the server.
func talk(t *testing.T, b *Backend, method string, client *scram.ClientConversation) (*auth.Answer, bool) {
	t.Helper()
	x := b.Exchange(t.Context(), &broker.Client{}, method)
	if x == nil {
		t.Fatalf("no exchange for %s", method)
	}
	said := ""
	for {
		message, err := client.Step(said)
		if err != nil {
			t.Fatal(err)
		}
		reply, answer, err := x.Next(t.Context(), []byte(message))
		if err != nil {
			t.Fatal(err)
		}
		if answer != nil {
			if reply != nil {
				_, _ = client.Step(string(reply))
			}
			return answer, client.Valid()
		}
		said = string(reply)
	}
}

func TestClientsProveThatTheyKnowThePassword(t *testing.T) {
	t.Parallel()
	b := New(file(t, "joe", "ann"))
	for name, hash := range map[string]scram.HashGeneratorFcn{"SCRAM-SHA-256": scram.SHA256, "SCRAM-SHA-512": scram.SHA512} {
		for _, c := range []struct {
			user, password, other string
			want                  auth.Verdict
			reason                string
		}{
			{"joe", "JOE", "", auth.Allow, "SCRAM"},
			{"joe", "JOE", "joe", auth.Allow, "SCRAM"},
			{"joe", "JOE", "ann", auth.Deny, "the client asks to be somebody else"},
			{"joe", "ANN", "", auth.Deny, "wrong password"},
			{"bob", "BOB", "", auth.Deny, "unknown user"},
		} {
			client, err := hash.NewClient(c.user, c.password, c.other)
			if err != nil {
				t.Fatal(err)
			}
			a, believes := talk(t, b, name, client.NewConversation())
			if a.Verdict != c.want || a.Reason != c.reason || a.Username != c.user || believes != (c.want == auth.Allow) {
				t.Errorf("%s, %s with %s as %q: %+v, the client believes it: %v", name, c.user, c.password, c.other, a, believes)
			}
			if a.Verdict == auth.Allow {
				joe := &broker.Client{Username: "joe"}
				if !b.Valid(joe, a.Proof) || New(file(t, "joe")).Valid(joe, a.Proof) || New(file(t)).Valid(joe, a.Proof) {
					t.Error("valid with other credentials, or not with the same")
				}
			}
		}
	}
	if x := b.Exchange(t.Context(), &broker.Client{}, "SCRAM-SHA-256-PLUS"); x != nil {
		t.Error("channel binding is offered")
	}
}

func TestUnknownUsersLookLikeKnownOnes(t *testing.T) {
	t.Parallel()
	b := New(file(t, "joe"))
	first := func(user string) string {
		reply, a, err := b.Exchange(t.Context(), &broker.Client{}, "SCRAM-SHA-256").Next(t.Context(), []byte("n,,n="+user+",r=abc"))
		if a != nil || err != nil {
			t.Fatalf("%s: %v, %v", user, a, err)
		}
		_, rest, _ := strings.Cut(string(reply), ",")
		return rest
	}
	joe, bob := first("joe"), first("bob")
	if len(joe) != len(bob) || joe[strings.LastIndex(joe, ","):] != bob[strings.LastIndex(bob, ","):] {
		t.Errorf("a known user gets %s, an unknown one %s", joe, bob)
	}
	if again := first("bob"); again != bob {
		t.Errorf("an unknown user gets %s, then %s", bob, again)
	}
	if first("rob") == bob {
		t.Error("two unknown users have the same salt")
	}
}

// TestIterationsOfUnknownUsersStay checks that they do when users with others come.
func TestIterationsOfUnknownUsersStay(t *testing.T) {
	t.Parallel()
	text := ""
	for i, user := range []string{"joe", "ann", "eve"} {
		c, err := NewCredentials(minIterations+min(i, 1), []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		text += user + ":" + c.String() + "\n"
		f, err := parse("f", text)
		if err != nil {
			t.Fatal(err)
		}
		if c, _ := f.find("bob", 0); c.Iters != minIterations {
			t.Errorf("with %s there are %d iterations, and were %d", user, c.Iters, minIterations)
		}
	}
}

// TestSaltsOfUnknownUsersStay checks that they do while users come and go, as those of known users do.
func TestSaltsOfUnknownUsersStay(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "scram")
	e := auth.NewEditor(path)
	salt := func(user string) string {
		t.Helper()
		if err := e.Save(); err != nil {
			t.Fatal(err)
		}
		f, err := Load(path)
		if err != nil || len(f.Warnings()) > 0 {
			t.Fatal(err, f.Warnings())
		}
		c, _ := f.find(user, 0)
		return c.Salt
	}
	add := func(user string) {
		t.Helper()
		c, err := NewCredentials(minIterations, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		AddSecret(e)
		if _, err := e.Set(user, c); err != nil {
			t.Fatal(err)
		}
	}
	add("joe")
	before := salt("bob")
	add("ann")
	if salt("bob") != before {
		t.Error("another user was added, and the salt of an unknown one is another")
	}
	e.Delete("joe")
	if salt("bob") != before {
		t.Error("a user was deleted, and the salt of an unknown one is another")
	}
	add("bob")
	if salt("bob") == before {
		t.Error("the salt of a known user follows from the secret")
	}
	other := auth.NewEditor(path)
	AddSecret(other)
	e = other
	if salt("bob") == before {
		t.Error("two files have the same secret")
	}
	if f := file(t); len(f.Warnings()) != 0 {
		t.Errorf("warnings of a file without users: %q", f.Warnings())
	}
	if f := file(t, "joe"); len(f.Warnings()) != 1 {
		t.Errorf("warnings of a file without secret: %q", f.Warnings())
	}
	if _, err := parse("f", secretPrefix+"x\n"); err == nil || err.Error() != "f:1: expected #unknown-users and 32 bytes in base64" {
		t.Errorf("a secret that is none: %v", err)
	}
}

func TestGarbageInAnExchangeIsDenied(t *testing.T) {
	t.Parallel()
	b := New(file(t, "joe"))
	for _, messages := range [][]string{
		{""}, {"\x00"}, {"p=tls-unique,,n=joe,r=x"}, {"n,,n=joe,r=x", ""}, {"n,,n=joe,r=x", "c=biws,r=x,p=AAAA"}, {"n,,n=,r=x"}, {"n,,m=1,n=joe,r=x"},
	} {
		x := b.Exchange(t.Context(), &broker.Client{}, "SCRAM-SHA-256")
		var answer *auth.Answer
		for _, m := range messages {
			var err error
			if _, answer, err = x.Next(t.Context(), []byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		if messages[0] == "n,,n=,r=x" && answer == nil {
			continue // an empty name is an unknown one
		}
		if answer == nil || answer.Verdict != auth.Deny {
			t.Errorf("%q: %+v", messages, answer)
		}
	}
}

func TestMistakesInAFileHaveTheirLine(t *testing.T) {
	t.Parallel()
	c, err := NewCredentials(DefaultIterations, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	good := c.String()
	_, err = parse("f", "# c\n\njoe:"+good+"\nann\nbob:x\njoe:"+good+"\nrob:"+strings.Replace(good, "$10000$", "$1$", 1)+"\nrob:"+strings.Replace(good, "$10000$", "$10000$!", 1))
	var mistakes mistake.Errors
	if !errors.As(err, &mistakes) {
		t.Fatalf("error %v", err)
	}
	want := []string{
		"f:4: expected USER:CREDENTIALS",
		"f:5: user \"bob\": expected two entries of credentials, as unio passwd -H scram writes them",
		"f:6: user \"joe\" is there twice",
		"f:7: user \"rob\": expected 4096 to 10000000 iterations in $scram-sha-256$",
		"f:8: user \"rob\": expected SALT and keys of 32 bytes in base64 in $scram-sha-256$",
	}
	if got := mistakes.Error(); got != strings.Join(want, "\n") {
		t.Errorf("mistakes\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	for _, password := range []string{"", "a\x00", "\x01", "\xff"} {
		if _, err := NewCredentials(DefaultIterations, []byte(password)); err == nil {
			t.Errorf("password %q is accepted", password)
		}
	}
	if _, err := NewCredentials(1000, []byte("x")); err == nil {
		t.Error("1000 iterations are accepted")
	}
	if _, err := Load("missing"); err == nil {
		t.Error("a missing file is accepted")
	}
}
