package acl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/uniomq/unio/broker"
)

// An Explanation says how some Rules decide, and why.
type Explanation struct {
	File  string `json:"file,omitempty"` // of the rules
	Allow bool   `json:"allow"`
	// Rule is the one that decides; nil: none does, and Reason says what holds then.
	Rule         *Reference    `json:"rule,omitempty"`
	Reason       string        `json:"reason,omitempty"`
	Placeholders []Replacement `json:"placeholders,omitempty"` // of the rule that decides
	NearMisses   []NearMiss    `json:"near_misses,omitempty"`
}

// A Reference is to a rule of a file: to its line, or by the name of its role.
type Reference struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	Role string `json:"role,omitempty"`
	Text string `json:"text"`
}

// String returns "FILE:LINE: TEXT", or "FILE:ROLE: TEXT".
func (r *Reference) String() string {
	switch {
	case r.Line > 0:
		return fmt.Sprintf("%s:%d: %s", r.File, r.Line, r.Text)
	case r.Role != "":
		return fmt.Sprintf("%s:%s: %s", r.File, r.Role, r.Text)
	}
	return r.File + ": " + r.Text
}

// A Replacement is what a placeholder stands for.
type Replacement struct {
	Placeholder string   `json:"placeholder"`
	Values      []string `json:"values"` // none: it matches nothing
}

// A NearMiss is a rule that would have decided otherwise, but for one condition.
type NearMiss struct {
	Rule         Reference     `json:"rule"`
	Condition    string        `json:"condition"` // as it is written
	Is           string        `json:"is"`        // what it was held against
	Placeholders []Replacement `json:"placeholders,omitempty"`
}

// maxNearMisses is how many are listed; more tell nobody anything.
const maxNearMisses = 10

// String returns the rule that decides, or the reason.
func (e *Explanation) String() string {
	if e.Rule == nil {
		return e.Reason
	}
	return e.Rule.String()
}

// Explain decides as Authorize does and says why.
func (r *Rules) Explain(q broker.Access) Explanation {
	s := r.setOf(q.Client)
	return s.explain(&q)
}

// Explain decides as Authorize does and says why, for each of the Rules of the client's listener. There may be none.
func (a *Authorizer) Explain(q broker.Access) (allow bool, why []Explanation) {
	r := a.rightsOf(q.Client)
	allow = len(r.sets) > 0 || broker.WithoutRules(q)
	for i := range r.sets {
		e := r.sets[i].explain(&q)
		allow = allow && e.Allow
		why = append(why, e)
	}
	return allow, why
}

// Reason says in short why a client may not do that: "FILE:LINE: TEXT", or that no rule matched, and of which file if there are several.
func (a *Authorizer) Reason(q broker.Access) string {
	r := a.rightsOf(q.Client)
	for i := range r.sets {
		allow, rule := r.sets[i].decide(&q)
		switch {
		case allow:
		case rule != nil:
			return rule.String()
		case len(r.sets) > 1:
			return r.sets[i].rules.model.Name + ": " + r.sets[i].reason(&q)
		default:
			return r.sets[i].reason(&q)
		}
	}
	if len(r.sets) == 0 && !broker.WithoutRules(q) {
		return bridgesOnly
	}
	return "it is allowed" // by now
}

// bridgesOnly is the reason why broker.WithoutRules says no.
const bridgesOnly = "no rule matched, and only a bridge or a client that has logged in tells the state of a bridge then"

// reason says what holds when no rule decides.
func (s *set) reason(q *broker.Access) string {
	m := &s.rules.model
	if s.facts.wild && slices.ContainsFunc(s.view.rules, func(r *Rule) bool { return r.plain && r.Actions.has(q.Action) }) {
		return "no pattern grants anything to a client with + or # in its user name or client id"
	}
	if q.Spelled > 0 {
		return "no rule names the path by more than wildcards"
	}
	if m.Allow.has(q.Action) && !broker.WithoutRules(*q) {
		return bridgesOnly
	}
	if m.Default != nil {
		if text := m.Default(q.Action); text != "" {
			return text
		}
	}
	if m.Allow.has(q.Action) {
		return "no rule matched, default allow"
	}
	return "no rule matched, default deny"
}

