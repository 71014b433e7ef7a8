package mqttscript

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// Parse reads a script. The name is for messages and results. Every error is an
// [*Error].
func Parse(name string, src []byte) (*Script, error) {
	p := &parser{
		script:    &Script{Name: name, source: splitLines(string(src))},
		overrides: map[string]mqtt.Version{},
		captured:  map[string]bool{},
	}
	for i, line := range p.script.source {
		p.line = i + 1
		if err := p.parseLine(line); err != nil {
			return nil, p.fail(err)
		}
	}
	if p.group != nil {
		p.line = p.group.line
		return nil, p.fail(errors.New("unordered { is not closed"))
	}
	if len(p.script.Versions) == 0 {
		p.script.Versions = slices.Clone(allVersions)
	}
	slices.Sort(p.script.Versions)
	p.script.Versions = slices.Compact(p.script.Versions)
	if err := p.checkVersions(); err != nil {
		return nil, err
	}
	return p.script, nil
}

func splitLines(src string) []string {
	lines := strings.Split(src, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t\r")
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// parser holds what is known at the current line.
type parser struct {
	script    *Script
	line      int
	literals  literals
	group     *step                   // the open unordered block
	captured  map[string]bool         // names that a received line has captured
	overrides map[string]mqtt.Version // client: the version= of its last CONNECT
	uses      []fieldUse
}

// fieldUse is a field or packet that a line names, for checkVersions.
type fieldUse struct {
	line     int
	what     string
	since    mqtt.Version
	override mqtt.Version // the connection's own version; 0: the run's
}

func (p *parser) fail(err error) error {
	return &Error{Name: p.script.Name, Line: p.line, Text: err.Error()}
}

// checkVersions fails if a line names what one of the script's versions lacks.
func (p *parser) checkVersions() error {
	for _, use := range p.uses {
		for _, v := range p.script.Versions {
			if use.override != 0 {
				v = use.override
			}
			if v < use.since {
				p.line = use.line
				return p.fail(fmt.Errorf("%s does not exist in MQTT %s: add a versions line", use.what, VersionName(v)))
			}
		}
	}
	return nil
}

func (p *parser) parseLine(line string) error {
	ws, err := words(line)
	if err != nil || len(ws) == 0 {
		return err
	}
	if p.group != nil && ws[0] != "}" {
		return p.inUnordered(ws)
	}
	switch ws[0] {
	case "spec":
		return p.parseSpec(ws[1:])
	case "versions":
		return p.parseVersions(ws[1:])
	case "needs":
		return p.parseNeeds(ws[1:])
	case "wait":
		return p.parseWait(ws[1:])
	case "broker":
		return p.parseBroker(ws[1:])
	case "unordered":
		if len(ws) != 2 || ws[1] != "{" {
			return errors.New("unordered takes only {")
		}
		p.group = &step{line: p.line, kind: stepUnordered}
		return nil
	case "}":
		return p.closeUnordered(ws)
	}
	return p.parseClientLine(ws)
}

// inUnordered reads a line of a block: only packets received by one client have
// an order that can be left open.
func (p *parser) inUnordered(ws []string) error {
	st, err := p.clientStep(ws)
	if err != nil {
		return err
	}
	if st.kind != stepReceive || len(st.clients) != 1 {
		return errors.New("within unordered each line is: NAME < PACKET with its fields")
	}
	p.group.group = append(p.group.group, st)
	return nil
}

func (p *parser) closeUnordered(ws []string) error {
	if p.group == nil || len(ws) != 1 {
		return errors.New("} stands alone, after unordered {")
	}
	if len(p.group.group) == 0 {
		return errors.New("unordered { } is empty")
	}
	p.add(*p.group)
	p.group = nil
	return nil
}

func (p *parser) add(st step) { p.script.steps = append(p.script.steps, st) }

// parseSpec reads: spec 5: 3.3.2-5 3.3.2-6
func (p *parser) parseSpec(ws []string) error {
	if len(ws) < 2 || !strings.HasSuffix(ws[0], ":") {
		return errors.New("expected: spec VERSION: ID, one or more")
	}
	versions, err := ParseVersion(strings.TrimSuffix(ws[0], ":"))
	if err != nil {
		return err
	}
	for _, id := range ws[1:] {
		if !isStatementID(id) {
			return fmt.Errorf("%q is no statement id such as 3.3.2-5", id)
		}
		for _, v := range versions {
			p.script.Spec = append(p.script.Spec, Statement{v, id})
		}
	}
	return nil
}

// isStatementID reports whether id has the form 3.3.2-5.
func isStatementID(id string) bool {
	section, n, ok := strings.Cut(id, "-")
	if !ok || n == "" {
		return false
	}
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	for part := range strings.SplitSeq(section, ".") {
		if !digits(part) {
			return false
		}
	}
	return digits(n)
}

func (p *parser) parseVersions(ws []string) error {
	if len(ws) == 0 || len(p.script.Versions) > 0 {
		return errors.New("one versions line, with 3.1, 3.1.1 or 5")
	}
	for _, w := range ws {
		vs, err := ParseVersion(w)
		if err != nil {
			return err
		}
		p.script.Versions = append(p.script.Versions, vs...)
	}
	return nil
}

func (p *parser) parseNeeds(ws []string) error {
	if len(ws) == 0 {
		return errors.New("needs takes one name or more")
	}
	for _, w := range ws {
		if !isName(w) {
			return fmt.Errorf("%q is no name", w)
		}
	}
	p.script.Needs = append(p.script.Needs, ws...)
	return nil
}

func (p *parser) parseWait(ws []string) error {
	if len(ws) != 1 {
		return errors.New("expected: wait DURATION, as in wait 3s")
	}
	d, err := time.ParseDuration(ws[0])
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is no duration such as 3s or 1h30m", ws[0])
	}
	p.add(step{line: p.line, kind: stepWait, wait: d})
	return nil
}

func (p *parser) parseBroker(ws []string) error {
	switch {
	case len(ws) == 1 && (ws[0] == "restart" || ws[0] == "kill"):
	case len(ws) == 3 && ws[0] == "option":
		val, err := p.literals.text(ws[2], false)
		if err != nil {
			return err
		}
		ws[2] = string(val)
	default:
		return errors.New("expected: broker restart, broker kill, or broker option KEY VALUE")
	}
	p.add(step{line: p.line, kind: stepBroker, words: ws})
	return nil
}

func (p *parser) parseClientLine(ws []string) error {
	st, err := p.clientStep(ws)
	if err == nil {
		p.add(st)
	}
	return err
}

// clientStep reads a line that begins with the name of a client.
func (p *parser) clientStep(ws []string) (step, error) {
	st := step{line: p.line, clients: strings.Split(ws[0], "|")}
	for i, name := range st.clients {
		if !isName(name) {
			return st, fmt.Errorf("%q is neither a keyword nor a client's name", ws[0])
		}
		if slices.Contains(st.clients[:i], name) {
			return st, fmt.Errorf("%s stands twice", name)
		}
	}
	if len(ws) < 2 {
		return st, fmt.Errorf("what about %s? Expected: >, <, close or quiet", ws[0])
	}
	rest := ws[2:]
	switch ws[1] {
	case ">":
		return st, p.parseSend(&st, rest)
	case "<":
		return st, p.parseReceive(&st, rest)
	case "close", "quiet":
		st.kind = stepQuiet
		if ws[1] == "close" {
			st.kind = stepClose
		}
		if len(rest) > 0 {
			return st, fmt.Errorf("%s takes nothing more", ws[1])
		}
		if st.kind == stepClose && len(st.clients) > 1 {
			return st, errors.New("one client at a time can close")
		}
		return st, nil
	}
	return st, fmt.Errorf("expected after %s: >, <, close or quiet; not %q", ws[0], ws[1])
}

func (p *parser) parseSend(st *step, ws []string) (err error) {
	switch {
	case len(st.clients) > 1:
		return errors.New("one client at a time can send")
	case len(ws) == 0:
		return errors.New("a packet expected after >")
	case ws[0] == "RAW":
		st.kind = stepSendRaw
		st.raw, err = p.parseRaw(ws[1:])
		return err
	}
	st.kind = stepSend
	st.packet, err = p.parsePacket(ws)
	if err != nil {
		return err
	}
	if err := p.checkSent(st.packet); err != nil {
		return err
	}
	return p.noteVersions(st)
}

func (p *parser) parseReceive(st *step, ws []string) (err error) {
	switch {
	case len(ws) == 0:
		return errors.New("a packet expected after <")
	case ws[0] == "EOF":
		st.kind = stepEOF
		if len(ws) > 1 || len(st.clients) > 1 {
			return errors.New("expected: NAME < EOF")
		}
		return nil
	case ws[0] == "RAW":
		st.kind = stepReceiveRaw
		st.raw, err = p.parseRaw(ws[1:])
		return err
	}
	st.kind = stepReceive
	st.packet, err = p.parsePacket(ws)
	if err != nil {
		return err
	}
	if err := p.checkReceived(st.packet); err != nil {
		return err
	}
	return p.noteVersions(st)
}

func (p *parser) parseRaw(ws []string) ([]byte, error) {
	var raw []byte
	for _, w := range ws {
		part, err := p.literals.raw(w)
		if err != nil {
			return nil, err
		}
		raw = append(raw, part...)
	}
	if len(raw) == 0 {
		return nil, errors.New("RAW without bytes")
	}
	return raw, nil
}

// noteVersions remembers what the line names, and the version that its connection
// speaks if that is not the run's.
func (p *parser) noteVersions(st *step) error {
	if st.packet.spec.name == "CONNECT" {
		p.overrides[st.clients[0]] = 0
		for _, f := range st.packet.fields {
			if f.spec.name == "version" {
				p.overrides[st.clients[0]] = mqtt.Version(f.pattern.choice[0].lo.num)
			}
		}
	}
	for _, name := range st.clients {
		override := p.overrides[name]
		p.uses = append(p.uses, fieldUse{st.line, st.packet.spec.name, st.packet.spec.since, override})
		for _, f := range st.packet.fields {
			if !f.spec.silent {
				p.uses = append(p.uses, fieldUse{st.line, f.spec.name + "=", f.spec.since, override})
			}
		}
	}
	return nil
}
