package unio

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/mosqlog"
	"github.com/uniomq/unio/mqtt"
)

// Reload puts another configuration in force: limits, what is asked of clients, the
// password, ACL and rules files and those of dynamic security, which are read again, and the interval of $SYS. All of it is
// read before any of it is used: after an error, which is a config.Errors, the old one
// is in force. Clients that would not be let in any more are disconnected, and subscriptions that the rules deny now end. The log is
// not the server's: see [Log]. That the audit log in use cannot be opened anew is logged, and no reason to refuse the rest.
//
// What a running broker cannot change stays as it is, with a warning: listeners, the
// user, the process id's file.
func (s *Server) Reload(cfg *config.Config) error {
	if s.broker == nil {
		return errors.New("unio: reload of a server that is not started")
	}
	s.reloading.Lock()
	defer s.reloading.Unlock()
	doors, more, err := openDoors(cfg, s.KeyLog, s.keptDoor)
	if err != nil {
		s.who.audit.write("reload_failed", slog.String("reason", err.Error()))
		return err
	}
	build := s.who.maker.Begin(cfg)
	security, err := loadSecurity(cfg, build, s.dynsec.opener())
	if err == nil {
		defer security.discard() // unless it is used
		if err = s.who.reloadAudit(cfg.AuditLog); err != nil {
			build.Discard()
		}
	}
	if err != nil {
		s.who.audit.write("reload_failed", slog.String("reason", err.Error()))
		return err
	}
	for _, w := range slices.Concat(more, cfg.Warnings, security.warnings) {
		s.log.Warn(w.String())
	}
	for _, w := range s.unchangeable(cfg, doors) {
		s.log.Warn(w + "; this needs a restart")
	}
	s.who.use(security, build)
	s.dynsec.use(security)
	s.reloadDoors(cfg, doors)
	s.broker.Reconfigure(s.options(cfg))
	for _, l := range s.listeners {
		if i := indexOf(cfg.Listeners, l.from); i >= 0 {
			o := listenerOptions(cfg, cfg.Listeners[i])
			o.MountPoint = l.options.MountPoint // the filters of sessions have it
			if l.door != nil {
				l.door.describe(&o)
			}
			s.broker.ReconfigureListener(l, o)
		}
	}
	s.noDelay.Store(cfg.SetTCPNoDelay)
	s.memoryLimit.Store(cfg.MemoryLimit)
	s.enableControl(cfg.EnableControlAPI)
	s.observer.SetConnectionMessages(cfg.ConnectionMessages)
	s.sys.SetInterval(cfg.SysInterval)
	s.inForce.Store(cfg)
	s.who.audit.write("reload")
	s.broker.RejudgeLogins()
	s.disconnectInvalid(cfg.ExplainToClient)
	s.broker.Recheck(nil)
	ctx := s.who.nextRecheck()
	s.serving.Go(func() { s.recheck(ctx) })
	return nil
}

// disconnectInvalid disconnects the clients whose user is gone or has another password,
// that are anonymous where this is not allowed any more, or that the rules do not let connect any more.
func (s *Server) disconnectInvalid(explain bool) {
	for _, c := range s.broker.Clients() {
		if !s.who.auth.Valid(c) {
			s.revoke(c)
			continue
		}
		if a := (broker.Access{Client: c, Action: broker.ActionConnect}); !s.acl.Authorize(a) {
			var cause error = mqtt.NotAuthorized
			if explain {
				cause = broker.WithReason(cause, s.acl.Reason(a))
			}
			s.log.Log(context.Background(), mosqlog.LevelNotice, "Client "+c.ID+" may not be connected any more: "+s.acl.Reason(a))
			s.broker.DisconnectClient(c, cause)
		}
	}
}

// unchangeable says what differs from the configuration in force and cannot change.
func (s *Server) unchangeable(cfg *config.Config, doors []*door) []string {
	var changes []string
	for _, l := range cfg.Listeners {
		if indexOf(s.opened, l) < 0 {
			changes = append(changes, "listener "+name(l)+" is new and is not opened")
		}
	}
	for _, l := range s.opened {
		switch i := indexOf(cfg.Listeners, l); {
		case i < 0:
			changes = append(changes, "listener "+name(l)+" is gone; it stays open and lets nobody in")
		case cfg.Listeners[i].MountPoint != l.MountPoint:
			changes = append(changes, "mount_point of listener "+name(l)+" is another one")
		}
	}
	for _, l := range s.listeners {
		if i := indexOf(cfg.Listeners, l.from); i >= 0 && !l.door.same(doors[i]) {
			changes = append(changes, "listener "+name(l.from)+" has another protocol, or another kind of TLS")
		}
	}
	for _, l := range s.opened {
		if i := indexOf(cfg.Listeners, l); i >= 0 && l.TLS.PSKHint != "" {
			if t := cfg.Listeners[i].TLS; t.PSKHint != l.TLS.PSKHint || t.Ciphers != l.TLS.Ciphers {
				changes = append(changes, "psk_hint or ciphers of listener "+name(l)+" is another one")
			}
		}
	}
	if cfg.User != s.inForce.Load().User {
		changes = append(changes, "user is another one")
	}
	if cfg.Persistence != s.inForce.Load().Persistence || cfg.StorePath() != s.inForce.Load().StorePath() {
		changes = append(changes, "persistence, or where it is kept, is another one")
	}
	if cfg.PersistenceSync != s.inForce.Load().PersistenceSync || cfg.SyncInterval != s.inForce.Load().SyncInterval {
		changes = append(changes, "persistence_sync is another one")
	}
	if cfg.PIDFile != s.inForce.Load().PIDFile {
		changes = append(changes, "pid_file is another one")
	}
	return changes
}

// indexOf returns the index of the listener that opens the same sockets as l, or -1.
func indexOf(all []config.Listener, l config.Listener) int {
	return slices.IndexFunc(all, func(other config.Listener) bool {
		return name(other) == name(l) && other.SocketDomain == l.SocketDomain && other.MPTCP == l.MPTCP
	})
}
