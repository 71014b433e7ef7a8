package unio

import (
	"context"
	"log/slog"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/metrics"
	"github.com/uniomq/unio/internal/part"
)

// sysTree is the part of a Server that publishes $SYS.
type sysTree struct {
	log     *slog.Logger
	broker  *broker.Broker
	version string // set before Start

	interval time.Duration    // before Start
	tree     *metrics.SysTree // nil before Start
}

// Prepare implements part.Part.
func (s *sysTree) Prepare(cfg *config.Config) (part.Prepared, error) {
	return part.Prepared{Use: func() {
		s.interval = cfg.SysInterval
		if s.tree != nil {
			s.tree.SetInterval(cfg.SysInterval)
		}
	}}, nil
}

// Start implements part.Part.
func (s *sysTree) Start() error {
	s.tree = metrics.New(metrics.Options{Broker: s.broker, Interval: s.interval, Version: s.version, Log: s.log})
	s.tree.Start()
	return nil
}

// Close implements part.Part.
func (s *sysTree) Close(context.Context) error {
	if s.tree != nil {
		s.tree.Close()
	}
	return nil
}

// values returns the numbers of the tree, after Start.
func (s *sysTree) values() map[string]int64 { return s.tree.Values() }
