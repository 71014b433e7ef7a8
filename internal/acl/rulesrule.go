package acl

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config/mistake"
	"github.com/uniomq/unio/topic"
)

// group handles group NAME CONDITION...
func (p *rulesParser) group(words []word) {
	const usage = "expected `group NAME CONDITION...`, with conditions about the client"
	if len(words) < 2 {
		p.wrong(usage)
		return
	}
	name := joined(words[0].pieces)
	if _, _, _, isCondition := words[0].cut(); isCondition || name == "" {
		p.wrong(usage)
		return
	}
	r := &Rule{}
	for _, w := range words[1:] {
		k, n, negate, values, ok := p.key(w)
		switch {
		case !ok:
			return
		case k == nil || k.question || k.id == keyGroup:
			p.wrong("expected a condition about the client, and not its groups, not %s", w.raw)
			return
		}
		if !p.condition(r, k, n, w, negate, values) {
			return
		}
	}
	if p.groups[name] == 0 {
		p.groups[name] = p.line
	}
	groups := p.file.model.Groups
	i := slices.IndexFunc(groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		i = len(groups)
		groups = append(groups, Group{Name: name})
	}
	groups[i].lines = append(groups[i].lines, r.conditions)
	p.file.model.Groups = groups
}

// rule handles allow|deny ACTIONS CONDITION... The words after the actions may come in any order.
func (p *rulesParser) rule(allow bool, words []word) {
	if len(words) == 0 {
		p.wrong("expected actions behind it, such as publish or read")
		return
	}
	r := &Rule{ID: uint32(len(p.file.model.Rules)), File: p.file.model.Name, Line: p.line, Text: p.text, Allow: allow}
	var ok bool
	if r.Actions, ok = p.actions(words[0]); !ok {
		return
	}
	seen := map[string]bool{}
	before := len(p.mistakes)
	for _, w := range words[1:] {
		p.ruleWord(r, w, seen)
	}
	if len(p.mistakes) > before || !p.checkRule(r) {
		return
	}
	slices.SortStableFunc(r.conditions, func(a, b condition) int { // those about the client first
		switch {
		case a.key.question == b.key.question:
			return 0
		case a.key.question:
			return 1
		}
		return -1
	})
	for _, c := range r.conditions {
		if !c.key.question {
			r.clients++
		}
	}
	p.file.model.Rules = append(p.file.model.Rules, r)
}

// ruleWord handles one word behind the actions.
func (p *rulesParser) ruleWord(r *Rule, w word, seen map[string]bool) {
	k, name, negate, values, ok := p.key(w)
	if !ok {
		return
	}
	word, _, _ := strings.Cut(w.pieces[0].text, "=")
	if seen[word] {
		p.wrong("expected %s once; several values have commas between them", word)
		return
	}
	seen[word] = true
	if k != nil {
		if left := r.Actions &^ k.actions; k.actions != 0 && left != 0 {
			p.wrong("%s is a condition of %s, not of %s", k.name, k.actions, left)
			return
		}
		p.condition(r, k, name, w, negate, values)
		return
	}
	switch {
	case negate:
		p.wrong("expected %s=, without !", strings.TrimSuffix(word, "!"))
	case word == "priority":
		n, err := strconv.Atoi(joined(values[0]))
		if err != nil || len(values) > 1 || n > maxPriority || n < -maxPriority {
			p.wrong("expected priority=N, from -%d to %d, not %s", maxPriority, maxPriority, w.raw)
		}
		r.Priority = n
	default:
		p.topics(r, word, values)
	}
}

// key takes a word apart. k is nil for topic, filter and priority, which are no conditions.
func (p *rulesParser) key(w word) (k *key, name string, negate bool, values [][]textPiece, ok bool) {
	word, negate, values, ok := w.cut()
	if !ok {
		p.wrong("expected KEY=VALUE or KEY!=VALUE, not %s", w.raw)
		return nil, "", false, nil, false
	}
	if k, name = findKey(word); k == nil && word != "topic" && word != "filter" && word != "priority" {
		p.wrong("expected a condition, not %s%s", word, nearest(word))
		return nil, "", false, nil, false
	}
	return k, name, negate, values, true
}

// nearest suggests a key for one that is misspelt.
func nearest(word string) string {
	for _, k := range keys {
		if strings.ReplaceAll(k.name, "-", "") == strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(word)) {
			return ": is " + k.name + " meant?"
		}
	}
	for wrong, right := range map[string]string{
		"username": "user", "clientid": "client", "client-id": "client", "ip": "address", "peer": "address", "topics": "topic",
		"claim": "attribute.NAME", "dn": "subject", "length": "size", "payload": "size", "will": "has-will",
	} {
		if word == wrong {
			return ": is " + right + " meant?"
		}
	}
	return ""
}

func (p *rulesParser) condition(r *Rule, k *key, name string, w word, negate bool, values [][]textPiece) bool {
	c, err := newCondition(k, w, negate, values)
	if err != nil {
		p.wrong("%v", err)
		return false
	}
	c.name = name
	r.conditions = append(r.conditions, c)
	if k.id == keyGroup {
		for _, g := range c.globs {
			if name, exact := g.exact(); exact {
				p.asked[name] = mistake.Warning{File: p.file.model.Name, Line: p.line}
			}
		}
	}
	return true
}

// topics handles topic= and filter=.
func (p *rulesParser) topics(r *Rule, word string, values [][]textPiece) {
	m := Covers
	switch {
	case word == "filter":
		m = Same
		if left := r.Actions &^ filters; left != 0 {
			p.wrong("filter is a condition of %s, not of %s: expected topic=", filters, left)
			return
		}
	case !r.Allow:
		m = Overlaps
	}
	for _, v := range values {
		text := joined(v)
		f, err := parseFilter(text, m, readRules)
		switch {
		case err == nil:
			r.Topics = append(r.Topics, f)
		case errors.Is(err, topic.ErrEmpty):
			p.wrong("expected %s=FILTER", word)
		default:
			p.wrong("%s: %s", text, strings.TrimPrefix(err.Error(), "topic: "))
		}
	}
}

// checkRule finds what is wrong with a rule as a whole.
func (p *rulesParser) checkRule(r *Rule) bool {
	connects := r.Actions.has(broker.ActionConnect)
	switch {
	case connects && len(r.Topics) > 0:
		p.wrong("expected no topic with connect")
	case r.Allow && !connects && len(r.Topics) == 0:
		p.wrong("expected topic=FILTER; topic=# is every topic that does not begin with $")
	case r.Allow && connects && r.Actions != ActionsOf(broker.ActionConnect):
		p.wrong("expected connect in a rule of its own: the other actions need a topic")
	default:
		return true
	}
	return false
}
