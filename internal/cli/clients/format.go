package clients

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// format is what -F says, in pieces that are printed one after the other.
type format struct{ pieces []piece }

// piece is a literal text, or a conversion: % and a letter, or @ and a letter.
type piece struct {
	literal string
	verb    byte // 0: literal
	time    bool // verb is one of strftime(3)
	zero    bool // pad with zeros
	left    bool
	width   int
	most    int // -1: no maximum
}

// escapes are the letters behind a backslash.
var escapes = map[byte]string{
	'\\': "\\", '0': "\x00", 'a': "\a", 'e': "\x1b", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
}

// widest bounds a width, which is memory for each message.
const widest = 10_000

// parseFormat reads a format.
func parseFormat(s string) (*format, error) {
	f := &format{}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '%':
			p, n, err := parseConversion(s[i+1:])
			if err != nil {
				return nil, err
			}
			f.pieces = append(f.pieces, p)
			i += n
		case '@':
			if i++; i == len(s) {
				return nil, badUsage("Incomplete format specifier.")
			}
			if s[i] == '@' {
				f.literal("@")
			} else {
				f.pieces = append(f.pieces, piece{verb: s[i], time: true})
			}
		case '\\':
			if i++; i == len(s) {
				return nil, badUsage("Incomplete escape specifier.")
			}
			text, ok := escapes[s[i]]
			if !ok {
				return nil, badUsage("Invalid escape specifier '%c'.", s[i])
			}
			f.literal(text)
		default:
			f.literal(s[i : i+1])
		}
	}
	return f, nil
}

// literal appends a text.
func (f *format) literal(s string) {
	if n := len(f.pieces); n > 0 && f.pieces[n-1].verb == 0 {
		f.pieces[n-1].literal += s
		return
	}
	f.pieces = append(f.pieces, piece{literal: s})
}

// parseConversion reads what follows a %: flags, width, .maximum and a letter. It
// returns the number of bytes read.
func parseConversion(s string) (piece, int, error) {
	p := piece{most: -1}
	i := 0
	for ; i < len(s) && (s[i] == '0' || s[i] == '-'); i++ {
		p.zero = p.zero || s[i] == '0'
		p.left = p.left || s[i] == '-'
	}
	p.zero = p.zero && !p.left
	p.width, i = parseWidth(s, i)
	if i < len(s) && s[i] == '.' {
		p.most, i = parseWidth(s, i+1)
	}
	if i == len(s) {
		return p, i, badUsage("Incomplete format specifier.")
	}
	p.verb = s[i]
	if !strings.ContainsRune("%ACDEFIjJlmpPqrRStUxX", rune(p.verb)) {
		return p, i, badUsage("Invalid format specifier '%c'.", p.verb)
	}
	return p, i + 1, nil
}

func parseWidth(s string, i int) (n, next int) {
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		n = min(10*n+int(s[i]-'0'), widest)
	}
	return n, i
}

// message is a received message and when that was.
type message struct {
	*mqtt.Publish
	at time.Time
}

// printer prints messages as the options say.
type printer struct {
	cfg *clientConfig
	out *output
}

// print prints a message.
func (pr *printer) print(m message) {
	var b []byte
	switch {
	case pr.cfg.format != nil:
		b = pr.cfg.format.append(b, m, pr)
	case pr.cfg.verbose && len(m.Payload) == 0:
		b = fmt.Appendf(b, "%s (null)", m.Topic)
	case pr.cfg.verbose:
		b = append(append(append(b, m.Topic...), ' '), m.Payload...)
	default:
		b = append(b, m.Payload...)
	}
	// Without a format, nothing at all is printed for an empty payload.
	if !pr.cfg.noNewline && (len(m.Payload) > 0 || pr.cfg.verbose || pr.cfg.format != nil) {
		b = append(b, '\n')
	}
	pr.out.write(b)
}

