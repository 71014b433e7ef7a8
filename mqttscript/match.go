package mqttscript

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/uniomq/unio/mqtt"
)

// received is a packet that came, decoded; err is set if it could not be.
type received struct {
	spec   *packetSpec
	fields []fieldValue
	frame  []byte
	err    error
}

func newReceived(v mqtt.Version, frame []byte) received {
	spec, fields, err := decode(v, frame)
	return received{spec, fields, frame, err}
}

// String returns the packet as a script would write it, or its bytes if it is not
// a valid packet.
func (r received) String() string {
	if r.err != nil {
		const shown = 64
		if len(r.frame) > shown {
			return fmt.Sprintf("RAW %x... (%d bytes, invalid: %v)", r.frame[:shown], len(r.frame), r.err)
		}
		return fmt.Sprintf("RAW %x (invalid: %v)", r.frame, r.err)
	}
	return formatPacket(r.spec, r.fields)
}

// compare returns how the packet differs from what a line expects, "" if it does
// not. It captures into vars only if the packet matches.
func compare(line *packetLine, got received, v mqtt.Version, vars map[string]value) string {
	if got.err != nil {
		return "an invalid packet"
	}
	if got.spec != line.spec {
		return "another packet"
	}
	// Captures of a line that fails further on must not stay.
	tried := maps.Clone(vars)
	var diffs []string
	for _, f := range line.spec.fields {
		if d := compareField(line, f, valuesOf(got.fields, f.name), v, tried); d != "" {
			diffs = append(diffs, d)
		}
	}
	if len(diffs) > 0 {
		return strings.Join(diffs, "; ")
	}
	maps.Copy(vars, tried)
	return ""
}

func valuesOf(fields []fieldValue, name string) []value {
	var out []value
	for _, f := range fields {
		if f.name == name {
			out = append(out, f.val)
		}
	}
	return out
}

// compareField compares all values of one field.
func compareField(line *packetLine, f *fieldSpec, got []value, v mqtt.Version, vars map[string]value) string {
	if !f.appliesTo(v) {
		return ""
	}
	var want []pattern
	for _, fl := range line.fields {
		if fl.spec.name == f.name {
			want = append(want, fl.pattern)
		}
	}
	if len(want) == 0 {
		return compareUnnamed(line, f, got)
	}
	same := len(want) == len(got)
	for i := 0; same && i < len(want); i++ {
		same = want[i].match(got[i], vars)
	}
	if same {
		return ""
	}
	return fmt.Sprintf("%s: want %s, got %s", f.name, formatPatterns(want, vars), formatValues(f, got))
}

// compareUnnamed holds a field that the line does not name against its absence:
// a property must not be there, a part of the packet must be 0 or empty. "..."
// lifts that, except that a reason code that is not named must be 0.
func compareUnnamed(line *packetLine, f *fieldSpec, got []value) string {
	if line.relaxed && f.name != "rc" {
		return ""
	}
	notZero := func(v value) bool { return f.property != nil || !v.isZero() }
	if !slices.ContainsFunc(got, notZero) {
		return ""
	}
	return fmt.Sprintf("%s=%s is not in the script", f.name, formatValues(f, got))
}

func formatPatterns(patterns []pattern, vars map[string]value) string {
	parts := make([]string, len(patterns))
	for i, p := range patterns {
		parts[i] = p.source
		if v, ok := vars[p.capture]; ok && p.capture != "" {
			kind := kindNumber
			if v.text {
				kind = kindBlob
			}
			parts[i] += " (" + formatValue(&fieldSpec{kind: kind}, v) + ")"
		}
	}
	return strings.Join(parts, ", ")
}

func formatValues(f *fieldSpec, values []value) string {
	if len(values) == 0 {
		return "none"
	}
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = formatValue(f, v)
	}
	return strings.Join(parts, ", ")
}
