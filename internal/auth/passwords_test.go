package auth

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/uniomq/unio/config/mistake"
)

// cheap hashes a password so that checks take no time.
func cheap(t testing.TB, password string) *Hash {
	t.Helper()
	h, err := NewHash(SHA512, 0, []byte(password))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// passwords returns those of users whose password is their name turned to capitals.
func passwords(t testing.TB, users ...string) *Passwords {
	t.Helper()
	e := NewEditor("passwd")
	for _, user := range users {
		if _, err := e.Set(user, cheap(t, strings.ToUpper(user))); err != nil {
			t.Fatal(err)
		}
	}
	p, err := parsePasswords("passwd", e.text().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPasswordsAreVerified(t *testing.T) {
	t.Parallel()
	p := passwords(t, "joe", "anne smith")
	for _, c := range []struct {
		user, password string
		want           bool
	}{
		{"joe", "JOE", true},
		{"anne smith", "ANNE SMITH", true},
		{"joe", "joe", false},
		{"joe", "", false},
		{"joe", "JOE\x00", false},
		{"joe", "JOE\x00x", false},
		{"joe\x00", "JOE", false},
		{"Joe", "JOE", false},
		{"", "", false},
		{"bob", "BOB", false},
	} {
		if got := p.Verify(c.user, []byte(c.password)); got != c.want {
			t.Errorf("Verify(%q, %q) = %v", c.user, c.password, got)
		}
	}
}

func TestLinesThatMosquittoAcceptsAreRead(t *testing.T) {
	t.Parallel()
	h := cheap(t, "x").String()
	p, err := parsePasswords("f", []byte("\ufeff# comment: "+h+"\r\n\r\n  \n joe : "+h+" \r\nno colon\nanne:"+h+":more:fields\nlast:"+h))
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"joe", "anne", "last"} {
		if !p.Verify(user, []byte("x")) {
			t.Errorf("%s is unknown", user)
		}
	}
	if p.Len() != 3 {
		t.Errorf("%d users, want 3", p.Len())
	}
	var got []string
	for _, w := range p.Warnings() {
		got = append(got, w.String())
	}
	if want := []string{"f:5: ignored: expected USER:HASH"}; !slices.Equal(got, want) {
		t.Errorf("warnings %q, want %q", got, want)
	}
}

func TestAllMistakesOfAPasswordFileAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	h := cheap(t, "x").String()
	_, err := parsePasswords("f", []byte("joe:"+h+"\nanne:secret\n:"+h+"\njoe:"+h+"\nbob:\nrob:$7$x$y$z\n"+strings.Repeat("u", 65536)+":"+h+"\n"))
	var mistakes mistake.Errors
	if !errors.As(err, &mistakes) {
		t.Fatalf("error is %v", err)
	}
	want := []string{
		"f:2: user \"anne\": expected a hashed password ($argon2id$, $7$ or $6$), not plain text or another hash; `unio passwd -U FILE` hashes the plain text passwords of a file",
		"f:3: expected a user name of 1 to 65535 bytes before the colon",
		"f:4: user \"joe\" is in line 1 already",
		"f:5: user \"bob\": expected a hashed password ($argon2id$, $7$ or $6$), not plain text or another hash; `unio passwd -U FILE` hashes the plain text passwords of a file",
		"f:6: user \"rob\": expected $7$ITERATIONS$SALT$HASH, but ITERATIONS is \"x\", not 1 to 10000000",
		"f:7: expected a user name of 1 to 65535 bytes before the colon",
	}
	var got []string
	for _, m := range mistakes {
		got = append(got, m.Error())
	}
	if !slices.Equal(got, want) {
		t.Errorf("mistakes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestUnreadablePasswordFileIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "missing"), dir} {
		p, err := LoadPasswords(path)
		var mistakes mistake.Errors
		if p != nil || !errors.As(err, &mistakes) || !strings.Contains(err.Error(), path+": the password file cannot be read") {
			t.Errorf("LoadPasswords(%s) = %v, %v", path, p, err)
		}
	}
}

func TestPasswordFileOpenToAllIsWarnedOf(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o644: 1} {
		if err := os.WriteFile(path, []byte("joe:"+cheap(t, "x").String()+"\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if !ReadableByAll(info) {
			want = 0 // a system that does not tell
		}
		p, err := LoadPasswords(path)
		if err != nil || len(p.Warnings()) != want {
			t.Errorf("mode %o: %v, %v; want %d warnings", mode, p.Warnings(), err, want)
		}
	}
}

func TestUnknownUserCostsAsMuchAsAKnownOne(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i, a := range []Algorithm{SHA512, PBKDF2, PBKDF2, Argon2id} {
		h, err := NewHash(a, 5, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(strings.Repeat("u", i+1) + ":" + h.String() + "\n")
	}
	p, err := parsePasswords("f", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	h, known := p.candidate("nobody")
	if known || h == nil || h.params != p.users["uu"].params || len(h.salt) != len(p.users["uu"].salt) {
		t.Errorf("an unknown user is checked against %v, want what most users have", h)
	}
	if empty, err := parsePasswords("f", nil); err != nil || empty.Verify("nobody", nil) {
		t.Errorf("an empty file accepts somebody, or is an error: %v", err)
	}
}

func FuzzParsePasswords(f *testing.F) {
	f.Add([]byte("# c\njoe:$6$c2FsdHNhbHRzYWx0$" + strings.Repeat("AAAA", 21) + "AA==\r\nanne:x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parsePasswords("f", text)
		var mistakes mistake.Errors
		if err != nil && (p != nil || !errors.As(err, &mistakes) || len(mistakes) == 0) {
			t.Fatalf("parse returned %v and %v", p, err)
		}
	})
}
