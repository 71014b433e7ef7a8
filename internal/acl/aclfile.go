package acl

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config/mistake"
	"github.com/uniomq/unio/topic"
)

// accessWords are the access types of a line.
var accessWords = map[string]struct {
	actions Actions
	deny    bool
}{
	"read":      {actions: ActionsOf(broker.ActionReceive)},
	"write":     {actions: ActionsOf(broker.ActionPublish, broker.ActionWill)},
	"readwrite": {actions: messages},
	"deny":      {actions: messages, deny: true}, // neither, whatever other rules say
}

// ownPriority is the priority of a user's own rules: they go before patterns, which have 0.
const ownPriority = 1

// A File is an ACL file as it was read. It does not change.
type File struct {
	name     string
	rules    []*Rule
	warnings []mistake.Warning
}

// Compile makes the rules of the file ready.
func (f *File) Compile() *Rules {
	return Model{
		Name: f.name, Rules: f.rules, DenyWins: true,
		Allow: all &^ messages, // it limits no subscription: each message is checked at its delivery
		Default: func(a broker.Action) string {
			if messages.has(a) {
				return "no rule grants it"
			}
			if a == broker.ActionConnect {
				return "an ACL file does not limit who may connect"
			}
			return "an ACL file does not limit subscriptions: each message is checked at its delivery"
		},
	}.Compile()
}

// Load reads an ACL file. Its error is a mistake.Errors with all mistakes of the file.
// That a file cannot be read is an error, too, and never means that there are no rules.
func Load(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, mistake.Errors{{File: path, Msg: "the ACL file cannot be read: " + err.Error()}}
	}
	return parse(path, text)
}

// Warnings are lines that are correct and have no effect, or another one than it seems.
func (f *File) Warnings() []mistake.Warning { return f.warnings }

// parser reads a file line by line.
type parser struct {
	file     *File
	path     string
	line     int
	whose    condition // the rules that follow
	mistakes mistake.Errors
}

// blanks are what C's isspace counts as white space.
const blanks = " \t\n\v\f\r"

func parse(path string, text []byte) (*File, error) {
	p := &parser{path: path, file: &File{name: path}, whose: condition{key: keyNamed("anonymous"), text: "no user name", on: true}}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	for line := range strings.Lines(string(text)) {
		p.line++
		line = strings.TrimRight(line, blanks)
		if strings.HasPrefix(line, "#") { // in the first column only
			continue
		}
		if line = strings.TrimLeft(line, " "); line != "" {
			p.statement(line)
		}
	}
	if len(p.mistakes) > 0 {
		return nil, p.mistakes
	}
	return p.file, nil
}

func (p *parser) wrong(format string, args ...any) {
	p.mistakes = append(p.mistakes, &mistake.Error{File: p.path, Line: p.line, Msg: fmt.Sprintf(format, args...)})
}

func (p *parser) warn(format string, args ...any) {
	p.file.warnings = append(p.file.warnings, mistake.Warning{File: p.path, Line: p.line, Msg: fmt.Sprintf(format, args...)})
}

// statement reads one line. Words end at spaces, and at nothing else, as in Mosquitto.
func (p *parser) statement(line string) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "user":
		p.setUser(strings.Trim(rest, blanks))
	case "topic", "pattern":
		p.rule(line, word == "pattern", strings.TrimLeft(rest, " "))
	default:
		hint := ""
		if strings.HasPrefix(word, "#") {
			hint = "; a comment begins in the first column"
		}
		p.wrong("expected `user`, `topic` or `pattern` and a space, not %q%s", word, hint)
	}
}

func (p *parser) setUser(name string) {
	// Wrong or not, the rules that follow are not somebody else's.
	p.whose = condition{key: keyNamed("user"), text: "user " + name, globs: []*glob{{fixed: []string{name}}}}
	if name == "" {
		p.wrong("expected `user NAME`")
	} else if !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		p.wrong("the user name must be UTF-8 without NUL, or no client can have it")
	}
}

// rule reads what comes after "topic" or "pattern".
func (p *parser) rule(line string, pattern bool, rest string) {
	kind := "topic"
	if pattern {
		kind = "pattern"
	}
	access, filter := accessWords["readwrite"], rest
	if word, behind, found := strings.Cut(rest, " "); found {
		var known bool
		if access, known = accessWords[word]; !known {
			p.wrong("expected `%s [read|write|readwrite|deny] FILTER`, not access type %q", kind, word)
			return
		}
		filter = strings.Trim(behind, blanks)
	} else if _, known := accessWords[rest]; known {
		p.warn("the filter is %q, for reading and writing: was a filter behind it forgotten?", rest)
	}
	if !p.checkFilter(kind, filter) {
		return
	}
	p.surprise(pattern, filter)
	r := &Rule{
		ID: uint32(len(p.file.rules)), File: p.path, Line: p.line, Text: line,
		Allow: !access.deny, Actions: access.actions, plain: pattern,
	}
	if pattern {
		f, _ := newFilter(filter, Covers, readACL) // its placeholders cannot be wrong
		r.Topics = []Filter{f}
	} else {
		r.Topics, r.Priority = []Filter{literalFilter(filter)}, ownPriority
		r.conditions, r.clients = []condition{p.whose}, 1
	}
	p.file.rules = append(p.file.rules, r)
}

func (p *parser) checkFilter(kind, filter string) bool {
	err := topic.ValidFilter(filter)
	switch {
	case err == nil || errors.Is(err, topic.ErrShare): // the latter only matches nothing
	case errors.Is(err, topic.ErrEmpty):
		p.wrong("expected `%s [read|write|readwrite|deny] FILTER`", kind)
		return false
	default:
		p.wrong("%q is not a topic filter: %s", filter, strings.TrimPrefix(err.Error(), "topic: "))
		return false
	}
	if n := topic.Levels(filter); n > topic.MaxLevels {
		p.wrong("expected a filter of at most %d levels, not %d", topic.MaxLevels, n)
		return false
	}
	return true
}

// surprise warns of filters that do not do what they seem to.
func (p *parser) surprise(pattern bool, filter string) {
	variable := strings.Contains(filter, "%u") || strings.Contains(filter, "%c")
	switch {
	case strings.HasPrefix(filter, "$share/"):
		p.warn("no message has such a topic: name the filter of shared subscriptions without $share/GROUP/")
	case !pattern && variable:
		p.warn("%%u and %%c stand for themselves in `topic`: use `pattern`")
	case pattern && !variable:
		p.warn("the pattern %q has neither %%u nor %%c: it holds for everybody", filter)
	case pattern && partial(filter):
		p.warn("%%u and %%c are not a whole level of %q: Mosquitto 2.1 does not replace them there", filter)
	}
}

// partial reports whether a placeholder of the filter is not a level by itself.
func partial(filter string) bool {
	for level := range strings.SplitSeq(filter, "/") {
		if parts, marked, _ := splitParts(level, readACL); marked && len(parts) > 1 {
			return true
		}
	}
	return false
}
