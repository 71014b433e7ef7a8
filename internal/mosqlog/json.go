package mosqlog

import (
	"encoding/json"
	"log/slog"
	"time"
)

// detail is the value of an attribute that text leaves out, because its line says it
// already in words.
type detail string

// levelName returns a level's name in JSON, which is that of log_type.
func levelName(level slog.Level) string {
	switch {
	case level >= LevelError:
		return "error"
	case level >= LevelWarning:
		return "warning"
	case level >= LevelNotice:
		return "notice"
	case level >= LevelInformation:
		return "information"
	case level == LevelUnsubscribe:
		return "unsubscribe"
	case level == LevelSubscribe:
		return "subscribe"
	}
	return "debug"
}

// appendObject appends a record as one JSON object. Its attributes are strings.
func (h *Handler) appendObject(line []byte, r slog.Record) []byte {
	line = append(line, '{')
	if !r.Time.IsZero() {
		line = append(line, `"time":"`...)
		line = r.Time.AppendFormat(line, time.RFC3339Nano)
		line = append(line, `",`...)
	}
	line = append(line, `"level":"`...)
	line = append(line, levelName(r.Level)...)
	line = append(line, `","msg":`...)
	line = appendString(line, r.Message)
	line = append(line, h.fields...)
	r.Attrs(func(a slog.Attr) bool {
		line = appendField(line, h.prefix, a)
		return true
	})
	return append(line, '}')
}

// appendField appends `,"key":"value"`, and each attribute of a group so.
func appendField(line []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, in := range v.Group() {
			line = appendField(line, prefix, in)
		}
		return line
	}
	if a.Equal(slog.Attr{}) {
		return line
	}
	line = append(line, ',')
	line = appendString(line, prefix+a.Key)
	line = append(line, ':')
	return appendString(line, v.String())
}

// appendString appends a JSON string. What is not UTF-8 becomes U+FFFD.
func appendString(line []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		return append(line, `""`...) // a string has no reason to fail
	}
	return append(line, text...)
}
