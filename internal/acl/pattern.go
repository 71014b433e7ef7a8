package acl

import (
	"strings"

	"github.com/uniomq/unio/broker"
)

// The parts of a pattern that stand for something of the client.
const (
	userMark   = "%u"
	clientMark = "%c"
)

// A part is a piece of one level of a pattern: text, or one of the marks.
type part struct {
	text string // for a mark, the mark
	mark bool
}

// split takes a level of a pattern apart.
func split(level string) (parts []part, marks bool) {
	for level != "" {
		at, mark := nextMark(level)
		if at > 0 {
			parts = append(parts, part{text: level[:at]})
		}
		if mark != "" {
			parts = append(parts, part{text: mark, mark: true})
			marks = true
		}
		level = level[at+len(mark):]
	}
	return parts, marks
}

// nextMark returns where the first mark is, and which; len(s) and "" if there is none.
func nextMark(s string) (at int, mark string) {
	for i := 0; i+1 < len(s); i++ {
		if m := s[i : i+2]; m == userMark || m == clientMark {
			return i, m
		}
	}
	return len(s), ""
}

// partial reports whether a mark of the filter is not a level by itself.
func partial(filter string) bool {
	for level := range strings.SplitSeq(filter, "/") {
		if parts, marks := split(level); marks && len(parts) > 1 {
			return true
		}
	}
	return false
}

// value returns what a mark stands for. An empty user name or client id stands for
// nothing: then the pattern matches nothing.
func value(mark string, c *broker.Client) string {
	if mark == clientMark {
		return c.ID
	}
	return c.Username
}

// consume compares a level of a pattern with name from pos on, and returns where that
// ended: at a slash or the end of name. A value with slashes takes several levels; spans
// says so.
func consume(parts []part, c *broker.Client, name []byte, pos int) (end int, spans, ok bool) {
	for _, p := range parts {
		text := p.text
		if p.mark {
			if text = value(p.text, c); text == "" {
				return 0, false, false
			}
			spans = spans || strings.IndexByte(text, '/') >= 0
		}
		if len(name)-pos < len(text) || string(name[pos:pos+len(text)]) != text {
			return 0, false, false
		}
		pos += len(text)
	}
	return pos, spans, pos == len(name) || name[pos] == '/'
}

// dangerous reports whether the client's user name or id has a wildcard in it. As in
// Mosquitto, no pattern then grants anything: it might be read as a filter.
func dangerous(c *broker.Client) bool { return wild(c.Username) || wild(c.ID) }

func wild(s string) bool { return strings.IndexByte(s, '+') >= 0 || strings.IndexByte(s, '#') >= 0 }
