package topic

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// plainValid is ValidFilter and ValidName again, level by level.
func plainValid(s string, wildcards bool) bool {
	if s == "" || len(s) > 65535 || !utf8.ValidString(s) || strings.Contains(s, "\x00") {
		return false
	}
	levels := strings.Split(s, "/")
	if wildcards && levels[0] == "$share" && len(levels) > 1 {
		if len(levels) < 3 || levels[1] == "" || strings.ContainsAny(levels[1], "+#") {
			return false
		}
		levels = levels[2:]
		if len(levels) == 1 && levels[0] == "" {
			return false
		}
	}
	for i, level := range levels {
		wild := wildcards && (level == "+" || level == "#" && i == len(levels)-1)
		if !wild && strings.ContainsAny(level, "+#") {
			return false
		}
	}
	return true
}

func FuzzValidName(f *testing.F) {
	for _, c := range matchCases {
		f.Add(c.name)
		f.Add(c.filter)
	}
	f.Add("a\x00/\xff")
	f.Add("\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, name string) {
		err := ValidName(name)
		if (err == nil) != plainValid(name, false) {
			t.Errorf("ValidName(%q) = %v", name, err)
		}
		if other := ValidName([]byte(name)); other != err {
			t.Errorf("ValidName([]byte(%q)) = %v", name, other)
		}
		if n := Levels(name); n != len(strings.Split(name, "/")) || n != Levels([]byte(name)) {
			t.Errorf("Levels(%q) = %d", name, n)
		}
		if !strings.HasPrefix(name, sharePrefix) && err == nil && ValidFilter(name) != nil {
			t.Errorf("%q is a name and not a filter", name)
		}
	})
}

func FuzzValidFilter(f *testing.F) {
	for _, c := range matchCases {
		f.Add(c.filter)
		f.Add("$share/g/" + c.filter)
	}
	f.Add("$share//a")
	f.Add("$share/+/a")
	f.Add("\xc3(/#")
	f.Fuzz(func(t *testing.T, filter string) {
		err := ValidFilter(filter)
		if (err == nil) != plainValid(filter, true) {
			t.Errorf("ValidFilter(%q) = %v", filter, err)
		}
		group, rest, shared := SplitShare(filter)
		if shared && sharePrefix+group+"/"+rest != filter || !shared && rest != filter {
			t.Errorf("SplitShare(%q) = %q, %q, %v", filter, group, rest, shared)
		}
	})
}

// plainMatch is Match again, on split levels.
func plainMatch(filter, name []string) bool {
	if len(name[0]) > 0 && name[0][0] == '$' && (filter[0] == "+" || filter[0] == "#") {
		return false
	}
	if n := len(filter) - 1; filter[n] == "#" {
		filter = filter[:n]
		if len(name) < n {
			return false
		}
		name = name[:n]
	}
	return slices.EqualFunc(filter, name, func(f, n string) bool { return f == "+" || f == n })
}

// FuzzMatch compares Match, Index and Names, with valid and with invalid input.
func FuzzMatch(f *testing.F) {
	for i, c := range matchCases {
		f.Add(c.filter, matchCases[(i*7+1)%len(matchCases)].filter, c.name)
	}
	f.Add("a/#", "$share/g/a/+", "a")
	f.Fuzz(func(t *testing.T, filter, other, name string) {
		ix := NewIndex[int]()
		ix.Subscribe(filter, Subscription[int]{Key: 1})
		ix.Subscribe(other, Subscription[int]{Key: 2})
		var m Matches[int]
		ix.Match([]byte(name), &m)
		var names Names[int]
		names.Set(other, 2)
		names.Set(name, 1)
		found := false
		names.Match(filter, func(v int) bool { found = found || v == 1; return true })

		if ValidName(name) == nil && ValidFilter(filter) == nil && ValidFilter(other) == nil {
			_, rest, _ := SplitShare(filter)
			want := plainMatch(strings.Split(rest, "/"), strings.Split(name, "/"))
			if got := Match(rest, name); got != want {
				t.Errorf("Match(%q, %q) = %v", rest, name, got)
			}
			if rest == filter && found != want {
				t.Errorf("%q finds %q: %v", filter, name, found)
			}
			if got := matchedKey(&m, 1); got != want {
				t.Errorf("%q has %q beside %q: %v", name, filter, other, got)
			}
		}
		if !ix.Unsubscribe(filter, 1) || !ix.Unsubscribe(other, 2) {
			t.Errorf("%q or %q is not subscribed", filter, other)
		}
		checkEmpty(t, ix)
	})
}

// matchedKey reports whether a subscription or a member in m has the key.
func matchedKey(m *Matches[int], key int) bool {
	has := func(s Subscription[int]) bool { return s.Key == key }
	return slices.ContainsFunc(m.Subs, has) ||
		slices.ContainsFunc(m.Groups, func(g *Group[int]) bool { return slices.ContainsFunc(g.members(), has) })
}
