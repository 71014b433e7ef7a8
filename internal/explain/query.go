package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// queryVersions are what a query calls the versions of MQTT.
var queryVersions = map[string]mqtt.Version{"3.1": mqtt.V31, "3.1.1": mqtt.V311, "5": mqtt.V5}

// texts are the fields of a question by what a query calls them, as the flags of unio explain.
func (q *Question) texts() map[string]*string {
	return map[string]*string{
		"action": &q.Action, "topic": &q.Topic, "client": &q.ClientID, "address": &q.Address, "listener": &q.Listener,
		"cn": &q.CommonName, "subject": &q.Subject, "fingerprint": &q.SHA256, "psk": &q.PSK,
	}
}

func (q *Question) switches() map[string]*bool {
	return map[string]*bool{"tls": &q.TLS, "clean-start": &q.CleanStart, "has-will": &q.HasWill, "retain": &q.Retain, "dup": &q.Dup}
}

// Query returns the question as the query of the HTTP API's /api/v1/explain.
func (q Question) Query() url.Values {
	v := url.Values{}
	for name, text := range q.texts() {
		if *text != "" {
			v.Set(name, *text)
		}
	}
	for name, on := range q.switches() {
		if *on {
			v.Set(name, "true")
		}
	}
	if !q.Anonymous {
		v.Set("user", q.Username)
	}
	if q.QoS > 0 {
		v.Set("qos", strconv.Itoa(int(q.QoS)))
	}
	if q.Size > 0 {
		v.Set("size", strconv.Itoa(q.Size))
	}
	for name, version := range queryVersions {
		if version == q.Version {
			v.Set("mqtt-version", name)
		}
	}
	for _, name := range q.Names {
		v.Add("san", name)
	}
	for name, values := range q.Attributes {
		for _, value := range values {
			v.Add("attribute", name+"="+value)
		}
	}
	return v
}

// ParseQuestion reads a query that Query could have made, or somebody else has written: "group" and "role" stand for attributes, too.
func ParseQuestion(query url.Values) (Question, error) {
	q := Question{Anonymous: true, Version: mqtt.V5}
	texts, switches := q.texts(), q.switches()
	for name, values := range query {
		last := values[len(values)-1]
		var err error
		switch text, on := texts[name], switches[name]; {
		case text != nil:
			*text = last
		case on != nil:
			if *on, err = strconv.ParseBool(last); err != nil {
				err = fmt.Errorf("expected true or false for %s, not %q", name, last)
			}
		case name == "user":
			q.Username, q.Anonymous = last, false
		case name == "san":
			q.Names = values
		case name == broker.AttributeGroup, name == broker.AttributeRole:
			q.addAttributes(name, values...)
		default:
			err = q.parseOther(name, values)
		}
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

func (q *Question) parseOther(name string, values []string) error {
	last := values[len(values)-1]
	switch name {
	case "attribute":
		for _, a := range values {
			attribute, value, ok := strings.Cut(a, "=")
			if !ok || attribute == "" {
				return fmt.Errorf("expected attribute to be NAME=VALUE, not %q", a)
			}
			q.addAttributes(attribute, value)
		}
	case "qos":
		n, err := strconv.ParseUint(last, 10, 8)
		if err != nil || n > 2 {
			return fmt.Errorf("expected 0, 1 or 2 for qos, not %q", last)
		}
		q.QoS = byte(n)
	case "size":
		n, err := strconv.ParseUint(last, 10, 31)
		if err != nil {
			return fmt.Errorf("expected a number of bytes for size, not %q", last)
		}
		q.Size = int(n)
	case "mqtt-version":
		version, ok := queryVersions[last]
		if !ok {
			return fmt.Errorf("expected 3.1, 3.1.1 or 5 for mqtt-version, not %q", last)
		}
		q.Version = version
	default:
		return fmt.Errorf("expected the flags of unio explain as parameters, not %q", name)
	}
	return nil
}

func (q *Question) addAttributes(name string, values ...string) {
	if q.Attributes == nil {
		q.Attributes = map[string][]string{}
	}
	q.Attributes[name] = append(q.Attributes[name], values...)
}

// WriteJSON writes the answer as JSON, as unio explain --json and the HTTP API do.
func (a *Answer) WriteJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(a)
}
