package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// setListener handles a listener line: it begins a section.
func setListener(t *target, v value) error {
	word, rest := cutWord(v.text)
	port, err := strconv.ParseUint(word, 10, 16)
	if err != nil {
		return expected("a port, 1 to 65535, or 0 and the path of a Unix socket, not %q", word)
	}
	address, rest := cutWord(rest)
	if address != "" && address[0] == '#' {
		address, rest = "", ""
	}
	if port == 0 && address == "" {
		return expected("the path of a Unix socket after port 0")
	}
	if rest != "" && rest[0] != '#' {
		t.warn("takes a port and an address; %q is ignored", rest)
	}
	s := t.newSection()
	s.Port, s.asked = uint16(port), true
	if port == 0 {
		s.Path = address
	} else {
		s.Address = address
	}
	t.sections = append(t.sections, s)
	t.section, t.cur, t.bridge = s, s, false
	return nil
}

// setVersions handles accept_protocol_versions, whose words may stand with blanks,
// commas or both between them.
func setVersions(t *target, v value) error {
	words := strings.FieldsFunc(v.text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	var versions []byte
	for _, word := range words {
		if len(word) != 1 || word < "3" || word > "5" {
			return expected("a list of 3, 4 and 5, not %q", word)
		}
		if level := word[0] - '0'; !slices.Contains(versions, level) {
			versions = append(versions, level)
		}
	}
	if len(versions) == 0 {
		return expected("a list of 3, 4 and 5")
	}
	slices.Sort(versions)
	t.section.Versions = versions
	return nil
}

// setForwardedFor handles websockets_forwarded_for.
func setForwardedFor(t *target, v value) (err error) {
	t.section.ForwardedFor = nil
	switch word, _ := cutWord(v.text); word {
	case "false", "0":
	case "true", "1":
		return expected("the addresses and networks of the proxies whose X-Forwarded-For is to be believed, such as 10.0.0.0/8, or false."+
			" %s would believe everybody, and anybody can write the header", word)
	default:
		t.section.ForwardedFor, err = readNetworks(v.text)
	}
	return err
}

// setMountPoint handles mount_point. As the beginning of topic names it has no
// wildcards [MQTT-4.7.1-1] and is no longer than they may be.
func setMountPoint(t *target, v value) error {
	if strings.ContainsAny(v.text, "+#\x00") || !utf8.ValidString(v.text) || len(v.text) > maxMountPoint {
		return expected("the beginning of topic names: without + and #, at most %d bytes", maxMountPoint)
	}
	return setOnce(&t.section.MountPoint, v.text)
}

// maxMountPoint leaves room for topics of the clients: a name has 65,535 bytes at most.
const maxMountPoint = 32767

// currentSection returns the listener that a line of the scope PerListener belongs
// to. A line above all listeners of its file belongs to the one that port makes; if
// the file has listeners then this one is opened, too, as Mosquitto does.
func (p *parser) currentSection(o *Option) *section {
	switch o.Name {
	case "listener", "port", "bind_address": // these choose for themselves
		return nil
	}
	if p.cur == nil {
		p.cur = p.defaultSection()
	}
	return p.cur
}

// defaultSection returns the listener that port makes.
func (p *parser) defaultSection() *section {
	if p.byPort == nil {
		p.byPort = p.newSection()
		p.sections = append(p.sections, p.byPort)
	}
	return p.byPort
}

// useDefaultSection makes the listener of port the current one, for port and
// bind_address.
func (t *target) useDefaultSection() {
	t.section = t.defaultSection()
	t.section.asked = true
	t.cur, t.bridge = t.section, false
}

// perListener handles per_listener_settings, which cannot be unset.
func (t *target) perListener(on bool) error {
	if on && t.secured {
		return expected("this line above allow_anonymous, password_file and the other options that it moves to the listeners")
	}
	t.separate = t.separate || on
	return nil
}

// finish turns the sections into the listeners of the configuration.
func (p *parser) finish() {
	for _, pl := range p.whole {
		pl.kind.whole(p, pl)
	}
	asked := false
	for _, s := range p.sections {
		asked = asked || s.asked
	}
	p.cfg.LocalOnly = !asked
	if !asked {
		// Nobody chose an address, so nobody but this machine is let in.
		only := p.listener(p.defaultSection(), true)
		p.cfg.Listeners = loopback(only)
		return
	}
	for _, s := range p.sections {
		if !s.asked {
			p.cfg.Warnings = append(p.cfg.Warnings, Warning{
				File: p.file,
				Msg:  "a listener option above the first listener also opens port 1883, as in Mosquitto",
			})
		}
		p.cfg.Listeners = append(p.cfg.Listeners, p.listener(s, false))
		p.cfg.sectionOf = append(p.cfg.sectionOf, s.number)
	}
}

// listener returns the listener of a section: what the section does not say, the
// broker's options do, then the defaults.
func (p *parser) listener(s *section, anonymous bool) Listener {
	l := s.Listener
	l.AllowAnonymous = choose(anonymous, s.anonymous, p.security.anonymous)
	l.AllowZeroLengthClientID = choose(true, s.emptyID, p.security.emptyID)
	l.AutoIDPrefix = cmp.Or(s.idPrefix, p.security.idPrefix, defaultIDPrefix)
	l.PasswordFile = cmp.Or(s.passwordFile, p.security.passwordFile)
	l.Auth = p.auth(s)
	l.ACLFile = cmp.Or(s.aclFile, p.security.aclFile)
	l.TLS.PSKFile = cmp.Or(s.pskFile, p.security.pskFile)
	l.RulesFile = cmp.Or(s.rulesFile, p.security.rulesFile)
	p.applyPlugins(&l, &s.security)
	return l
}

// choose returns the first of the given values, or def.
func choose(def bool, given ...*bool) bool {
	for _, b := range given {
		if b != nil {
			return *b
		}
	}
	return def
}
