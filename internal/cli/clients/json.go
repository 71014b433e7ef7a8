package clients

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/uniomq/unio/mqtt"
)

// jsonWriter writes JSON as Mosquitto's tools do: everything in one line, or with
// --pretty a line for each member, indented with tabs.
type jsonWriter struct {
	b      []byte
	pretty bool
	depth  int
	first  []bool // per depth: nothing was written yet
}

// open begins an object or an array.
func (w *jsonWriter) open(bracket byte) {
	w.b = append(w.b, bracket)
	w.depth++
	w.first = append(w.first, true)
}

// item begins an element of what is open.
func (w *jsonWriter) item(object bool) {
	top := len(w.first) - 1
	if !w.first[top] {
		w.b = append(w.b, ',')
		if w.pretty && !object {
			w.b = append(w.b, ' ')
		}
	}
	w.first[top] = false
	if w.pretty && object {
		w.line()
	}
}

// key begins a member of an object.
func (w *jsonWriter) key(name string) {
	w.item(true)
	w.string(name)
	w.b = append(w.b, ':')
	if w.pretty {
		w.b = append(w.b, '\t')
	}
}

// close ends an object or an array.
func (w *jsonWriter) close(bracket byte) {
	w.depth--
	w.first = w.first[:len(w.first)-1]
	if w.pretty && bracket == '}' {
		w.line()
	}
	w.b = append(w.b, bracket)
}

func (w *jsonWriter) line() {
	w.b = append(w.b, '\n')
	w.b = append(w.b, strings.Repeat("\t", w.depth)...)
}

// string writes a text. Bytes that are not UTF-8 are left as they are.
func (w *jsonWriter) string(s string) {
	w.b = append(w.b, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			w.b = append(w.b, '\\', c)
		case '\b':
			w.b = append(w.b, `\b`...)
		case '\f':
			w.b = append(w.b, `\f`...)
		case '\n':
			w.b = append(w.b, `\n`...)
		case '\r':
			w.b = append(w.b, `\r`...)
		case '\t':
			w.b = append(w.b, `\t`...)
		default:
			if c < ' ' {
				const digits = "0123456789abcdef"
				w.b = append(w.b, `\u00`...)
				w.b = append(w.b, digits[c>>4], digits[c&15])
			} else {
				w.b = append(w.b, c)
			}
		}
	}
	w.b = append(w.b, '"')
}

// number writes a number with the fewest of 15 or 17 digits that keep it.
func (w *jsonWriter) number(f float64) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		w.b = append(w.b, "null"...)
		return
	}
	const short, long = 15, 17
	text := strconv.FormatFloat(f, 'g', short, 64)
	if back, err := strconv.ParseFloat(text, 64); err != nil || back != f {
		text = strconv.FormatFloat(f, 'g', long, 64)
	}
	w.b = append(w.b, text...)
}

// member writes a member that is a text.
func (w *jsonWriter) member(name string, value []byte) {
	w.key(name)
	w.string(string(value))
}

// count writes a member that is a whole number.
func (w *jsonWriter) count(name string, n int64) {
	w.key(name)
	w.b = strconv.AppendInt(w.b, n, 10)
}

// json appends a message as JSON. With raw the payload is JSON itself; if it is not,
// that is reported and nothing appended.
func (pr *printer) json(b []byte, m message, raw bool) []byte {
	w := &jsonWriter{pretty: pr.cfg.pretty}
	w.open('{')
	w.member("tst", m.at.AppendFormat(nil, "2006-01-02T15:04:05.000000-0700"))
	w.member("topic", m.Topic)
	w.count("qos", int64(m.QoS))
	w.count("retain", int64(number(m.Retain)))
	w.count("payloadlen", int64(len(m.Payload)))
	if m.QoS > 0 {
		w.count("mid", int64(m.PacketID))
	}
	if !m.Properties.Empty() {
		w.key("properties")
		w.properties(&m.Properties)
	}
	w.key("payload")
	switch {
	case len(m.Payload) == 0:
		w.b = append(w.b, "null"...)
	case raw:
		if err := w.copy(m.Payload); err != nil {
			pr.out.errorf("Error: Message payload is not valid JSON on topic %s.\n", m.Topic)
			return b
		}
	default:
		w.string(string(m.Payload))
	}
	w.close('}')
	return append(b, w.b...)
}

// properties writes the properties of a message, those of the same kind together.
func (w *jsonWriter) properties(p *mqtt.Properties) {
	w.open('{')
	if p.Has(mqtt.PropPayloadFormat) {
		w.count("payload-format-indicator", int64(p.PayloadFormat))
	}
	if p.Has(mqtt.PropMessageExpiry) {
		w.count("message-expiry-interval", int64(p.MessageExpiry))
	}
	if p.Has(mqtt.PropContentType) {
		w.member("content-type", p.ContentType)
	}
	if p.Has(mqtt.PropResponseTopic) {
		w.member("response-topic", p.ResponseTopic)
	}
	if p.Has(mqtt.PropCorrelationData) {
		w.member("correlation-data", p.CorrelationData)
	}
	for _, id := range p.SubscriptionIDs {
		w.count("subscription-identifier", int64(id))
	}
	if p.Has(mqtt.PropTopicAlias) {
		w.count("topic-alias", int64(p.TopicAlias))
	}
	if len(p.User) > 0 {
		w.key("user-properties")
		w.open('{')
		for _, u := range p.User {
			w.member(string(u.Name), u.Value)
		}
		w.close('}')
	}
	w.close('}')
}

// deepest bounds how deep a payload's JSON may be nested.
const deepest = 1000

var errJSON = errors.New("not JSON")

// copy writes a JSON text again, in the order that it has.
func (w *jsonWriter) copy(payload []byte) error {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if err := w.value(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errJSON
	}
	return nil
}

func (w *jsonWriter) value(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if depth > deepest {
		return errJSON
	}
	switch t := t.(type) {
	case json.Delim:
		return w.container(d, t, depth)
	case string:
		w.string(t)
	case json.Number:
		f, _ := t.Float64() // beyond its range it is infinite
		w.number(f)
	case bool:
		w.b = strconv.AppendBool(w.b, t)
	default:
		w.b = append(w.b, "null"...)
	}
	return nil
}

// container writes an object or an array whose bracket was read.
func (w *jsonWriter) container(d *json.Decoder, bracket json.Delim, depth int) error {
	object := bracket == '{'
	w.open(byte(bracket))
	for d.More() {
		if object {
			name, err := d.Token()
			if err != nil {
				return err
			}
			w.key(name.(string)) // the decoder lets nothing else pass
		} else {
			w.item(false)
		}
		if err := w.value(d, depth+1); err != nil {
			return err
		}
	}
	end, err := d.Token()
	if err != nil {
		return err
	}
	w.close(byte(end.(json.Delim)))
	return nil
}
