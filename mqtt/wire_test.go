package mqtt

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestVarint(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		0: "00", 127: "7f", 128: "8001", 16_383: "ff7f", 16_384: "808001", 2_097_151: "ffff7f",
		2_097_152: "80808001", 268_435_455: "ffffff7f",
	} {
		got := appendVarint(nil, n)
		if !bytes.Equal(got, wire(want)) || varintLen(n) != len(got) {
			t.Errorf("%d is written as %x in %d bytes, want %s", n, got, varintLen(n), want)
		}
		back, size, ok := varint(append(got, 0x55))
		if int(back) != n || size != len(got) || !ok {
			t.Errorf("%x is read as %d, %d bytes, %v", got, back, size, ok)
		}
		for i := range got {
			if _, size, ok := varint(got[:i]); size != 0 || !ok {
				t.Errorf("%x is read as %d bytes, %v", got[:i], size, ok)
			}
		}
	}
}

func TestValidUTF8(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"": true, "a": true, "topic/with/many/levels": true, "gr\u00fc\u00dfe/\u65e5\u672c/\U0001F600": true,
		"\ufeffbom is kept": true, "a b~": true, "\u00a0": true, "\ufdcf\ufdf0": true,
		"\uffff": false, "\U0001fffe": false, "\ufdd0": false, "\x01": false, "12345678\n": false, "\x7f": false, "\u0085": false,
		"\x00": false, "a\x00": false, "12345678\x00": false, "\x0012345678": false, "\u00fc\x00": false,
		"\xff": false, "\xc0\x80": false, "\xed\xa0\x80": false, "\xed\xbf\xbf": false, "\xf4\x90\x80\x80": false,
		"12345678\xc3": false, "1234567\xc3\xbc": true,
	} {
		if got := ValidUTF8([]byte(s)); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

// TestStringChecksAgreeWithTheirDefinition compares the checks that look at eight
// bytes at once with plain ones, for a special byte at each place of each length.
func TestStringChecksAgreeWithTheirDefinition(t *testing.T) {
	t.Parallel()
	check := func(p []byte) {
		t.Helper()
		valid := utf8.Valid(p) && !strings.ContainsFunc(string(p), func(r rune) bool {
			return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Noncharacter_Code_Point, r)
		})
		if got := ValidUTF8(p); got != valid {
			t.Errorf("ValidUTF8(%q) = %v", p, got)
		}
		var want error
		switch {
		case !valid:
			want = errUTF8
		case strings.ContainsAny(string(p), "+#"):
			want = errTopicWildcard
		}
		if got := checkTopicName(p); !errors.Is(got, want) {
			t.Errorf("checkTopicName(%q) = %v, want %v", p, got, want)
		}
	}
	for r := range rune(unicode.MaxRune + 1) {
		check([]byte("topic/" + string(r) + "/x"))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 27 {
		for at := range n {
			for b := range 256 {
				p := bytes.Repeat([]byte{'a' + byte(n%20)}, n)
				p[at] = byte(b)
				check(p)
				p[rnd.IntN(n)] = byte(rnd.IntN(256))
				check(p)
			}
		}
	}
}

func BenchmarkValidUTF8(b *testing.B) {
	b.ReportAllocs()
	p := []byte("plant/7/line/3/temperature")
	for b.Loop() {
		if !ValidUTF8(p) {
			b.Fatal("not valid")
		}
	}
}
