package config

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Origin is where a value comes from.
type Origin struct {
	File string // empty for a default
	Line int    // counts from 1; 0 for what is in no file
}

// CommandLine is the origin of what the command line says.
var CommandLine = Origin{File: "command line"}

// String returns "FILE:LINE", "command line" or "default".
func (o Origin) String() string {
	switch {
	case o.File == "":
		return "default"
	case o.Line == 0:
		return o.File
	}
	return fmt.Sprintf("%s:%d", o.File, o.Line)
}

// Setting is one value in force.
type Setting struct {
	Option string // the name of the manual, not an alias
	Value  string // as a file would say it; empty for none
	Origin Origin
}

// line is one line of a file that set a value.
type line struct {
	option   string
	text     string
	at       Origin
	section  int // of the listener that it belongs to, or broker
	repeated bool
	word     string // as it is told, if not as option
}

// broker is the section of the lines that belong to no listener.
const broker = -1

// note keeps a line. It replaces an earlier one of the same option, unless they add
// up.
func (c *Config) note(l line) {
	if !l.repeated || l.word == "" && strings.HasPrefix(l.text, "none") {
		c.lines = slices.DeleteFunc(c.lines, func(old line) bool {
			return old.option == l.option && old.section == l.section
		})
	}
	c.lines = append(c.lines, l)
}

// SetLogTypes replaces the kinds of message that are logged, as -v and -q do.
func (c *Config) SetLogTypes(types LogType) {
	c.Log.Types = types
	text := "none"
	if types != LogNone {
		text = "all"
	}
	c.note(line{option: "log_type", text: text, at: CommandLine, section: broker})
}

// Origin returns where an option's value comes from that holds for a listener, given
// by its index, or for the broker, -1.
func (c *Config) Origin(option string, listener int) Origin {
	settings := c.settingsOf(option, listener)
	return settings[len(settings)-1].Origin
}

// settingsOf returns the lines that say an option's value, else its default.
func (c *Config) settingsOf(option string, listener int) []Setting {
	sections := []int{broker}
	if listener >= 0 {
		sections = []int{c.section(listener), broker}
	}
	var found []Setting
	for _, section := range sections {
		for _, l := range c.lines {
			if l.option == option && l.section == section {
				found = append(found, Setting{cmp.Or(l.word, option), l.text, l.at})
			}
		}
		if found != nil {
			return found
		}
	}
	values := []string{c.defaultOf(option, listener)}
	if o := options().lookup(option); o != nil && o.Repeated && values[0] != "" {
		values = strings.Fields(values[0])
	}
	for _, value := range values {
		found = append(found, Setting{Option: option, Value: value})
	}
	return found
}

// section returns the number of a listener's section.
func (c *Config) section(listener int) int {
	switch {
	case c.sectionOf == nil:
		return 0
	case listener < len(c.sectionOf):
		return c.sectionOf[listener]
	}
	return broker // of a listener that no file made
}

// defaultOf returns the value of an option that no line sets.
func (c *Config) defaultOf(option string, listener int) string {
	if option == "allow_anonymous" && listener >= 0 {
		return strconv.FormatBool(c.Listeners[listener].AllowAnonymous)
	}
	if o := options().lookup(option); o != nil {
		return o.Default
	}
	return ""
}

// WriteTo writes the configuration in force as a file would say it, each value with
// its origin as a comment. What is not set and has no default is left out.
func (c *Config) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	put := func(settings []Setting) {
		for _, s := range settings {
			if s.Value != "" {
				fmt.Fprintf(&b, "%-40s # %s\n", s.Option+" "+s.Value, s.Origin)
			}
		}
	}
	for _, o := range Options() {
		if o.State == Available && o.Scope == Global {
			put(c.settingsOf(o.Name, -1))
		}
	}
	for i, l := range c.Listeners {
		b.WriteByte('\n')
		at := c.Origin("listener", i)
		if at == (Origin{}) {
			at = c.Origin("port", i)
		}
		put([]Setting{{"listener", l.where(), at}})
		for _, o := range Options() {
			ofListener := o.Scope == PerListener || o.Scope == Security
			if o.auth != nil && (l.Auth == nil || c.Origin(o.Name, i) == Origin{}) {
				continue // there are many, and most say nothing where nobody asks
			}
			if o.State == Available && ofListener && !slices.Contains(addressOptions, o.Name) && !c.overridden(o.Name, i) {
				put(c.settingsOf(o.Name, i))
			}
		}
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// overridden reports whether a listener has a line "listener_..." in place of an option.
func (c *Config) overridden(option string, listener int) bool {
	own := "listener_" + option
	return options().words[own] != nil && c.Origin(own, listener).File != ""
}

// addressOptions are those that WriteTo says with the listener itself.
var addressOptions = []string{"listener", "port", "bind_address"}

// where returns the value of the listener line that makes l.
func (l *Listener) where() string {
	if l.Port == 0 {
		return "0 " + l.Path
	}
	return strings.TrimSpace(strconv.Itoa(int(l.Port)) + " " + l.Address)
}

// format returns a value as a file would say it.
func (o *Option) format(v value) string {
	switch o.Kind {
	case Bool:
		return strconv.FormatBool(v.on)
	case Number:
		return strconv.FormatInt(v.number, 10)
	case Text, Word, Duration, Fields:
	}
	return v.text
}

// joinPorts returns ports with spaces between them.
func joinPorts(ports []uint16) string {
	texts := make([]string, len(ports))
	for i, port := range ports {
		texts[i] = strconv.Itoa(int(port))
	}
	return strings.Join(texts, " ")
}