func (s *set) explain(q *broker.Access) Explanation {
	allow, rule := s.decide(q)
	e := Explanation{File: s.rules.model.Name, Allow: allow}
	if rule == nil {
		e.Reason = s.reason(q)
	} else {
		e.Rule = reference(rule)
		e.Placeholders = s.replacements(rule)
	}
	e.NearMisses = s.nearMisses(q, allow, rule)
	return e
}

func reference(r *Rule) *Reference {
	return &Reference{File: r.File, Line: r.Line, Role: r.Role, Text: r.Text}
}

// replacements returns what the placeholders of a rule stand for.
func (s *set) replacements(r *Rule) []Replacement {
	var all []Replacement
	add := func(parts []part) {
		for i := range parts {
			p := &parts[i].ph
			if p.kind == 0 || slices.ContainsFunc(all, func(r Replacement) bool { return r.Placeholder == p.text }) {
				continue
			}
			one, several, _ := s.facts.values(p)
			if one != "" {
				several = []string{one}
			}
			all = append(all, Replacement{Placeholder: p.text, Values: append([]string{}, several...)})
		}
	}
	for i := range r.Topics {
		for j := range r.Topics[i].levels {
			add(r.Topics[i].levels[j].parts)
		}
	}
	for i := range r.conditions {
		for _, g := range r.conditions[i].globs {
			for _, piece := range g.pieces {
				add(piece)
			}
		}
	}
	return all
}

// nearMisses returns the rules that come before the one that decides, decide otherwise, and would but for one condition. Grants that fail
// for the topic alone come last, and only if they have its first level.
func (s *set) nearMisses(q *broker.Access, allow bool, decided *Rule) []NearMiss {
	var misses []NearMiss
	common := map[uint32]int{} // by rule: how much its topic has in common
	var ids []uint32
	for _, r := range s.all() {
		if r == decided {
			break
		}
		if r.Allow == allow || !r.Actions.has(q.Action) {
			continue
		}
		miss, near := s.miss(r, q)
		if !near {
			continue
		}
		n := 0
		if miss.Condition == "" {
			if n = likeness(s.facts, r, q); n == 0 || allow {
				continue
			}
			miss.Condition, miss.Is = topicsOf(r), string(q.Topic)
		} else {
			n = 1 << 20
		}
		common[r.ID] = n
		ids = append(ids, r.ID)
		misses = append(misses, miss)
	}
	order := make([]int, len(misses))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(common[ids[b]], common[ids[a]]) })
	sorted := make([]NearMiss, 0, min(len(misses), maxNearMisses))
	for _, i := range order[:cap(sorted)] {
		sorted = append(sorted, misses[i])
	}
	return sorted
}

// all returns the rules that a client could have, in the order in which they decide.
func (s *set) all() []*Rule {
	if s.rules.model.Assign != nil {
		return s.rules.model.Assign(s.facts.client)
	}
	return s.rules.sorted
}

// miss returns the only condition of a rule that does not hold; an empty one stands for the topic.
func (s *set) miss(r *Rule, q *broker.Access) (miss NearMiss, near bool) {
	failed := 0
	miss = NearMiss{Rule: *reference(r), Placeholders: s.replacements(r)}
	if r.plain && s.facts.wild {
		failed++
		miss.Condition, miss.Is = "no + and # in user name and client id", s.facts.client.Username+" "+s.facts.client.ID
	}
	for i := range r.conditions {
		if c := &r.conditions[i]; !c.met(r, s.facts, q) {
			failed++
			miss.Condition, miss.Is = c.text, c.is(s.facts, q)
		}
	}
	if failed > 1 {
		return miss, false
	}
	if !r.matchesTopic(s.facts, q) {
		failed++
		miss.Condition = ""
	}
	return miss, failed == 1
}

// likeness counts the bytes with which the rule's topic and the one asked about begin alike; 0 unless the first level does.
func likeness(f *facts, r *Rule, q *broker.Access) int {
	best := 0
	name := string(q.Topic)
	for i := range r.Topics {
		for _, own := range r.Topics[i].expand(f, r.Allow) {
			n := 0
			for n < min(len(own), len(name)) && own[n] == name[n] {
				n++
			}
			if n > strings.IndexByte(name+"/", '/') || n == len(name) || n == len(own) {
				best = max(best, n)
			}
		}
	}
	return best
}

func topicsOf(r *Rule) string {
	var texts []string
	for i := range r.Topics {
		texts = append(texts, r.Topics[i].text)
	}
	return "topic=" + strings.Join(texts, ",")
}
