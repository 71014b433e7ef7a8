package config

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxLine is the longest line that is accepted, in bytes.
const maxLine = 1 << 20

// Load reads the configuration file at path and the files that it includes. The
// error is of type [Errors].
func Load(path string) (*Config, error) {
	p := newParser()
	p.readFile(path)
	return p.result()
}

// Parse reads a configuration from r; name stands for the file in messages. The
// error is of type [Errors].
func Parse(name string, r io.Reader) (*Config, error) {
	p := newParser()
	p.read(name, r)
	return p.result()
}

// parser reads the lines of a configuration and sets the values through the table
// of options.
type parser struct {
	table    *table
	cfg      *Config
	security security // of the broker
	sections []*section
	byPort   *section // the one that port, bind_address and stray listener options make
	made     int      // sections
	// separate is per_listener_settings; secured says that an option of the scope
	// Security came before.
	separate, secured bool

	file   string   // the file that is being read
	line   int      // the line of it
	option string   // the option of the line, as it is spelled
	nested bool     // the file is an included one
	cur    *section // the listener above the line, in the same file
	bridge bool     // the line stands below a connection line

	plugin *plugin            // that plugin_opt_... lines belong to
	loaded map[string]*plugin // by plugin_load, by name
	whole  []*plugin          // that do something for the whole broker

	seen   map[string]bool // names of the options that came before
	errors Errors
}

// section is a listener and the lines that belong to it.
type section struct {
	Listener
	security
	number int  // in the order of their making
	asked  bool // a listener, port or bind_address line made it
}

// security are the options that belong to the broker or to a listener; nil or empty
// if no line gives them.
type security struct {
	anonymous, emptyID                         *bool
	idPrefix, passwordFile, aclFile, rulesFile string
	pskFile                                    string
	plugins                                    []*plugin
	auth                                       []authLine
}

// target is where an option's value goes.
type target struct {
	*parser
	cfg      *Config
	section  *section  // for PerListener options
	security *security // for Security options
	first    bool      // no such line came before
}

// newParser returns a parser whose configuration has all defaults.
func newParser() *parser {
	p := &parser{table: options(), cfg: &Config{Log: Log{Facility: NoFacility}}, seen: map[string]bool{}}
	for i := range p.table.all {
		if o := &p.table.all[i]; o.Scope == Global {
			p.setDefault(o, nil)
		}
	}
	return p
}

// newSection returns a listener that has all defaults but for its address.
func (p *parser) newSection() *section {
	s := &section{Listener: Listener{Port: DefaultPort}, number: p.made}
	p.made++
	for i := range p.table.all {
		if o := &p.table.all[i]; o.Scope == PerListener {
			p.setDefault(o, s)
		}
	}
	return s
}

// setDefault sets an option to what the table says that it is without a line. A
// default that cannot be read is a mistake in the table.
func (p *parser) setDefault(o *Option, s *section) {
	if o.set == nil || o.Default == "" {
		return
	}
	values := []string{o.Default}
	if o.Repeated {
		values = strings.Fields(o.Default)
	}
	for i, text := range values {
		v, _, err := o.read(text)
		if err == nil {
			err = o.set(&target{parser: p, cfg: p.cfg, section: s, first: i == 0}, v)
		}
		if err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", o.Name, err))
		}
	}
}

// readFile reads the file at path.
func (p *parser) readFile(path string) {
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		if info, statErr := f.Stat(); statErr == nil && info.IsDir() {
			err = errors.New("it is a directory")
		}
	}
	if err != nil {
		if pathErr, ok := errors.AsType[*os.PathError](err); ok {
			err = pathErr.Err
		}
		p.errors = append(p.errors, &Error{File: path, Msg: "expected a file to read: " + err.Error()})
		return
	}
	p.read(path, f)
}

// read reads the lines of a file.
func (p *parser) read(name string, r io.Reader) {
	p.file, p.line, p.cur, p.bridge = name, 0, nil, false
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		p.line++
		line := lines.Text()
		if p.line == 1 {
			line = strings.TrimPrefix(line, "\ufeff") // a byte order mark
		}
		p.readLine(strings.Trim(line, blanks+"\r"))
	}
	if err := lines.Err(); err != nil {
		p.line++
		p.option = ""
		p.fail(expected("lines of at most %d bytes: %v", maxLine, err))
	}
}

// readLine handles one line, which has no blanks at its ends.
func (p *parser) readLine(line string) {
	if line == "" || line[0] == '#' {
		return
	}
	word, rest := cutWord(line)
	p.option = word
	o := p.table.lookup(word)
	if o == nil {
		p.option = ""
		p.fail(p.table.unknown(word))
		return
	}
	if o.Scope == PerBridge {
		p.readBridge(o)
		return
	}
	v, extra, err := o.read(rest)
	if err != nil {
		p.fail(err)
		return
	}
	if extra != "" && extra[0] != '#' {
		p.warn("takes one value; %q is ignored", extra)
	}
	if o.State == Available {
		p.set(o, v)
	} else {
		p.unavailable(o, v)
	}
}

// readBridge handles a line of a bridge. Its options would each repeat what is said
// about the first line.
func (p *parser) readBridge(o *Option) {
	switch {
	case o.Name == "connection":
		p.bridge = true
		p.fail(problem("bridges are not available yet"))
	case !p.bridge:
		p.fail(expected("a connection line above it"))
	}
}

// unavailable handles a line whose option does nothing.
func (p *parser) unavailable(o *Option, v value) {
	asked := o.inert == "" || v.text != o.inert && (o.Kind != Bool || v.on != (o.inert == "true"))
	if asked && o.State == Refused {
		p.fail(problem("not available yet: " + o.Doc))
	}
}

// set sets an available option.
func (p *parser) set(o *Option, v value) {
	t := &target{parser: p, cfg: p.cfg, security: &p.security, first: !p.seen[o.Name]}
	p.seen[o.Name] = true
	switch o.Scope {
	case PerListener:
		t.section = p.currentSection(o)
	case Security:
		p.secured = true
		if p.separate {
			if p.cur == nil {
				p.fail(expected("a listener above it, because of per_listener_settings"))
				return
			}
			t.security = &p.cur.security
		}
	case Global, PerBridge:
	}
	at := Origin{p.file, p.line} // include_dir moves them
	if err := o.set(t, v); err != nil {
		p.fail(err)
		return
	}
	l := line{option: o.Name, text: o.format(v), at: at, section: broker, repeated: o.Repeated}
	switch {
	case o.Scope == PerListener:
		l.section = t.section.number
	case o.Scope == Security && p.separate:
		l.section = p.cur.number
	}
	p.pluginLine(&l, o)
	p.cfg.note(l)
}

// fail notes a mistake in the current line.
func (p *parser) fail(err error) {
	p.errors = append(p.errors, newError(Origin{p.file, p.line}, p.option, err))
}

// warn notes a warning about the current line.
func (p *parser) warn(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	p.cfg.Warnings = append(p.cfg.Warnings, Warning{File: p.file, Line: p.line, Option: p.option, Msg: msg})
}

// result returns the configuration if there is no mistake in it.
func (p *parser) result() (*Config, error) {
	p.finish()
	p.check()
	if len(p.errors) > 0 {
		sortMistakes(p.errors)
		return nil, p.errors
	}
	return p.cfg, nil
}
