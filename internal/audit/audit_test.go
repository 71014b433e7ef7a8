package audit

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// events reads the events of a file.
func events(t *testing.T, l *Log, path string) []map[string]any {
	t.Helper()
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for line := range strings.Lines(string(text)) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(path, func(err error) { t.Errorf("told %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestEventsAreLinesOfJSON(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit")
		l := open(t, path)
		l.Write("login_failed", slog.String("long", strings.Repeat("ä", 1000)), slog.String("user", "joe\n\x01\""), slog.String("client", ""), slog.Int("attempts", 3))
		got := events(t, l, path)
		if len(got) != 1 || got[0]["event"] != "login_failed" || got[0]["user"] != "joe\n\x01\"" || got[0]["attempts"] != 3.0 || got[0]["time"] != "2000-01-01T00:00:00Z" || len(got[0]) != 5 || len(got[0]["long"].(string)) > maxText+3 {
			t.Errorf("events %v", got)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})
}

func TestReopenFollowsARotatedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	l := open(t, path)
	l.Write("a")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Write("b")
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Write("c")
	if before, after := events(t, l, path+".1"), events(t, l, path); len(before) != 2 || len(after) != 1 || after[0]["event"] != "c" {
		t.Errorf("before %v, after %v", before, after)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err == nil {
		t.Error("a folder is opened as a log")
	}
	l.Write("d") // where it went
}

func TestAFloodIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit")
		l := open(t, path)
		for i := range maxEvents + 7 {
			l.Write("x", slog.Int("client", i))
		}
		time.Sleep(time.Second)
		l.Write("last")
		got := events(t, l, path)
		if len(got) != maxEvents+1 || got[maxEvents]["event"] != "last" || got[maxEvents]["events_left_out"] != 7.0 {
			t.Errorf("%d events, the last is %v", len(got), got[len(got)-1])
		}
	})
}

// TestOneClientDoesNotHideAnother has a client that is denied more than the log takes in a second.
func TestOneClientDoesNotHideAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit")
		l := open(t, path)
		for range 700 {
			l.Write("denied", slog.String("client", "loud"), slog.String("address", "192.0.2.1:1"))
		}
		l.Write("denied", slog.String("client", "quiet"), slog.String("address", "192.0.2.1:2"))
		l.Write("revoked", slog.String("client", "loud"))
		for i := range 700 {
			l.Write("login_failed", slog.String("client", ""), slog.String("address", fmt.Sprint("192.0.2.1:", i)))
		}
		got := events(t, l, path)
		if len(got) != 2*maxEach+2 || got[maxEach]["client"] != "quiet" || got[maxEach]["events_left_out"] != 640.0 || got[maxEach+1]["event"] != "revoked" {
			t.Errorf("%d events; after the loud client's came %v", len(got), got[min(maxEach, len(got)):])
		}
	})
}

func TestNoLogTakesEvents(t *testing.T) {
	t.Parallel()
	var l *Log
	l.Write("x")
	if err := l.Reopen(); err != nil || l.Path() != "" || l.GiveTo(0, 0) != nil || l.Close() != nil {
		t.Error("a nil log does something")
	}
	closed := open(t, filepath.Join(t.TempDir(), "audit"))
	_ = closed.Close()
	closed.Write("x")
	if err := closed.Close(); err != nil {
		t.Error(err)
	}
}

// asked counts how often it is asked for its value.
type asked struct{ times *int }

func (a asked) LogValue() slog.Value {
	*a.times++
	return slog.StringValue(strings.Repeat("x", 2*maxText))
}

func TestWhatIsNotWrittenIsNotAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit")
		l := open(t, path)
		times := 0
		for range 700 {
			l.Write("denied", slog.String("client", "loud"), slog.Any("reason", asked{&times}))
		}
		got := events(t, l, path)
		if times != maxEach || len(got) != maxEach || len(got[0]["reason"].(string)) != maxText+3 {
			t.Errorf("asked %d times for %d events", times, len(got))
		}
	})
}

func TestAClosedLogIsNotOpened(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	l := open(t, path)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err == nil {
		t.Error("a file is open that nobody closes")
	}
}
