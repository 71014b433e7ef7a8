package acl

import (
	"testing"

	"github.com/uniomq/unio/broker"
)

func TestFiltersOfRolesGrantAndDenySubscriptions(t *testing.T) {
	t.Parallel()
	joe := newFacts(&broker.Client{ID: "c", Username: "joe", HasUsername: true}, nil)
	for _, c := range []struct {
		filter string
		match  Match
		asked  string
		share  string
		grants bool // what a rule that allows is about
		denies bool // what a rule that denies is about
	}{
		{"a/%u/+", Covers, "a/joe/+", "", true, true},
		{"a/%u/+", Covers, "a/+/+", "", false, false},
		{"a/x%u", Covers, "a/xjoe", "", false, false},
		{"a/x%u", Covers, "a/x%u", "", true, true},
		{"%c/%u", Same, "%c/%u", "", true, true},
		{"%c/%u", Same, "c/joe", "", false, false},
		{"#", Covers, "$x", "", false, false},
		{"a/#", Covers, "a/b", "g", false, true},
		{"$share/g/a/#", Covers, "a/b", "g", true, true},
		{"$share/+/a/#", Covers, "a/b", "g", true, true},
		{"$share/h/a/#", Covers, "a/b", "g", false, false},
		{"$share/g/a/#", Covers, "a/b", "", false, false},
		{"$share/g/a", Same, "a", "g", true, true},
	} {
		f, err := ParseRoleFilter(c.filter, c.match)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.matchesFilter(joe, c.asked, c.share, true); got != c.grants {
			t.Errorf("%q grants %q of group %q: %v", c.filter, c.asked, c.share, got)
		}
		if got := f.matchesFilter(joe, c.asked, c.share, false); got != c.denies {
			t.Errorf("%q denies %q of group %q: %v", c.filter, c.asked, c.share, got)
		}
	}
	wild := AnyWild()
	for asked, want := range map[string]bool{"a/+": true, "#": true, "$SYS/#": true, "a/b": false} {
		if got := wild.matchesFilter(joe, asked, "", false); got != want {
			t.Errorf("%q has wildcards: %v", asked, got)
		}
	}
	if _, err := ParseRoleFilter("a#", Covers); err == nil {
		t.Error("a# is no filter")
	}
}

func TestARuleSaysWhereItStands(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Rule{
		"f:3: text": {File: "f", Line: 3, Text: "text"}, "f:role: text": {File: "f", Role: "role", Text: "text"}, "f: text": {File: "f", Text: "text"},
	} {
		if got := r.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
