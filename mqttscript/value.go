package mqttscript

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// kind is the type of a field's value.
type kind uint8

const (
	kindNumber kind = iota
	kindFlag        // a number that is 0 or 1; the bare name means 1
	kindText        // UTF-8 on the wire; scripts may also write what is not
	kindBlob        // bytes, also as 0x...
)

func (k kind) isText() bool { return k == kindText || k == kindBlob }

// value is a field's value in a packet.
type value struct {
	text bool
	num  uint64
	data []byte // if text
}

func numberValue(n uint64) value { return value{num: n} }

func textValue[T ~string | ~[]byte](s T) value { return value{text: true, data: []byte(s)} }

func flagValue(b bool) value {
	if b {
		return value{num: 1}
	}
	return value{}
}

func (v value) equal(w value) bool {
	return v.text == w.text && v.num == w.num && bytes.Equal(v.data, w.data)
}

// isZero reports whether v is 0, false or empty.
func (v value) isZero() bool { return v.num == 0 && len(v.data) == 0 }

// pattern is what a script writes for a value: *, $name, or a choice of values
// and ranges.
type pattern struct {
	any     bool
	capture string // without the $
	choice  []span
	source  string // as written
}

// span is one value, or for numbers the range from lo to hi.
type span struct{ lo, hi value }

func (s span) contains(v value) bool {
	if v.text || s.lo.text {
		return s.lo.equal(v)
	}
	return s.lo.num <= v.num && v.num <= s.hi.num
}

// exactly is the pattern of one value.
func exactly(v value, source string) pattern {
	return pattern{choice: []span{{v, v}}, source: source}
}

// isOneValue reports whether the pattern can be sent.
func (p pattern) isOneValue() bool {
	return !p.any && (p.capture != "" || len(p.choice) == 1 && p.choice[0].lo.equal(p.choice[0].hi))
}

// match compares v and captures it if the pattern says so.
func (p pattern) match(v value, vars map[string]value) bool {
	if p.any {
		return true
	}
	if p.capture != "" {
		known, ok := vars[p.capture]
		if !ok {
			vars[p.capture] = v
			return true
		}
		return known.equal(v)
	}
	for _, s := range p.choice {
		if s.contains(v) {
			return true
		}
	}
	return false
}

// resolve returns the value to send.
func (p pattern) resolve(vars map[string]value) (value, error) {
	if p.capture == "" {
		return p.choice[0].lo, nil
	}
	v, ok := vars[p.capture]
	if !ok {
		return value{}, fmt.Errorf("$%s has no value yet", p.capture)
	}
	return v, nil
}

// parsePattern reads the value of a field.
func (l *literals) parsePattern(f *fieldSpec, word string) (pattern, error) {
	p := pattern{source: word}
	if word == "*" {
		p.any = true
		return p, nil
	}
	if name, ok := strings.CutPrefix(word, "$"); ok && isName(name) {
		p.capture = name
		return p, nil
	}
	for _, part := range splitChoice(word) {
		s, err := l.parseSpan(f, part)
		if err != nil {
			return p, err
		}
		p.choice = append(p.choice, s)
	}
	return p, nil
}

func (l *literals) parseSpan(f *fieldSpec, part string) (span, error) {
	if f.kind.isText() {
		data, err := l.text(part, f.kind == kindBlob)
		if err == nil && len(data) > math.MaxUint16 && f.name != "payload" {
			err = errors.New("a text of more than 65535 bytes")
		}
		v := textValue(data)
		return span{v, v}, err
	}
	first, last, isRange := strings.Cut(part, "..")
	lo, err := number(first)
	if err != nil {
		return span{}, err
	}
	hi := lo
	if isRange {
		if hi, err = number(last); err != nil {
			return span{}, err
		}
	}
	if lo > hi || hi > f.max {
		return span{}, fmt.Errorf("%s is not within 0..%d", part, f.max)
	}
	return span{numberValue(lo), numberValue(hi)}, nil
}

// longText is the length from which a text is shortened for a reader.
const longText = 100

// formatText writes a text or blob as a script would.
func formatText(data []byte, blob bool) string {
	switch {
	case len(data) > 4 && isRepeated(data):
		return strconv.Itoa(len(data)) + "*" + formatText(data[:1], blob)
	case len(data) > longText:
		return formatText(data[:longText], blob) + fmt.Sprintf("<and %d bytes more>", len(data)-longText)
	case !blob && isBare(data):
		return string(data)
	case blob && !isPrintable(data):
		return fmt.Sprintf("0x%x", data)
	}
	return strconv.Quote(string(data))
}

func isRepeated(data []byte) bool {
	return bytes.Count(data, data[:1]) == len(data)
}

// isBare reports whether data can stand without quotes and means the same.
func isBare(data []byte) bool {
	if len(data) == 0 {
		return false
	}
	for _, c := range data {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && !strings.ContainsRune("/_-.+", rune(c)) && (c < '0' || c > '9') {
			return false
		}
	}
	return !bytes.HasPrefix(data, []byte("0x"))
}

func isPrintable(data []byte) bool {
	for _, r := range string(data) {
		if r == '\uFFFD' || !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}
