package acl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config/mistake"
)

// manyRulesCompared is how many rules of a file are compared with each other.
const manyRulesCompared = 3000

// surprises warns of lines that do not do what they seem to.
func (p *rulesParser) surprises() {
	m := &p.file.model
	for _, r := range m.Rules {
		p.neverMatches(r)
	}
	p.groupsWarned()
	sorted := m.Compile().sorted
	if len(sorted) <= manyRulesCompared {
		for i, r := range sorted {
			for _, first := range sorted[:i] {
				if first.hides(r) {
					p.warn(r.Line, "never decides: line %d comes first and matches whatever it matches", first.Line)
					break
				}
			}
		}
	}
	p.missing()
	slices.SortStableFunc(p.file.warnings, func(a, b mistake.Warning) int { return a.Line - b.Line })
}

func (p *rulesParser) warn(line int, format string, args ...any) {
	p.file.warnings = append(p.file.warnings, mistake.Warning{File: p.file.model.Name, Line: line, Msg: fmt.Sprintf(format, args...)})
}

// groupsWarned warns of groups that are asked for and not there, or the other way round.
func (p *rulesParser) groupsWarned() {
	for _, name := range slices.Sorted(maps.Keys(p.asked)) {
		if p.groups[name] == 0 {
			p.warn(p.asked[name].Line, "there is no line `group %s`: only the authentication can put clients into that group", name)
		}
	}
	patterns := slices.ContainsFunc(p.file.model.Rules, func(r *Rule) bool {
		return slices.ContainsFunc(r.conditions, func(c condition) bool {
			return c.key.id == keyGroup && slices.ContainsFunc(c.globs, func(g *glob) bool { _, exact := g.exact(); return !exact })
		}) || slices.ContainsFunc(r.Topics, func(f Filter) bool { return strings.Contains(f.text, "%g") })
	})
	for _, name := range slices.Sorted(maps.Keys(p.groups)) {
		if _, used := p.asked[name]; !used && !patterns {
			p.warn(p.groups[name], "no rule asks for the group %s", name)
		}
	}
}

// missing warns of rules that do nothing for want of others.
func (p *rulesParser) missing() {
	m := &p.file.model
	about := func(a broker.Action, allow bool) *Rule {
		i := slices.IndexFunc(m.Rules, func(r *Rule) bool { return r.Allow == allow && r.Actions.has(a) })
		if i < 0 {
			return nil
		}
		return m.Rules[i]
	}
	if r := about(broker.ActionSubscribe, true); r != nil && !m.Allow.has(broker.ActionReceive) && about(broker.ActionReceive, true) == nil {
		p.warn(r.Line, "clients may subscribe, but nothing lets them receive messages: is read meant?")
	}
	for _, a := range []broker.Action{broker.ActionConnect, broker.ActionUnsubscribe} {
		if r := about(a, true); r != nil && m.Allow.has(a) && about(a, false) == nil {
			p.warn(r.Line, "changes nothing: %s is allowed by default; `default deny %s` changes that", ActionName(a), ActionName(a))
		}
	}
	if len(m.Rules) == 0 && m.Allow&messages == 0 {
		p.warn(0, "there are no rules: nobody may publish or receive anything")
	}
}

// neverMatches warns of a rule that no client or no topic can fulfil.
func (p *rulesParser) neverMatches(r *Rule) {
	on := func(id keyID) *condition {
		for i := range r.conditions {
			if c := &r.conditions[i]; c.key.id == id && (!c.negate || c.key.kind == kindYesNo) {
				return c
			}
		}
		return nil
	}
	says := func(id keyID, value bool) bool { c := on(id); return c != nil && (c.on != c.negate) == value }
	if says(keyAnonymous, true) {
		if on(keyUser) != nil {
			p.warn(r.Line, "never matches: a client without a user name has none that could match")
		} else if every(r.Topics, func(f *Filter) bool { return f.has(phUser) }) {
			p.warn(r.Line, "never matches: a client without a user name has no %%u")
		}
	}
	if says(keyTLS, false) {
		for _, id := range []keyID{keyCN, keySAN, keySubject, keyFingerprint, keyPSK} {
			if c := on(id); c != nil {
				p.warn(r.Line, "never matches: without TLS there is no %s", c.key.name)
			}
		}
	}
	if says(keyShared, false) && on(keyShare) != nil {
		p.warn(r.Line, "never matches: a subscription that is not shared has no share")
	}
	for i := range r.Topics {
		f := &r.Topics[i]
		switch {
		case strings.HasPrefix(f.text, "$share/"):
			p.warn(r.Line, "never matches: name the filter of shared subscriptions without $share/GROUP/")
		case r.Allow && r.Actions.has(broker.ActionPublish) && strings.HasPrefix(f.text, "$SYS/") && !strings.HasPrefix(f.text, "$SYS/broker/connection/"):
			p.warn(r.Line, "only the broker publishes below $SYS, whatever the rules say")
		}
	}
}

func every(all []Filter, holds func(*Filter) bool) bool {
	for i := range all {
		if !holds(&all[i]) {
			return false
		}
	}
	return len(all) > 0
}

// has reports whether the filter has a placeholder of a kind.
func (f *Filter) has(kind byte) bool {
	for _, l := range f.levels {
		for _, p := range l.parts {
			if p.ph.kind == kind {
				return true
			}
		}
	}
	return false
}

// hides reports whether r, which comes first, matches all that other matches. It finds the plain cases only.
func (r *Rule) hides(other *Rule) bool {
	if other.Actions&^r.Actions != 0 {
		return false
	}
	for i := range r.conditions {
		same := func(c condition) bool { return c.text == r.conditions[i].text }
		if !slices.ContainsFunc(other.conditions, same) {
			return false
		}
	}
	if len(r.Topics) == 0 {
		return true
	}
	return every(other.Topics, func(f *Filter) bool {
		return slices.ContainsFunc(r.Topics, func(wide Filter) bool {
			switch {
			case other.Actions&filters != 0 && wide.match < f.match: // a denial is about more subscriptions
				return false
			case wide.text == f.text:
				return !f.marked || !r.Allow || other.Allow // a denial is about values with slashes, too
			case wide.marked || f.marked || wide.match == Same:
				return false
			}
			return covers(wide.plain(), f.plain())
		})
	})
}
