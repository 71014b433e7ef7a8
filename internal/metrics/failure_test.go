package metrics

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/store"
)

func TestWhatCouldNotBePublishedIsLoggedAndTriedAgain(t *testing.T) {
	var out error
	var names []string
	s := newTree(t, func(m *store.Message) error {
		if out == nil {
			names = append(names, m.Topic)
		}
		return out
	})
	freeze(s)
	var log bytes.Buffer
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	out = errors.New("no space left")
	s.refresh(s.started.Add(time.Second))
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "no space left") {
		t.Errorf("the log, want one line with the cause:\n%s", log.String())
	}
	out = nil
	s.refresh(s.started.Add(time.Second))
	all := len(names)
	if all < 50 {
		t.Errorf("%d messages at the second attempt", all)
	}
	s.refresh(s.started.Add(time.Second))
	if len(names) != all {
		t.Errorf("%d messages without a change", len(names)-all)
	}
}
