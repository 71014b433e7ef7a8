package acl

import (
	"errors"
	"fmt"
	"strings"

	"github.com/uniomq/unio/topic"
)

// A Filter is a topic filter of a rule, taken apart.
type Filter struct {
	text   string
	match  Match
	levels []level
	marked bool // there are placeholders
	// share says that the filters of shared subscriptions are looked at as they are written: see ParseRoleFilter.
	share bool
}

// Match is how a rule's filter is held against the filter of a subscription. Names of topics always match as in MQTT.
type Match uint8

// The ways to match.
const (
	// Same is the very same filter.
	Same Match = iota
	// Covers is a filter that matches no topic that the rule's does not match.
	Covers
	// Overlaps is a filter that matches some topic that the rule's matches, too.
	Overlaps
	// Wild is any filter with wildcards, whatever the rule's is. For actions on subscriptions alone.
	Wild
)

// A level is one of a filter.
type level struct {
	text   string // as it is matched, unless it has placeholders
	parts  []part // only if it has placeholders
	single bool   // it is +
	rest   bool   // it is #
}

// Faults of filters, besides those of package topic.
var (
	errManyValues = errors.New("%g and %{ATTRIBUTE} may have several values: expected at most one of them in a topic filter, and none in other values")
	errTooDeep    = fmt.Errorf("expected a filter of at most %d levels", topic.MaxLevels)
)

// literalFilter returns a filter in which percent signs stand for themselves.
func literalFilter(text string) Filter {
	f, _ := newFilter(text, Covers, readNone)
	return f
}

// ParseFilter reads a filter with the placeholders %u and %c, and a percent sign otherwise standing for itself, as Mosquitto has them.
func ParseFilter(text string, m Match) (Filter, error) { return parseFilter(text, m, readACL) }

// ParseRoleFilter reads a filter of dynamic security. %u and %c are placeholders where they are a whole level, and not with Same. One that begins with
// $share is about shared subscriptions of that group. Others are about the topics of shared subscriptions as well, but
// can only deny them: who may read a topic may not take a group's messages away.
func ParseRoleFilter(text string, m Match) (Filter, error) {
	var read reader
	if m == Same {
		read = readNone
	}
	f, err := parseFilter(text, m, read)
	f.share = true
	return f, err
}

// AnyWild returns a filter that stands for all filters with wildcards.
func AnyWild() Filter { return Filter{text: "any with wildcards", match: Wild} }

// readLevel knows placeholders that are a whole level.
func readLevel(level string) reader {
	if level == "%u" || level == "%c" {
		return readACL
	}
	return readNone
}

// readNone knows no placeholders.
func readNone(string) (placeholder, int, error) { return placeholder{}, 0, nil }

// parseFilter reads a filter; a nil reader stands for readLevel.
func parseFilter(text string, m Match, read reader) (Filter, error) {
	if err := topic.ValidFilter(text); err != nil && !errors.Is(err, topic.ErrShare) { // the latter only matches nothing
		return Filter{}, err
	}
	if topic.Levels(text) > topic.MaxLevels {
		return Filter{}, errTooDeep
	}
	return newFilter(text, m, read)
}

func newFilter(text string, m Match, read reader) (Filter, error) {
	f := Filter{text: text, match: m}
	several := 0
	for s := range strings.SplitSeq(text, "/") {
		l := level{text: s, single: s == "+", rest: s == "#"}
		known := read
		if known == nil {
			known = readLevel(s)
		}
		parts, marked, err := splitParts(s, known)
		if err != nil {
			return Filter{}, err
		}
		if marked {
			f.marked = true
			l.parts = parts
			for _, p := range parts {
				if p.ph.many() {
					several++
				}
			}
		} else if len(parts) == 1 {
			l.text = parts[0].text // without doubled percent signs
		}
		f.levels = append(f.levels, l)
	}
	if several > 1 {
		return Filter{}, errManyValues
	}
	return f, nil
}

