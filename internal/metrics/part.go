package metrics

import (
	"context"
	"log/slog"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/part"
)

// Part is the part of a server that publishes $SYS.
type Part struct {
	Log     *slog.Logger
	Broker  *broker.Broker
	Version string // set before Start, as the others

	interval time.Duration // before Start
	tree     *SysTree      // nil before Start
}

// Prepare implements part.Part.
func (s *Part) Prepare(cfg *config.Config) (part.Prepared, error) {
	return part.Prepared{Use: func() {
		s.interval = cfg.SysInterval
		if s.tree != nil {
			s.tree.SetInterval(cfg.SysInterval)
		}
	}}, nil
}

// Start implements part.Part.
func (s *Part) Start() error {
	s.tree = New(Options{Broker: s.Broker, Interval: s.interval, Version: s.Version, Log: s.Log})
	s.tree.Start()
	return nil
}

// Close implements part.Part.
func (s *Part) Close(context.Context) error {
	if s.tree != nil {
		s.tree.Close()
	}
	return nil
}

// Values returns the numbers of the tree, after Start.
func (s *Part) Values() map[string]int64 { return s.tree.Values() }
