package logqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/internal/logqueue"
)

// sink keeps lines. The first one waits for stall, unless that is nil.
type sink struct {
	stall   chan struct{}
	mu      sync.Mutex // guards what follows
	failing error
	lines   []string
}

func (s *sink) WriteLine(level slog.Level, line []byte) error {
	if s.stall != nil {
		<-s.stall
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing != nil {
		return s.failing
	}
	s.lines = append(s.lines, level.String()+" "+string(line))
	return nil
}

// losses is what a queue has told.
type losses struct {
	lines  int
	causes []error
}

func (l *losses) add(n int, cause error) {
	l.lines += n
	l.causes = append(l.causes, cause)
}

func TestLinesKeepOrderAndLevel(t *testing.T) {
	t.Parallel()
	var s sink
	var l losses
	q := logqueue.New(&s, l.add)
	line := []byte("a\n")
	_ = q.WriteLine(slog.LevelInfo, line)
	copy(line, "b")
	_ = q.WriteLine(slog.LevelError, line)
	if err := q.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.lines, ""); got != "INFO a\nERROR b\n" {
		t.Errorf("got %q", got)
	}
	_ = q.WriteLine(slog.LevelInfo, []byte("c\n"))
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = q.WriteLine(slog.LevelInfo, []byte("late\n"))
	if err := errors.Join(q.Flush(t.Context()), q.Close(t.Context())); err != nil || len(s.lines) != 3 || l.lines != 0 {
		t.Errorf("%v, lines %q, lost %d", err, s.lines, l.lines)
	}
}

// TestAStalledSinkHoldsNobodyUp: lines beyond the bound are lost, and that is told when the sink goes
// on.
func TestAStalledSinkHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sink{stall: make(chan struct{})}
		var l losses
		q := logqueue.New(&s, l.add)
		const lines, size = 5000, 1000
		for range lines {
			_ = q.WriteLine(slog.LevelInfo, []byte(strings.Repeat("x", size-1)+"\n"))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("flush of a queue that stalls: %v", err)
		}
		close(s.stall)
		if err := q.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(s.lines); n+l.lines != lines || n > 2*logqueue.MaxBytes/size || n < logqueue.MaxBytes/size/2 || l.causes[0] != nil {
			t.Errorf("%d lines of %d written, %d lost: %v", n, lines, l.lines, l.causes)
		}
		if err := q.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestAFailureIsToldAfterIt: what a full disk did not take is counted.
func TestAFailureIsToldAfterIt(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	s := sink{failing: full}
	told := make(chan string, 10)
	q := logqueue.New(&s, func(n int, cause error) { told <- fmt.Sprint(n, cause) })
	for range 3 {
		_ = q.WriteLine(slog.LevelInfo, []byte("lost\n"))
		_ = q.Flush(t.Context())
	}
	s.mu.Lock()
	s.failing = nil
	s.mu.Unlock()
	_ = q.WriteLine(slog.LevelInfo, []byte("written\n"))
	if got, want := <-told, fmt.Sprint(3, full); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestALossIsToldAtTheEnd: the destination may be replaced by one that goes on.
func TestALossIsToldAtTheEnd(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	s := sink{failing: full}
	told := make(chan string, 1)
	q := logqueue.New(&s, func(n int, cause error) { told <- fmt.Sprint(n, cause) })
	for range 3 {
		_ = q.WriteLine(slog.LevelInfo, []byte("lost\n"))
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-told:
		if want := fmt.Sprint(3, full); got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	default:
		t.Error("nobody is told")
	}
}
