package auth

import (
	"strings"
	"testing"
)

// known are hashes that others have written: mosquitto_passwd of Mosquitto 2.0, and the
// argon2 command with the parameters of Mosquitto 2.1.
var known = []struct{ name, hash, password string }{
	{"sha512", "$6$KAIUfVAv51EbFW85$FOjPQeuck3eMxU/DA0UqtSvQV0rVlqkRUbbcDuJ2MTKXkySk2mKeifbjla6+agDb9jKVbfwAnOqOhfs5kkzyrw==", "sécret 1"},
	{"sha512-pbkdf2", "$7$101$wyXODmhh33MakYIG$SmvLUtpfojWsO5F046hHb8L34pJECiLyce4PDy2vmKwMJKYD9jYYMQZjAp4yh9A+5+CQzUv2CyIvDj0G0c/9vA==", "sécret 1"},
	{"argon2id", "$argon2id$v=19$m=47104,t=1,p=1$YSA2NCBieXRlIHNhbHQsIGFzIE1vc3F1aXR0byAyLjEgdXNlcyBpdCwgb25seSBub3QgcmFuZG9tIGhlcmUu$6kFz5XD4LOwmZCxXUztPHWr7bF4AlmuTrYoCFgPWohT/ys+6VSqMfHXolxJ4O52EAKwwMEGs+qBrrcynE681eg", "sécret 1"},
}

func TestHashesOfOthersMatchTheirPasswords(t *testing.T) {
	t.Parallel()
	for _, k := range known {
		h, err := ParseHash(k.hash)
		if err != nil {
			t.Errorf("%s: %v", k.name, err)
			continue
		}
		if !h.Matches([]byte(k.password)) {
			t.Errorf("%s: the password does not match", k.name)
		}
		for _, wrong := range []string{"", k.password + "x", k.password + "\x00", strings.ToUpper(k.password)} {
			if h.Matches([]byte(wrong)) {
				t.Errorf("%s: %q matches", k.name, wrong)
			}
		}
		if got := h.String(); got != k.hash {
			t.Errorf("%s: written as %s, want %s", k.name, got, k.hash)
		}
	}
}

func TestNewHashesMatchOnlyTheirPassword(t *testing.T) {
	t.Parallel()
	for _, a := range []Algorithm{Argon2id, PBKDF2, SHA512} {
		for _, password := range []string{"secret", "with\x00NUL", "\xff\xfe"} {
			h, err := NewHash(a, 0, []byte(password))
			if err != nil {
				t.Fatalf("%v: %v", a, err)
			}
			again, err := ParseHash(h.String())
			if err != nil || again.String() != h.String() {
				t.Fatalf("%v: %s is read as %v, %v", a, h, again, err)
			}
			if !again.Matches([]byte(password)) {
				t.Errorf("%v: %q does not match its hash", a, password)
			}
			if again.Matches([]byte(password+"\x00")) || again.Matches([]byte("with\x00nul")) || again.Matches([]byte("with")) {
				t.Errorf("%v: other passwords match the hash of %q", a, password)
			}
		}
	}
}

func TestNewHashesHaveMosquittosParameters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		algorithm  Algorithm
		iterations int
		prefix     string
		salt       int
	}{
		{Argon2id, 0, "$argon2id$v=19$m=47104,t=1,p=1$", 64},
		{Argon2id, 5, "$argon2id$v=19$m=47104,t=1,p=1$", 64},
		{PBKDF2, 0, "$7$1000$", 12},
		{PBKDF2, 7, "$7$7$", 12},
		{SHA512, 0, "$6$", 12},
	} {
		h, err := NewHash(c.algorithm, c.iterations, []byte("x"))
		if err != nil || !strings.HasPrefix(h.String(), c.prefix) || len(h.salt) != c.salt || len(h.sum) != 64 {
			t.Errorf("%v, %d iterations: %v, %v", c.algorithm, c.iterations, h, err)
		}
	}
	if h, err := NewHash(PBKDF2, 0, []byte("x\x00")); err == nil {
		t.Errorf("a password that PBKDF2 confuses with another gives %v", h)
	}
	for _, iterations := range []int{-1, maxIterations + 1} {
		if h, err := NewHash(PBKDF2, iterations, nil); err == nil {
			t.Errorf("%d iterations give %v", iterations, h)
		}
	}
}

func TestWrongHashesSayWhatIsExpected(t *testing.T) {
	t.Parallel()
	salt, sum := "c2FsdHNhbHRzYWx0", strings.Repeat("AAAA", 21)+"AA=="
	rawSalt, rawSum := "c2FsdHNhbHRzYWx0", strings.Repeat("AAAA", 21)+"AA"
	for text, want := range map[string]string{
		"secret":                         "`unio passwd -U FILE` hashes the plain text",
		"$5$abc$def":                     "expected a hashed password",
		"$6$" + salt:                     "expected $6$SALT$HASH",
		"$6$$" + sum:                     "SALT is not base64",
		"$6$" + salt + "$" + salt:        "HASH is not base64 of 64 bytes",
		"$6$!!$" + sum:                   "SALT is not base64",
		"$7$" + salt + "$" + sum:         "expected $7$ITERATIONS$SALT$HASH",
		"$7$0$" + salt + "$" + sum:       `ITERATIONS is "0", not 1 to 10000000`,
		"$7$x$" + salt + "$" + sum:       `ITERATIONS is "x"`,
		"$7$1e9$" + salt + "$" + sum:     `ITERATIONS is "1e9"`,
		"$7$1$" + salt + "$" + sum + "$": "expected $7$ITERATIONS$SALT$HASH",
		"$argon2id$v=16$m=8,t=1,p=1$" + rawSalt + "$" + rawSum:          `the version is "v=16"`,
		"$argon2id$m=8,t=1,p=1$" + rawSalt + "$" + rawSum:               "expected $argon2id$v=19",
		"$argon2id$v=19$t=1,m=8,p=1$" + rawSalt + "$" + rawSum:          "the parameters are",
		"$argon2id$v=19$m=8,t=1$" + rawSalt + "$" + rawSum:              "the parameters are",
		"$argon2id$v=19$m=8,t=0,p=1$" + rawSalt + "$" + rawSum:          `t is "0"`,
		"$argon2id$v=19$m=8,t=1,p=0$" + rawSalt + "$" + rawSum:          `p is "0"`,
		"$argon2id$v=19$m=8,t=1,p=2$" + rawSalt + "$" + rawSum:          "m is less than 8 times p",
		"$argon2id$v=19$m=4294967295,t=1,p=1$" + rawSalt + "$" + rawSum: `m is "4294967295", not 8 to 1048576`,
		"$argon2id$v=19$m=8,t=1,p=1$" + rawSalt + "$QUJD":               "HASH is not base64 of 16 to 1024 bytes",
	} {
		if h, err := ParseHash(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want an error with %s", text, h, err, want)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	for _, k := range known {
		f.Add(k.hash)
	}
	f.Add("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$QUJD")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHash(text)
		if err != nil {
			return
		}
		again, err := ParseHash(h.String())
		if err != nil || again.String() != h.String() {
			t.Fatalf("%q is read as %s, and that as %v, %v", text, h, again, err)
		}
	})
}

func BenchmarkMatches(b *testing.B) {
	for _, a := range []Algorithm{Argon2id, PBKDF2, SHA512} {
		b.Run(a.String(), func(b *testing.B) {
			b.ReportAllocs()
			h, err := NewHash(a, 0, []byte("secret"))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if !h.Matches([]byte("secret")) {
					b.Fatal("no match")
				}
			}
		})
	}
}
