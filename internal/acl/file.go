package acl

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/topic"
)

// A Rule is one line of an ACL file that grants or denies something.
type Rule struct {
	File   string
	Line   int    // from 1; 0 if no line decided, and then Text says why
	Text   string // the line, without blanks around it
	filter string
	access access
}

// String returns "FILE:LINE: TEXT".
func (r Rule) String() string {
	if r.Line == 0 {
		return r.Text
	}
	return fmt.Sprintf("%s:%d: %s", r.File, r.Line, r.Text)
}

// access is a set of what a rule says.
type access uint8

const (
	read  access = 1 << iota // receive messages
	write                    // publish messages
	deny                     // neither, whatever other rules say
)

// accessWords are the access types of a line.
var accessWords = map[string]access{"read": read, "write": write, "readwrite": read | write, "deny": deny}

// A File is an ACL file as it was read. It does not change.
type File struct {
	anonymous []Rule            // for clients without a user name
	users     map[string][]Rule // for clients with one, never the anonymous rules besides
	patterns  []Rule            // for all
	warnings  []config.Warning
}

// Load reads an ACL file. Its error is a config.Errors with all mistakes of the file.
// That a file cannot be read is an error, too, and never means that there are no rules.
func Load(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, config.Errors{{File: path, Msg: "the ACL file cannot be read: " + err.Error()}}
	}
	return parse(path, text)
}

// Warnings are lines that are correct and have no effect, or another one than it seems.
func (f *File) Warnings() []config.Warning { return f.warnings }

// parser reads a file line by line.
type parser struct {
	file     *File
	path     string
	line     int
	user     string // whose rules follow
	named    bool   // a user line was there
	mistakes config.Errors
}

// blanks are what C's isspace counts as white space.
const blanks = " \t\n\v\f\r"

func parse(path string, text []byte) (*File, error) {
	p := &parser{path: path, file: &File{users: map[string][]Rule{}}}
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
	p.mistakes = append(p.mistakes, &config.Error{File: p.path, Line: p.line, Msg: fmt.Sprintf(format, args...)})
}

func (p *parser) warn(format string, args ...any) {
	p.file.warnings = append(p.file.warnings, config.Warning{File: p.path, Line: p.line, Msg: fmt.Sprintf(format, args...)})
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
	p.user, p.named = name, true // wrong or not, the rules that follow are not somebody else's
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
	r := Rule{File: p.path, Line: p.line, Text: line, access: read | write, filter: rest}
	if word, filter, found := strings.Cut(rest, " "); found {
		var known bool
		if r.access, known = accessWords[word]; !known {
			p.wrong("expected `%s [read|write|readwrite|deny] FILTER`, not access type %q", kind, word)
			return
		}
		r.filter = strings.Trim(filter, blanks)
	} else if accessWords[rest] != 0 {
		p.warn("the filter is %q, for reading and writing: was a filter behind it forgotten?", rest)
	}
	if !p.checkFilter(kind, r.filter) {
		return
	}
	p.surprise(pattern, r.filter)
	switch f := p.file; {
	case pattern:
		f.patterns = append(f.patterns, r)
	case p.named:
		f.users[p.user] = append(f.users[p.user], r)
	default:
		f.anonymous = append(f.anonymous, r)
	}
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
