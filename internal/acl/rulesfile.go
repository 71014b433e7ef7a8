package acl

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/topic"
)

// A RulesFile is a rules file as it was read. It does not change.
type RulesFile struct {
	model    Model
	warnings []config.Warning
}

// Compile makes the rules of the file ready.
func (f *RulesFile) Compile() *Rules { return f.model.Compile() }

// Warnings are lines that are correct and have no effect, or another one than it seems.
func (f *RulesFile) Warnings() []config.Warning { return f.warnings }

// LoadRules reads a rules file, whose form is in docs/rules.md. Its error is a config.Errors with all mistakes of the file.
// That a file cannot be read is an error, too, and never means that there are no rules.
func LoadRules(path string) (*RulesFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, config.Errors{{File: path, Msg: "the rules file cannot be read: " + err.Error()}}
	}
	return parseRules(path, text)
}

// actionWords are the words for actions in a rule. A will is a message: who denies publish means wills, too.
var actionWords = []struct {
	word    string
	actions Actions
}{
	{"connect", ActionsOf(broker.ActionConnect)},
	{"publish", ActionsOf(broker.ActionPublish, broker.ActionWill)},
	{"will", ActionsOf(broker.ActionWill)},
	{"receive", ActionsOf(broker.ActionReceive)},
	{"subscribe", ActionsOf(broker.ActionSubscribe)},
	{"unsubscribe", ActionsOf(broker.ActionUnsubscribe)},
	{"read", ActionsOf(broker.ActionReceive, broker.ActionSubscribe)},
	{"write", ActionsOf(broker.ActionPublish, broker.ActionWill)},
}

// usual are the actions that are allowed when nothing is said: passwords guard connect, and nobody is harmed by unsubscribe.
var usual = ActionsOf(broker.ActionConnect, broker.ActionUnsubscribe)

// maxPriority bounds priorities, in both directions.
const maxPriority = 1_000_000

// rulesParser reads a rules file line by line.
type rulesParser struct {
	file     *RulesFile
	line     int
	text     string
	mistakes config.Errors

	combined bool
	general  int                       // the default line without actions
	defaults map[broker.Action]int     // to the line that says it
	groups   map[string]int            // to the line of the first
	asked    map[string]config.Warning // groups that rules ask for
}

func parseRules(path string, text []byte) (*RulesFile, error) {
	p := &rulesParser{
		file:     &RulesFile{model: Model{Name: path, Allow: usual}},
		defaults: map[broker.Action]int{}, groups: map[string]int{}, asked: map[string]config.Warning{},
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	for line := range strings.Lines(string(text)) {
		p.line++
		p.text = strings.TrimSpace(line)
		words, err := splitWords(strings.TrimRight(line, "\r\n"))
		if err != nil {
			p.wrong("%v", err)
		} else if len(words) > 0 {
			p.statement(words)
		}
	}
	if len(p.mistakes) > 0 {
		return nil, p.mistakes
	}
	p.file.model.Default = p.defaultReason()
	p.surprises()
	return p.file, nil
}

func (p *rulesParser) wrong(format string, args ...any) {
	p.mistakes = append(p.mistakes, &config.Error{File: p.file.model.Name, Line: p.line, Msg: fmt.Sprintf(format, args...)})
}

func (p *rulesParser) statement(words []word) {
	first, _ := words[0].plain()
	switch first {
	case "allow", "deny":
		p.rule(first == "allow", words[1:])
	case "group":
		p.group(words[1:])
	case "combine":
		p.combine(words[1:])
	case "default":
		p.setDefault(words[1:])
	default:
		p.wrong("expected allow, deny, group, default or combine, not %s", words[0].raw)
	}
}

func (p *rulesParser) combine(words []word) {
	text := ""
	if len(words) == 1 {
		text, _ = words[0].plain()
	}
	switch {
	case text != "first" && text != "deny":
		p.wrong("expected `combine first` or `combine deny`")
	case p.combined:
		p.wrong("expected one combine line in a file")
	}
	p.combined = true
	p.file.model.DenyWins = text == "deny"
}

// setDefault handles default allow|deny [ACTION,...]. One with actions goes before one without.
func (p *rulesParser) setDefault(words []word) {
	text := ""
	if len(words) > 0 {
		text, _ = words[0].plain()
	}
	if text != "allow" && text != "deny" || len(words) > 2 {
		p.wrong("expected `default allow|deny [ACTION,...]`")
		return
	}
	allow, actions := text == "allow", all
	if len(words) == 2 {
		var ok bool
		if actions, ok = p.actions(words[1]); !ok {
			return
		}
	} else {
		if p.general != 0 {
			p.wrong("expected one default line without actions, and line %d is one", p.general)
			return
		}
		p.general = p.line
		if !allow {
			actions &^= usual
		}
	}
	for _, n := range actionNames {
		line := p.defaults[n.action]
		switch {
		case !actions.has(n.action) || len(words) == 1 && line != 0:
			continue
		case len(words) == 2 && line != 0 && line != p.general:
			p.wrong("expected one default for %s, and line %d has it", n.name, line)
			return
		}
		p.defaults[n.action] = p.line
		if allow {
			p.file.model.Allow |= ActionsOf(n.action)
		} else {
			p.file.model.Allow &^= ActionsOf(n.action)
		}
	}
}

// defaultReason returns what explanations say of the defaults.
func (p *rulesParser) defaultReason() func(broker.Action) string {
	name, allow, lines := p.file.model.Name, p.file.model.Allow, p.defaults
	return func(a broker.Action) string {
		word := "deny"
		if allow.has(a) {
			word = "allow"
		}
		if line := lines[a]; line != 0 {
			return fmt.Sprintf("no rule matched, default %s (%s:%d)", word, name, line)
		}
		return "no rule matched, default " + word
	}
}

// actions reads a list of actions.
func (p *rulesParser) actions(w word) (actions Actions, ok bool) {
	text, _ := w.plain()
	for _, name := range strings.Split(text, ",") {
		found := false
		for _, a := range actionWords {
			if a.word == name {
				actions |= a.actions
				found = true
			}
		}
		if !found {
			p.wrong("expected actions with commas between them, of connect, publish, will, receive, subscribe, unsubscribe, read and write, not %s", w.raw)
			return 0, false
		}
	}
	return actions, true
}

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
				p.asked[name] = config.Warning{File: p.file.model.Name, Line: p.line}
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
