package dynsec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// A value is a piece of JSON with the line where it begins. Mosquitto looks names of members up without regard to case and takes the first of
// several; so do the methods here.
type value struct {
	line    int
	text    string // of a string
	number  float64
	kind    kind
	on      bool
	members []member
	items   []*value
}

type member struct {
	name  string
	value *value
}

type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	array
	object
)

// maxDepth bounds how deep values are nested; requests and files need 6.
const maxDepth = 100

// syntaxError is a text that is not JSON.
type syntaxError struct {
	line int
	err  error
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("line %d: expected JSON: %v", e.line, e.err)
}

// parse reads one value. What stands behind it is passed over, as Mosquitto does, unless all is set.
func parse(data []byte, all bool) (*value, error) {
	p := &parser{data: data, dec: json.NewDecoder(bytes.NewReader(data)), lines: 1}
	if !utf8.Valid(data) { // RFC 8259, 8.1
		return nil, &syntaxError{1, errors.New("it is not UTF-8")}
	}
	p.dec.UseNumber()
	v, err := p.value(0)
	if err == nil && all {
		if _, err = p.dec.Token(); errors.Is(err, io.EOF) {
			return v, nil
		}
		err = errors.New("something stands behind the end")
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, &syntaxError{p.line(), err}
	}
	return v, nil
}

type parser struct {
	data  []byte
	dec   *json.Decoder
	at    int // how far line has counted
	lines int
}

// line returns the line where the decoder is.
func (p *parser) line() int {
	to := min(int(p.dec.InputOffset()), len(p.data))
	p.lines += bytes.Count(p.data[p.at:to], []byte("\n"))
	p.at = to
	return p.lines
}

func (p *parser) value(depth int) (*value, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("values are nested more than %d deep", maxDepth)
	}
	token, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	v := &value{line: p.line()}
	switch t := token.(type) {
	case bool:
		v.kind, v.on = boolean, t
	case json.Number:
		v.kind = number
		v.number, err = t.Float64()
		if math.IsInf(v.number, 0) { // it is a number all the same
			err = nil
		}
	case string:
		v.kind, v.text = text, t
	case json.Delim:
		v.kind = array
		if t == '{' {
			v.kind = object
		}
		err = p.inside(v, depth)
	}
	return v, err
}

// inside reads the members or items of v and what ends it.
func (p *parser) inside(v *value, depth int) error {
	for p.dec.More() {
		name := ""
		if v.kind == object {
			token, err := p.dec.Token()
			if err != nil {
				return err
			}
			name, _ = token.(string)
		}
		inner, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		if v.kind == object {
			v.members = append(v.members, member{name, inner})
		} else {
			v.items = append(v.items, inner)
		}
	}
	_, err := p.dec.Token()
	return err
}

// get returns a member, or nil.
func (v *value) get(name string) *value {
	for i := range v.members {
		if strings.EqualFold(v.members[i].name, name) {
			return v.members[i].value
		}
	}
	return nil
}

// list returns the items of a member that is an array; ok is false if it is something else or not there.
func (v *value) list(name string) (items []*value, ok bool) {
	m := v.get(name)
	if m == nil || m.kind != array {
		return nil, false
	}
	return m.items, true
}

// str returns a member that is a string.
func (v *value) str(name string) (s string, ok bool) {
	m := v.get(name)
	if m == nil || m.kind != text {
		return "", false
	}
	return m.text, true
}

// optional returns a member that may be missing; ok is false if it is there and no string.
func (v *value) optional(name string) (s *string, ok bool) {
	m := v.get(name)
	switch {
	case m == nil:
		return nil, true
	case m.kind != text:
		return nil, false
	}
	return &m.text, true
}

// flag returns a member that may be missing; ok is false if it is there and is neither true nor false.
func (v *value) flag(name string, def bool) (on, ok bool) {
	m := v.get(name)
	switch {
	case m == nil:
		return def, true
	case m.kind != boolean:
		return def, false
	}
	return m.on, true
}

// integer returns a member, or def if it is missing or no number. Fractions are cut off, and what is too large for a C int counts as its largest.
func (v *value) integer(name string, def int) int {
	m := v.get(name)
	if m == nil || m.kind != number {
		return def
	}
	return int(max(math.MinInt32, min(math.MaxInt32, m.number)))
}

// maxPriority bounds priorities, which are cut to it.
const maxPriority = 100000

// priority returns the member of that name.
func (v *value) priority(def int) int {
	return max(-maxPriority, min(maxPriority, v.integer("priority", def)))
}

// maxName is the length of a name in bytes; MQTT has none longer.
const maxName = 65535

// validName reports whether a text may be a name or a topic: UTF-8 without what MQTT advises against [MQTT-1.5.4-1, 1.5.4].
func validName(s string) bool {
	if len(s) > maxName || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		switch {
		case r <= 0x1F, r >= 0x7F && r <= 0x9F, r >= 0xFDD0 && r <= 0xFDEF, r&0xFFFE == 0xFFFE:
			return false
		}
	}
	return true
}