// append appends a message in the format.
func (f *format) append(b []byte, m message, pr *printer) []byte {
	for i := range f.pieces {
		switch p := &f.pieces[i]; {
		case p.verb == 0:
			b = append(b, p.literal...)
		case p.time:
			b = appendTime(b, p.verb, m.at)
		default:
			b = p.append(b, m, pr)
		}
	}
	return b
}

// append appends one conversion.
func (p *piece) append(b []byte, m message, pr *printer) []byte {
	props := &m.Properties
	switch p.verb {
	case '%':
		return append(b, '%')
	case 'A':
		return p.number(b, props, mqtt.PropTopicAlias, uint32(props.TopicAlias))
	case 'C':
		return p.text(b, props.ContentType)
	case 'D':
		return append(b, props.CorrelationData...)
	case 'E':
		return p.number(b, props, mqtt.PropMessageExpiry, props.MessageExpiry)
	case 'F':
		return p.number(b, props, mqtt.PropPayloadFormat, uint32(props.PayloadFormat))
	case 'I':
		return p.text(b, m.at.AppendFormat(nil, "2006-01-02T15:04:05-0700"))
	case 'j', 'J':
		return pr.json(b, m, p.verb == 'J')
	case 'l':
		return p.pad(b, strconv.AppendInt(nil, int64(len(m.Payload)), 10), p.zero)
	case 'm':
		return p.pad(b, strconv.AppendUint(nil, uint64(m.PacketID), 10), p.zero)
	case 'P':
		for i, u := range props.User {
			if i > 0 {
				b = append(b, ' ')
			}
			b = append(append(append(b, u.Name...), ':'), u.Value...)
		}
		return b
	case 'q':
		return append(b, '0'+m.QoS)
	case 'r':
		return append(b, byte('0'+number(m.Retain)))
	case 'R': // nothing at all, not even blanks, without the property
		if props.Has(mqtt.PropResponseTopic) {
			return p.text(b, props.ResponseTopic)
		}
		return b
	case 'S':
		var first uint32
		if len(props.SubscriptionIDs) > 0 {
			first = props.SubscriptionIDs[0]
		}
		return p.number(b, props, mqtt.PropSubscriptionID, first)
	case 't':
		return p.text(b, m.Topic)
	case 'U':
		return fmt.Appendf(b, "%d.%09d", m.at.Unix(), m.at.Nanosecond())
	default: // p, x, X
		return p.payload(b, m.Payload)
	}
}

// number appends a number, or as many blanks or zeros where the property is absent.
func (p *piece) number(b []byte, props *mqtt.Properties, id mqtt.PropertyID, n uint32) []byte {
	var digits []byte
	if props.Has(id) {
		digits = strconv.AppendUint(nil, uint64(n), 10)
	}
	return p.pad(b, digits, p.zero)
}

// text appends a text, cut to the maximum width. It is never padded with zeros.
func (p *piece) text(b, s []byte) []byte {
	if p.most >= 0 && len(s) > p.most {
		s = s[:p.most]
	}
	return p.pad(b, s, false)
}

// payload appends the payload, or its hexadecimal form. As in Mosquitto, a width is
// also the maximum, and counts the bytes of the payload before it halves them for the
// hexadecimal form.
func (p *piece) payload(b, payload []byte) []byte {
	if p.width > 0 {
		payload = payload[:min(len(payload), p.width)]
		if p.verb != 'p' {
			payload = payload[:len(payload)/2]
		}
	}
	switch p.verb {
	case 'x':
		payload = hex.AppendEncode(nil, payload)
	case 'X':
		payload = []byte(strings.ToUpper(hex.EncodeToString(payload)))
	}
	return p.pad(b, payload, p.zero)
}

// pad appends s with blanks or zeros up to the width.
func (p *piece) pad(b, s []byte, zero bool) []byte {
	filler := " "
	if zero {
		filler = "0"
	}
	padding := strings.Repeat(filler, max(0, p.width-len(s)))
	if p.left {
		return append(append(b, s...), padding...)
	}
	return append(append(b, padding...), s...)
}
