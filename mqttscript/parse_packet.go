package mqttscript

import (
	"errors"
	"fmt"
	"strings"
)

// parsePacket reads the words from a packet's name on.
func (p *parser) parsePacket(ws []string) (*packetLine, error) {
	spec, ok := packets[ws[0]]
	if !ok {
		return nil, fmt.Errorf("unknown packet %q", ws[0])
	}
	line := &packetLine{spec: spec}
	for i, w := range ws[1:] {
		if w == "..." {
			if i != len(ws)-2 {
				return nil, errors.New("... comes last")
			}
			line.relaxed = true
			break
		}
		f, err := p.parseField(spec, w)
		if err != nil {
			return nil, err
		}
		if !f.spec.many && line.named(f.spec.name) {
			return nil, fmt.Errorf("%s= stands twice", f.spec.name)
		}
		line.fields = append(line.fields, f)
	}
	return line, p.checkPacket(line)
}

// parseField reads one word: q1, dup, name=value, or a bare filter.
func (p *parser) parseField(spec *packetSpec, word string) (fieldLine, error) {
	if len(word) == 2 && word[0] == 'q' && word[1] >= '0' && word[1] <= '3' && spec.field("qos") != nil {
		return fieldLine{spec.field("qos"), exactly(numberValue(uint64(word[1]-'0')), word)}, nil
	}
	if f := spec.field(word); f != nil && f.kind == kindFlag {
		return fieldLine{f, exactly(numberValue(1), word)}, nil
	}
	name, rest, isAssignment := strings.Cut(word, "=")
	if f := spec.field(name); f != nil && isAssignment {
		pat, err := p.parseFieldValue(f, rest)
		if err != nil {
			return fieldLine{}, fmt.Errorf("%s=: %w", name, err)
		}
		return fieldLine{f, pat}, nil
	}
	if spec.bareWords != "" && (!isAssignment || word[0] == '"') {
		if strings.HasSuffix(word, ",") && word[0] != '"' {
			return fieldLine{}, fmt.Errorf("blanks separate words, not commas: %s", word)
		}
		f := spec.field(spec.bareWords)
		pat, err := p.parseFieldValue(f, word)
		return fieldLine{f, pat}, err
	}
	return fieldLine{}, fmt.Errorf("%s has no field %q; it has: %s", spec.name, name, fieldNames(spec))
}

func (p *parser) parseFieldValue(f *fieldSpec, word string) (pattern, error) {
	if f.name == "version" {
		vs, err := ParseVersion(word)
		if err != nil || len(vs) != 1 {
			return pattern{}, fmt.Errorf("3.1, 3.1.1 or 5 expected, not %q", word)
		}
		return exactly(numberValue(uint64(vs[0])), word), nil
	}
	return p.literals.parsePattern(f, word)
}

func fieldNames(spec *packetSpec) string {
	if len(spec.fields) == 0 {
		return "none"
	}
	names := make([]string, len(spec.fields))
	for i, f := range spec.fields {
		names[i] = f.name
	}
	return strings.Join(names, " ")
}

// checkPacket finds what is missing in a line of either direction.
func (p *parser) checkPacket(line *packetLine) error {
	spec := line.spec
	if spec.needs != "" && !line.named(spec.needs) {
		return fmt.Errorf("%s needs %s=", spec.name, spec.needs)
	}
	if spec.name == "CONNECT" {
		return checkWill(line)
	}
	entry := false
	for _, f := range line.fields {
		switch f.spec.name {
		case "filter":
			entry = true
		case "qos", "nl", "rap", "rh":
			if spec.name == "SUBSCRIBE" && !entry {
				return fmt.Errorf("%s stands before the first filter", f.spec.name)
			}
		}
	}
	return nil
}

// checkWill refuses a part of a will without its topic.
func checkWill(line *packetLine) error {
	if line.named("will-topic") {
		return nil
	}
	for _, f := range line.fields {
		if strings.HasPrefix(f.spec.name, "will-") {
			return fmt.Errorf("%s= without will-topic=", f.spec.name)
		}
	}
	return nil
}

// checkSent refuses what cannot be sent: a pattern, a packet of the broker's.
func (p *parser) checkSent(line *packetLine) error {
	if !line.spec.sent {
		return fmt.Errorf("a client sends no %s; RAW can", line.spec.name)
	}
	if line.relaxed {
		return errors.New("... is for received packets")
	}
	for _, f := range line.fields {
		if !f.pattern.isOneValue() {
			return fmt.Errorf("%s=%s is not one value to send", f.spec.name, f.pattern.source)
		}
		if name := f.pattern.capture; name != "" && !p.captured[name] {
			return fmt.Errorf("$%s is captured by no earlier line", name)
		}
	}
	if line.spec.name == "PUBLISH" && sentQoS(line) > 0 && !line.named("pid") {
		return errors.New("a PUBLISH with QoS 1 or 2 needs pid=")
	}
	if line.spec.name == "PUBLISH" && sentQoS(line) > 2 {
		return errors.New("QoS 3 needs RAW")
	}
	return nil
}

func sentQoS(line *packetLine) uint64 {
	for _, f := range line.fields {
		if f.spec.name == "qos" && f.pattern.capture == "" {
			return f.pattern.choice[0].lo.num
		}
	}
	return 0
}

// checkReceived refuses a packet of the client's, and notes the captures.
func (p *parser) checkReceived(line *packetLine) error {
	if !line.spec.received {
		return fmt.Errorf("a broker sends no %s", line.spec.name)
	}
	for _, f := range line.fields {
		if f.pattern.capture != "" {
			p.captured[f.pattern.capture] = true
		}
	}
	if line.spec.name == "PUBLISH" && sentQoS(line) > 0 && !line.relaxed && !line.named("pid") {
		return errors.New("a PUBLISH with QoS 1 or 2 needs pid=, if only pid=*")
	}
	return nil
}
