package unio

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/mosqlog"
)

// logFileMode lets the owner alone read a log that is made: it names clients and
// topics.
const logFileMode = 0o600

// OpenLog opens the log that a configuration asks for. The Closer closes its file, if
// it has one.
func OpenLog(cfg config.Log) (*slog.Logger, io.Closer, error) {
	var out writers
	if cfg.Stdout {
		out = append(out, os.Stdout)
	}
	if cfg.Stderr {
		out = append(out, os.Stderr)
	}
	var closer io.Closer = io.NopCloser(nil)
	if cfg.File != "" {
		f, err := os.OpenFile(cfg.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, logFileMode)
		if err != nil {
			return nil, nil, fmt.Errorf("open the log: %w", err)
		}
		out, closer = append(out, f), f
	}
	if len(out) == 0 || cfg.Types == config.LogNone {
		return slog.New(slog.DiscardHandler), closer, nil
	}
	return slog.New(mosqlog.New(out, cfg)), closer, nil
}

// writers writes to each of its writers, also if one fails.
type writers []io.Writer

func (w writers) Write(p []byte) (int, error) {
	var errs []error
	for _, out := range w {
		if _, err := out.Write(p); err != nil {
			errs = append(errs, err)
		}
	}
	return len(p), errors.Join(errs...)
}
