package config

import "strconv"

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
	t.cur, t.bridge = s, false
	return nil
}

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
		return expected("this line above allow_anonymous, allow_zero_length_clientid and auto_id_prefix")
	}
	t.separate = t.separate || on
	return nil
}

// finish turns the sections into the listeners of the configuration.
func (p *parser) finish() {
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
	}
}

// listener returns the listener of a section: what the section does not say, the
// broker's options do, then the defaults.
func (p *parser) listener(s *section, anonymous bool) Listener {
	l := s.Listener
	l.AllowAnonymous = choose(anonymous, s.anonymous, p.security.anonymous)
	l.AllowZeroLengthClientID = choose(true, s.emptyID, p.security.emptyID)
	l.AutoIDPrefix = defaultIDPrefix
	for _, prefix := range []string{s.idPrefix, p.security.idPrefix} {
		if prefix != "" {
			l.AutoIDPrefix = prefix
			break
		}
	}
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
