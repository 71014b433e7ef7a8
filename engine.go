package unio

import (
	"context"
	"errors"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/part"
	"github.com/uniomq/unio/store"
)

// engine is the part of a Server that is the broker itself, with its store.
type engine struct {
	broker *broker.Broker
	// options returns what the broker is told of a configuration, but for the store.
	options func(*config.Config) broker.Options
	// open opens the store of a configuration, nil for one in memory.
	open func(*config.Config) (store.Store, error)

	cfg     *config.Config // in force
	started bool
}

// Prepare implements part.Part.
func (e *engine) Prepare(cfg *config.Config) (part.Prepared, error) {
	p := part.Prepared{Use: func() {
		e.cfg = cfg
		if e.started {
			e.broker.Reconfigure(e.options(cfg))
		}
	}}
	if !e.started {
		return p, nil
	}
	if cfg.Persistence != e.cfg.Persistence || cfg.StorePath() != e.cfg.StorePath() {
		p.Restart = append(p.Restart, "persistence, or where it is kept, is another one")
	}
	if cfg.PersistenceSync != e.cfg.PersistenceSync || cfg.SyncInterval != e.cfg.SyncInterval {
		p.Restart = append(p.Restart, "persistence_sync is another one")
	}
	return p, nil
}

// Start implements part.Part.
func (e *engine) Start() error {
	o := e.options(e.cfg)
	var err error
	if o.Store, err = e.open(e.cfg); err != nil {
		return err
	}
	if err := e.broker.Start(o); err != nil {
		if o.Store != nil {
			err = errors.Join(err, o.Store.Close())
		}
		return err
	}
	e.started = true
	return nil
}

// Close implements part.Part. Until ctx ends, clients may take what is still to be written to them.
func (e *engine) Close(ctx context.Context) error {
	if !e.started {
		return nil
	}
	return e.broker.Shutdown(ctx)
}
