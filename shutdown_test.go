package unio

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/memory"
)

// errStore is what a store fails with.
var errStore = errors.New("the disk is gone")

// unclosable is a store that fails when it is closed.
type unclosable struct{ store.Store }

func (s unclosable) Close() error { return errors.Join(s.Store.Close(), errStore) }

// withAudit returns a server that writes an audit log, and is not started.
func withAudit(t *testing.T) *Server {
	t.Helper()
	cfg := onSockets(t, "a")
	cfg.AuditLog = filepath.Join(t.TempDir(), "audit.log")
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestShutdownEndsAllWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	s := withAudit(t)
	s.engine.open = func(*config.Config) (store.Store, error) { return unclosable{memory.New()}, nil }
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); !errors.Is(err, errStore) {
		t.Errorf("shutdown: %v", err)
	}
	if s.access.Audit.On() {
		t.Error("the audit log is open still")
	}
	if err := s.Shutdown(t.Context()); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("once more: %v", err)
	}
	if err := s.Reload(s.inForce.Load()); err == nil {
		t.Error("it reloads after its end")
	}
}

func TestAStartThatFailsClosesWhatIsOpen(t *testing.T) {
	t.Parallel()
	s := withAudit(t)
	s.engine.open = func(*config.Config) (store.Store, error) { return nil, errStore }
	if err := s.Run(context.Background()); !errors.Is(err, errStore) {
		t.Errorf("run: %v", err)
	}
	if s.access.Audit.On() {
		t.Error("the audit log is open still")
	}
	if _, err := os.Stat(s.inForce.Load().Listeners[0].Path); !os.IsNotExist(err) {
		t.Errorf("the socket is there still: %v", err)
	}
	if s.Broker() != nil {
		t.Error("there is an engine to use")
	}
	if err := s.Shutdown(t.Context()); err != nil { // as the command does
		t.Errorf("shutdown: %v", err)
	}
}
