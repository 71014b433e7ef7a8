package acl

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config/mistake"
)

// A RulesFile is a rules file as it was read. It does not change.
type RulesFile struct {
	model    Model
	warnings []mistake.Warning
}

// Compile makes the rules of the file ready.
func (f *RulesFile) Compile() *Rules { return f.model.Compile() }

// Warnings are lines that are correct and have no effect, or another one than it seems.
func (f *RulesFile) Warnings() []mistake.Warning { return f.warnings }

// LoadRules reads a rules file, whose form is in docs/rules.md. Its error is a mistake.Errors with all mistakes of the file.
// That a file cannot be read is an error, too, and never means that there are no rules.
func LoadRules(path string) (*RulesFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, mistake.Errors{{File: path, Msg: "the rules file cannot be read: " + err.Error()}}
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
	mistakes mistake.Errors

	combined bool
	general  int                        // the default line without actions
	defaults map[broker.Action]int      // to the line that says it
	groups   map[string]int             // to the line of the first
	asked    map[string]mistake.Warning // groups that rules ask for
}

func parseRules(path string, text []byte) (*RulesFile, error) {
	p := &rulesParser{
		file:     &RulesFile{model: Model{Name: path, Allow: usual}},
		defaults: map[broker.Action]int{}, groups: map[string]int{}, asked: map[string]mistake.Warning{},
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
	p.mistakes = append(p.mistakes, &mistake.Error{File: p.file.model.Name, Line: p.line, Msg: fmt.Sprintf(format, args...)})
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
	for name := range strings.SplitSeq(text, ",") {
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