// dollar reports whether the filter matches topics that begin with $. [MQTT-4.7.2-1]
func (f *Filter) dollar() bool { return strings.HasPrefix(f.text, "$") }

// matchesFilter holds the rule's filter against that of a subscription. A value with a slash would act as several levels: it can
// make a rule deny, never grant. One with a wildcard is in no valid name, and matches nothing.
func (f *Filter) matchesFilter(fa *facts, asked, share string, allow bool) bool {
	if f.share && share != "" {
		if strings.HasPrefix(f.text, "$share/") {
			asked = "$share/" + share + "/" + asked
		} else if allow {
			return false
		}
	}
	for _, own := range f.expand(fa, allow) {
		// What a value begins with must not open what begins with $.
		if strings.HasPrefix(own, "$") && !f.dollar() {
			continue
		}
		var ok bool
		switch f.match {
		case Same:
			ok = own == asked
		case Covers:
			ok = covers(own, asked)
		case Overlaps:
			ok = overlaps(own, asked)
		case Wild:
			ok = hasWildcard(asked)
		}
		if ok {
			return true
		}
	}
	return false
}

// expand writes the filter out for a client, once for each value of a placeholder that has several.
func (f *Filter) expand(fa *facts, allow bool) []string {
	if !f.marked {
		return []string{f.plain()}
	}
	written := []string{""}
	add := func(values ...string) {
		var next []string
		for _, w := range written {
			for _, v := range values {
				next = append(next, w+v)
			}
		}
		written = next
	}
	for i := range f.levels {
		l := &f.levels[i]
		if i > 0 {
			add("/")
		}
		if l.parts == nil {
			add(l.text)
		}
		for j := range l.parts {
			p := &l.parts[j]
			if p.ph.kind == 0 {
				add(p.text)
				continue
			}
			one, several, _ := fa.values(&p.ph)
			if !p.ph.many() {
				several = []string{one}
			}
			add(usable(several, allow)...)
		}
	}
	return written
}

// usable returns the values that may stand in a filter.
func usable(values []string, allow bool) []string {
	var ok []string
	for _, v := range values {
		if v != "" && !hasWildcard(v) && (!allow || !strings.Contains(v, "/")) {
			ok = append(ok, v)
		}
	}
	return ok
}

// plain writes a filter without placeholders out.
func (f *Filter) plain() string {
	texts := make([]string, len(f.levels))
	for i := range f.levels {
		texts[i] = f.levels[i].text
	}
	return strings.Join(texts, "/")
}

// hides reports whether one of the filters begins with a wildcard and the other one with $: they have no topic in common. [MQTT-4.7.2-1]
func hides(a, b string) bool {
	begins := func(s, set string) bool { return s != "" && strings.IndexByte(set, s[0]) >= 0 }
	return begins(a, "+#") && begins(b, "$") || begins(b, "+#") && begins(a, "$")
}

// covers reports whether wide matches every topic that narrow matches.
func covers(wide, narrow string) bool {
	if hides(wide, narrow) {
		return false
	}
	for {
		w, restW, moreW := strings.Cut(wide, "/")
		n, restN, moreN := strings.Cut(narrow, "/")
		switch {
		case w == "#":
			return true
		case n == "#" || w != "+" && w != n:
			return false
		case !moreW:
			return !moreN
		case !moreN: // "a/#" matches "a", too
			return restW == "#"
		}
		wide, narrow = restW, restN
	}
}

// overlaps reports whether there is a topic that both match.
func overlaps(a, b string) bool {
	if hides(a, b) {
		return false
	}
	for {
		la, restA, moreA := strings.Cut(a, "/")
		lb, restB, moreB := strings.Cut(b, "/")
		switch {
		case la == "#" || lb == "#":
			return true
		case la != "+" && lb != "+" && la != lb:
			return false
		case !moreA && !moreB:
			return true
		case !moreA:
			return restB == "#"
		case !moreB:
			return restA == "#"
		}
		a, b = restA, restB
	}
}
