package mqttscript

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// Script is one parsed .mqtt file. It is not changed by running, so that one
// Script may run several times, also at once.
type Script struct {
	Name     string         // as given to Parse, usually the path
	Spec     []Statement    // the normative statements that it exercises
	Versions []mqtt.Version // the versions that it is valid for, ascending
	Needs    []string       // what the target must offer beyond a connection

	source []string // the lines as written
	steps  []step
}

// Statement names a normative statement of a specification: Statement{mqtt.V5,
// "3.3.2-5"} is [MQTT-3.3.2-5] of MQTT 5.0.
type Statement struct {
	Version mqtt.Version
	ID      string
}

// String returns the statement as in "5: 3.3.2-5".
func (s Statement) String() string { return VersionName(s.Version) + ": " + s.ID }

// Error is a mistake in a script.
type Error struct {
	Name string
	Line int // counted from 1
	Text string
}

// Error returns the mistake as "file:line: text".
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.Text) }

// allVersions are the versions that a script without a versions line runs for.
var allVersions = []mqtt.Version{mqtt.V31, mqtt.V311, mqtt.V5}

// For reports whether the script is valid for a version.
func (s *Script) For(v mqtt.Version) bool { return slices.Contains(s.Versions, v) }

// Waits returns the sum of the script's wait lines.
func (s *Script) Waits() time.Duration {
	var sum time.Duration
	for _, st := range s.steps {
		sum += st.wait
	}
	return sum
}

// stepKind says what a line does.
type stepKind uint8

const (
	stepSend stepKind = iota
	stepSendRaw
	stepReceive
	stepReceiveRaw
	stepEOF
	stepClose
	stepQuiet
	stepWait
	stepUnordered
	stepBroker
)

// step is one executable line, or an unordered block of them.
type step struct {
	line    int // counted from 1
	kind    stepKind
	clients []string      // one; several are a choice, or for quiet a list
	packet  *packetLine   // stepSend, stepReceive
	raw     []byte        // stepSendRaw, stepReceiveRaw
	wait    time.Duration // stepWait
	words   []string      // stepBroker: the words after "broker"
	group   []step        // stepUnordered: stepReceive only
}

// packetLine is a packet as a script describes it.
type packetLine struct {
	spec    *packetSpec
	fields  []fieldLine
	relaxed bool // the line ends in "..."
}

// fieldLine is one field of a packetLine.
type fieldLine struct {
	spec    *fieldSpec
	pattern pattern
}

// named reports whether the line names a field.
func (l *packetLine) named(name string) bool {
	return slices.ContainsFunc(l.fields, func(f fieldLine) bool { return f.spec.name == name })
}

var versionNames = map[mqtt.Version]string{mqtt.V31: "3.1", mqtt.V311: "3.1.1", mqtt.V5: "5"}

// VersionName returns a protocol version as scripts write it: 3.1, 3.1.1 or 5.
func VersionName(v mqtt.Version) string {
	if name, ok := versionNames[v]; ok {
		return name
	}
	return fmt.Sprintf("version(%d)", v)
}

// ParseVersion reads a protocol version as scripts write it: 3.1, 3.1.1, 5 (or
// 5.0), and 3 for 3.1 together with 3.1.1.
func ParseVersion(s string) ([]mqtt.Version, error) {
	switch s {
	case "3.1":
		return []mqtt.Version{mqtt.V31}, nil
	case "3.1.1":
		return []mqtt.Version{mqtt.V311}, nil
	case "3":
		return []mqtt.Version{mqtt.V31, mqtt.V311}, nil
	case "5", "5.0":
		return []mqtt.Version{mqtt.V5}, nil
	}
	return nil, fmt.Errorf("unknown version %q: 3.1, 3.1.1 or 5 expected", s)
}

// joinVersions lists versions for a reader.
func joinVersions(vs []mqtt.Version) string {
	names := make([]string, len(vs))
	for i, v := range vs {
		names[i] = VersionName(v)
	}
	return strings.Join(names, ", ")
}
