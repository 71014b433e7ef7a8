// Package mosqlog writes log lines as Mosquitto does, so that what reads the log of
// an existing installation reads Unio's as well:
//
//	1700000000: New client connected from 127.0.0.1:5555 as sensor (p5, c0, k42, u'bob').
//
// [Handler] is a slog.Handler: it chooses by log type, formats the time and writes
// one line per record, of text or of JSON, to each [Sink]. An [Observer] makes the lines
// that report what the engine does. The package opens no files and starts no goroutines.
package mosqlog

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/config"
)

// The levels of records, by the log types of Mosquitto. Those that slog has, too, are
// slog's.
const (
	LevelDebug       = slog.LevelDebug
	LevelSubscribe   = slog.Level(-2)
	LevelUnsubscribe = slog.Level(-1)
	LevelInformation = slog.LevelInfo
	LevelNotice      = slog.Level(2)
	LevelWarning     = slog.LevelWarn
	LevelError       = slog.LevelError
)

// logType returns the log type of a level.
func logType(level slog.Level) config.LogType {
	switch {
	case level >= LevelError:
		return config.LogError
	case level >= LevelWarning:
		return config.LogWarning
	case level >= LevelNotice:
		return config.LogNotice
	case level >= LevelInformation:
		return config.LogInformation
	case level == LevelUnsubscribe:
		return config.LogUnsubscribe
	case level == LevelSubscribe:
		return config.LogSubscribe
	}
	return config.LogDebug
}

// Handler writes records as lines. It is safe for use by several goroutines; each
// line goes to one sink after the other.
type Handler struct {
	out    *output
	attrs  []byte // of WithAttrs, as text writes them
	fields []byte // the same, as json writes them
	prefix string // of WithGroup, before the keys of attributes
}

// A Sink takes lines, which end in a newline and are valid during the call. Calls do
// not overlap.
type Sink interface {
	WriteLine(level slog.Level, line []byte) error
}

// Lines returns the sink that writes each line to w, whatever its level.
func Lines(w io.Writer) Sink { return lines{w} }

type lines struct{ w io.Writer }

func (l lines) WriteLine(_ slog.Level, line []byte) error {
	_, err := l.w.Write(line)
	return err
}

// output is what all Handlers that come from one share.
type output struct {
	state atomic.Pointer[state] // replaced by Set, with mu held

	mu   sync.Mutex // held while a line is made and written
	line []byte     // the memory of the last line
}

// state is what chooses, forms and takes lines.
type state struct {
	log   config.Log
	sinks []Sink
}

var _ slog.Handler = (*Handler)(nil)

// New returns a handler that writes to w what log chooses, in the form that it asks
// for; the destinations in log are not used.
func New(w io.Writer, log config.Log) *Handler { return NewHandler(log, Lines(w)) }

// NewHandler is New for several sinks.
func NewHandler(log config.Log, sinks ...Sink) *Handler {
	h := &Handler{out: &output{}}
	h.Set(log, sinks...)
	return h
}

// Set replaces what NewHandler was given, also for the handlers that were made of h.
// When it returns, the former sinks are not in use any more.
func (h *Handler) Set(log config.Log, sinks ...Sink) {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.state.Store(&state{log, sinks})
}

// Enabled reports whether the log type of a level is chosen, and anything takes it.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	s := h.out.state.Load()
	return len(s.sinks) > 0 && s.log.Types&logType(level) != 0
}

// Handle writes one line: the time, the message, the attributes. Errors and warnings
// say that they are; control characters, which a client could send to forge
// lines, are escaped. That one sink fails does not keep the line from the others.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	s := h.out.state.Load()
	line := h.out.line[:0]
	if s.log.JSON {
		line = h.appendObject(line, r)
	} else {
		line = h.appendText(line, s.log, r)
	}
	line = append(line, '\n')
	h.out.line = line
	if cap(line) > maxKept {
		h.out.line = nil
	}
	var errs []error
	for _, sink := range s.sinks {
		if err := sink.WriteLine(r.Level, line); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// appendText appends a record as Mosquitto writes it.
func (h *Handler) appendText(line []byte, log config.Log, r slog.Record) []byte {
	if log.Timestamp && !r.Time.IsZero() {
		line = appendTime(line, r.Time, log.TimestampFormat)
		line = append(line, ": "...)
	}
	switch {
	case r.Level >= LevelError:
		line = append(line, "Error: "...)
	case r.Level >= LevelWarning:
		line = append(line, "Warning: "...)
	}
	line = appendMessage(line, r.Message)
	line = append(line, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		line = appendAttr(line, h.prefix, a)
		return true
	})
	return line
}

// maxKept is the longest line whose memory is used again.
const maxKept = 64 << 10

// WithAttrs returns a handler that writes the attributes in each line.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs, with.fields = slices.Clip(h.attrs), slices.Clip(h.fields)
	for _, a := range attrs {
		with.attrs = appendAttr(with.attrs, h.prefix, a)
		with.fields = appendField(with.fields, h.prefix, a)
	}
	return &with
}

// WithGroup returns a handler that writes the name before the keys of attributes.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.prefix += name + "."
	return &with
}

// appendTime appends the time in a format of strftime(3), or as seconds since 1970.
func appendTime(line []byte, t time.Time, format string) []byte {
	if format == "" {
		return strconv.AppendInt(line, t.Unix(), 10)
	}
	return appendStrftime(line, t, format)
}

// appendAttr appends " key=value", and each attribute of a group so.
func appendAttr(line []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, in := range v.Group() {
			line = appendAttr(line, prefix, in)
		}
		return line
	}
	if _, hidden := v.Any().(detail); hidden || a.Equal(slog.Attr{}) {
		return line
	}
	line = append(line, ' ')
	line = appendClean(line, prefix+a.Key)
	line = append(line, '=')
	return strconv.AppendQuote(line, v.String())
}
