package psk

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/config/mistake"
)

func TestKeyFileIsReadWithCommentsAndSpaces(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "psk")
	text := "\ufeff# comment\r\n\r\ndevice:00ff10\r\n  sensor 1 : ABCDEF \n# x:y\nüñ:01"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := LoadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	for identity, want := range map[string]string{"device": "00ff10", "sensor 1": "abcdef", "üñ": "01"} {
		if key, ok := k.Lookup(identity); !ok || hex.EncodeToString(key) != want {
			t.Errorf("%s: %x, %t", identity, key, ok)
		}
	}
	if _, ok := k.Lookup("nobody"); ok || k.Len() != 3 {
		t.Errorf("nobody is known, or there are %d keys", k.Len())
	}
	if _, err := LoadKeys(path + "-missing"); err == nil || !strings.Contains(err.Error(), "-missing: the psk_file cannot be read") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestMistakesInAKeyFileHaveTheirLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"a:c0ffee\na:c0ffee", `f:2: identity "a" is in line 1 already`},
		{"a:c0ffe", `f:1: identity "a": expected a key with an even number of hexadecimal digits`},
		{"a:c0ffeg", `f:1: identity "a": expected a key of hexadecimal digits alone, without 0x`},
		{"a:0xc0ffee", `f:1: identity "a": expected a key of hexadecimal digits alone, without 0x`},
		{"a:c0ffee:aa", `f:1: identity "a": expected a key of hexadecimal digits alone, without 0x`},
		{"a:", `f:1: identity "a": expected a key of 1 to 512 bytes`},
		{"a:" + strings.Repeat("c0", 513), `f:1: identity "a": expected a key of 1 to 512 bytes`},
		{"\n\nc0ffee", `f:3: expected IDENTITY:KEY`},
		{":c0ffee", `f:1: expected an identity of 1 to 256 bytes, UTF-8 without NUL, before the colon`},
		{"\xff:c0ffee", `f:1: expected an identity of 1 to 256 bytes, UTF-8 without NUL, before the colon`},
		{"a\x00b:c0ffee", `f:1: expected an identity of 1 to 256 bytes, UTF-8 without NUL, before the colon`},
		{strings.Repeat("a", 257) + ":c0ffee", `f:1: expected an identity of 1 to 256 bytes, UTF-8 without NUL, before the colon`},
		{"b\na:c0f", "f:1: expected IDENTITY:KEY\nf:2: identity \"a\": expected a key with an even number of hexadecimal digits"},
	} {
		k, err := parseKeys("f", c.text)
		var mistakes mistake.Errors
		if k != nil || !errors.As(err, &mistakes) || err.Error() != c.want {
			t.Errorf("%.40q: %v, want %s", c.text, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "c0f") {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}

func TestKeysAreHexadecimal(t *testing.T) {
	t.Parallel()
	if key, err := ParseKey("00fF"); err != nil || hex.EncodeToString(key) != "00ff" {
		t.Errorf("%x, %v", key, err)
	}
	for _, digits := range []string{"", "c0f", "c0ff ee", "c0ffzz"} {
		if key, err := ParseKey(digits); key != nil || err == nil || digits != "" && strings.Contains(err.Error(), digits) {
			t.Errorf("%q: %x, %v", digits, key, err)
		}
	}
}
