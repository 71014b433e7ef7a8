package topic

import (
	"errors"
	"strings"
	"testing"
)

func TestValidName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		want error
	}{
		{"a", nil},
		{"/", nil},
		{"//", nil},
		{" ", nil},
		{"Accounts payable", nil},
		{"/finance", nil},
		{"sport/tennis/player1/", nil},
		{"$SYS/broker/uptime", nil},
		{"$share/group/name", nil}, // a name may look like a shared subscription
		{"mesure/température", nil},
		{"温度/𠀀", nil},
		{"\ufeffa", nil}, // [MQTT-1.5.4-3] U+FEFF is a character as any other
		{"a\u0001", nil}, // control characters and
		{"a\uffff", nil}, // non-characters are discouraged, not forbidden
		{"\U0010ffff", nil},
		{strings.Repeat("/", 65535), nil},
		{strings.Repeat("a", 65535), nil},
		{"", ErrEmpty},
		{strings.Repeat("a", 65536), ErrTooLong},
		{"+", ErrWildcard},
		{"#", ErrWildcard},
		{"a/+/b", ErrWildcard},
		{"a/b#", ErrWildcard},
		{"a+b", ErrWildcard},
		{"\x00", ErrUTF8},
		{"a/\x00/b", ErrUTF8},
		{"a\xff", ErrUTF8},
		{"\xc3", ErrUTF8},
		{"\xc0\xaf", ErrUTF8},         // an overlong slash
		{"\xed\xa0\x80", ErrUTF8},     // U+D800
		{"\xed\xbf\xbf", ErrUTF8},     // U+DFFF
		{"\xf4\x90\x80\x80", ErrUTF8}, // above U+10FFFF
	} {
		if err := ValidName(c.name); !errors.Is(err, c.want) {
			t.Errorf("ValidName(%.40q) = %v, want %v", c.name, err, c.want)
		}
		if err := ValidName([]byte(c.name)); !errors.Is(err, c.want) {
			t.Errorf("ValidName([]byte(%.40q)) = %v, want %v", c.name, err, c.want)
		}
	}
}

func TestValidFilter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter string
		want   error
	}{
		{"a", nil},
		{"/", nil},
		{"#", nil},
		{"+", nil},
		{"+/+", nil},
		{"/+", nil},
		{"+/", nil},
		{"+/#", nil},
		{"/#", nil},
		{"+/tennis/#", nil},
		{"sport/tennis/#", nil},
		{"sport/+/player1", nil},
		{"$SYS/#", nil},
		{"$share", nil}, // without a slash it is a filter as any other
		{"$shared/a/b", nil},
		{"$SHARE/a", nil},
		{"$share/g/a", nil},
		{"$share/g/#", nil},
		{"$share/g//", nil},
		{"$share/g/+/a", nil},
		{"$share/g/$SYS/#", nil},
		{"$share/g/$share/h/a", nil},
		{strings.Repeat("+/", 32767) + "#", nil},
		{"", ErrEmpty},
		{strings.Repeat("/", 65536), ErrTooLong},
		{"a\x00", ErrUTF8},
		{"a/\xff/#", ErrUTF8},
		{"$share/\xff/a", ErrUTF8},
		{"sport/tennis#", ErrWildcard},
		{"sport/tennis/#/ranking", ErrWildcard},
		{"sport+", ErrWildcard},
		{"+sport", ErrWildcard},
		{"a/+b/c", ErrWildcard},
		{"a/b+/c", ErrWildcard},
		{"#/", ErrWildcard},
		{"##", ErrWildcard},
		{"++", ErrWildcard},
		{"+#", ErrWildcard},
		{"/#+", ErrWildcard},
		{"$share/", ErrShare},
		{"$share//", ErrShare},
		{"$share//a", ErrShare},
		{"$share/g", ErrShare},
		{"$share/g/", ErrShare},
		{"$share/+/a", ErrShare},
		{"$share/#", ErrShare},
		{"$share/#/a", ErrWildcard},
		{"$share/g+/a", ErrWildcard},
		{"$share/g/a#", ErrWildcard},
		{"$share/g/#/a", ErrWildcard},
		{"$share/g/+a", ErrWildcard},
	} {
		if err := ValidFilter(c.filter); !errors.Is(err, c.want) {
			t.Errorf("ValidFilter(%.40q) = %v, want %v", c.filter, err, c.want)
		}
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s    string
		want int
	}{{"a", 1}, {"/", 2}, {"a/b", 2}, {"a/b/", 3}, {"+/#", 2}, {strings.Repeat("/", 65535), 65536}} {
		if n := Levels(c.s); n != c.want {
			t.Errorf("Levels(%.40q) = %d, want %d", c.s, n, c.want)
		}
		if n := Levels([]byte(c.s)); n != c.want {
			t.Errorf("Levels([]byte(%.40q)) = %d, want %d", c.s, n, c.want)
		}
	}
}

func TestSplitShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter, group, rest string
		shared              bool
	}{
		{"a/b", "", "a/b", false},
		{"$share", "", "$share", false},
		{"$shared/a/b", "", "$shared/a/b", false},
		{"$share/g/a", "g", "a", true},
		{"$share/g/a/#", "g", "a/#", true},
		{"$share/g//", "g", "/", true},
		{"$share/g/$share/h/a", "g", "$share/h/a", true},
		{"$share/g", "", "$share/g", false},
		{"$share/g/", "", "$share/g/", false},
		{"$share//a", "", "$share//a", false},
	} {
		group, rest, shared := SplitShare(c.filter)
		if group != c.group || rest != c.rest || shared != c.shared {
			t.Errorf("SplitShare(%q) = %q, %q, %v", c.filter, group, rest, shared)
		}
	}
}

func TestChecksDoNotAllocate(t *testing.T) {
	name := []byte("bâtiment/3/temperature/of/a/rather/long/name")
	filter := "$share/group/bâtiment/+/temperature/#"
	n := testing.AllocsPerRun(100, func() {
		if ValidName(name) != nil || ValidFilter(filter) != nil || Levels(name) != 8 || Levels(filter) != 6 {
			t.Error("wrong answer")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
