package mosqlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/mqtt"
)

// at is the time of the records of these tests.
var at = time.Date(2023, time.November, 4, 22, 3, 20, 0, time.UTC)

func logAt(h slog.Handler, level slog.Level, msg string, attrs ...slog.Attr) {
	r := slog.NewRecord(at, level, msg, 0)
	r.AddAttrs(attrs...)
	_ = h.Handle(context.Background(), r)
}

func TestHandlerWritesLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		log   config.Log
		level slog.Level
		msg   string
		attrs []slog.Attr
		want  string
	}{
		{"seconds by default", config.Log{Timestamp: true}, LevelNotice, "hello", nil, "1699135400: hello\n"},
		{
			"a format",
			config.Log{Timestamp: true, TimestampFormat: "%Y-%m-%dT%H:%M:%S"},
			LevelNotice, "hello", nil, "2023-11-04T22:03:20: hello\n",
		},
		{"no time", config.Log{}, LevelNotice, "hello", nil, "hello\n"},
		{"an error", config.Log{}, LevelError, "no", nil, "Error: no\n"},
		{"a warning", config.Log{}, LevelWarning, "hm", nil, "Warning: hm\n"},
		{
			"attributes",
			config.Log{},
			LevelInformation, "x",
			[]slog.Attr{slog.Int("n", 1), slog.Group("g", slog.String("s", "a\nb"))},
			"x n=\"1\" g.s=\"a\\nb\"\n",
		},
		{"a tab begins a list", config.Log{}, LevelDebug, "\ta/b (QoS 0)", nil, "\ta/b (QoS 0)\n"},
		{
			"no forged lines",
			config.Log{},
			LevelDebug, "id\n1700000000: forged\x1b[2J\u0085\xff\tü", nil,
			`id\x0a1700000000: forged\x1b[2J\x85\xff\x09ü` + "\n",
		},
		{
			"nothing that turns, hides or ends a line",
			config.Log{},
			LevelDebug, "a\u2028b\u2029c\u202ed\u2066e\u200ff\u200b\ufeff\u061c\U000e0041 日本　語 😀", nil,
			`a\u2028b\u2029c\u202ed\u2066e\u200ff\u200b\ufeff\u061c\U000e0041 日本　語 😀` + "\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			logAt(New(&out, test.log), test.level, test.msg, test.attrs...)
			if out.String() != test.want {
				t.Errorf("got %q, want %q", out.String(), test.want)
			}
		})
	}
}

func TestHandlerWritesWhatWithAddsAndGroupsName(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h := New(&out, config.Log{}).WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g").WithGroup("").
		WithAttrs([]slog.Attr{slog.Int("b", 2)})
	logAt(h, LevelInformation, "x", slog.Int("c", 3))
	if want := "x a=\"1\" g.b=\"2\" g.c=\"3\"\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestEachLogTypeEnablesItsLevelOnly(t *testing.T) {
	t.Parallel()
	levels := map[config.LogType]slog.Level{
		config.LogError: LevelError, config.LogWarning: LevelWarning, config.LogNotice: LevelNotice,
		config.LogInformation: LevelInformation, config.LogDebug: LevelDebug,
		config.LogSubscribe: LevelSubscribe, config.LogUnsubscribe: LevelUnsubscribe,
	}
	for chosen := range levels {
		h := New(&bytes.Buffer{}, config.Log{Types: chosen})
		for kind, level := range levels {
			if got := h.Enabled(context.Background(), level); got != (kind == chosen) {
				t.Errorf("types %b: level %v enabled: %v", chosen, level, got)
			}
		}
	}
}

func TestStrftimeFormatsAsC(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"%a %A %b %B %h":     "Sat Saturday Nov November Nov",
		"%c":                 "Sat Nov  4 22:03:20 2023",
		"%C %y %Y %G":        "20 23 2023 2023",
		"%d %e %j %u %w %V":  "04  4 308 6 6 44",
		"%D %F %x":           "11/04/23 2023-11-04 11/04/23",
		"%H %I %k %l %M %p":  "22 10 22 10 03 PM",
		"%r %R %T %X":        "10:03:20 PM 22:03 22:03:20 22:03:20",
		"%s %z %Z":           "1699135400 +0000 UTC",
		"%t|%%|%?|no %":      " |%|%?|no %",
		"2006 Jan is no %m ": "2006 Jan is no 11 ",
	} {
		if got := string(appendStrftime(nil, at, format)); got != want {
			t.Errorf("%q: got %q, want %q", format, got, want)
		}
	}
}

func TestMemoryOfLongLinesIsNotKept(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h := New(&out, config.Log{})
	logAt(h, LevelNotice, strings.Repeat("a", maxKept+1))
	if h.out.line != nil {
		t.Errorf("kept %d bytes", cap(h.out.line))
	}
	logAt(h, LevelNotice, "short")
	if !strings.HasSuffix(out.String(), "\nshort\n") {
		t.Errorf("got %q", out.String())
	}
}

func TestJSONHasOneObjectALineWithTheDetails(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(New(&out, config.Log{Types: config.LogAll, JSON: true})).With(slog.String("node", "a\"b")).WithGroup("g")
	NewObserver(log, true).Events(false).Refused(&broker.Client{ID: "x\xff", Username: "bob", RemoteAddr: remote}, mqtt.NotAuthorized)
	log.Warn("careful", slog.Int("n", 5))
	var got []map[string]string
	for line := range strings.Lines(out.String()) {
		var object map[string]string
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if _, err := time.Parse(time.RFC3339Nano, object["time"]); err != nil {
			t.Error(err)
		}
		delete(object, "time")
		got = append(got, object)
	}
	want := []map[string]string{
		{
			"level": "notice", "msg": "Client x\ufffd disconnected, not authorised.", "node": "a\"b",
			"g.client": "x\ufffd", "g.address": "127.0.0.1:5555", "g.user": "bob",
		},
		{"level": "warning", "msg": "careful", "node": "a\"b", "g.n": "5"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestASinkThatFailsDoesNotKeepTheLineFromOthers(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h := NewHandler(config.Log{Types: config.LogAll}, Lines(failing{}), Lines(&out))
	err := h.Handle(t.Context(), slog.NewRecord(time.Time{}, LevelNotice, "line", 0))
	if !errors.Is(err, io.ErrShortWrite) || out.String() != "line\n" {
		t.Errorf("got %q, %v", &out, err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
