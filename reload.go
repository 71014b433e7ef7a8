package unio

import (
	"errors"
	"log/slog"
	"slices"

	"github.com/uniomq/unio/config"
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
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if !s.running.Load() || s.closed.Load() {
		return errors.New("unio: reload of a server that is not started, or ends")
	}
	next, err := s.parts.Prepare(cfg)
	if err != nil {
		s.access.Audit.Write("reload_failed", slog.String("reason", err.Error()))
		return err
	}
	for _, w := range slices.Concat(cfg.Warnings, next.Warnings) {
		s.log.Warn(w.String())
	}
	for _, w := range slices.Concat(next.Restart, unchangeable(s.inForce.Load(), cfg)) {
		s.log.Warn(w + "; this needs a restart")
	}
	s.inForce.Store(cfg)
	next.Use()
	return nil
}

// unchangeable says what of the process, which no part is asked about, differs and cannot change.
func unchangeable(old, cfg *config.Config) []string {
	var changes []string
	if cfg.User != old.User {
		changes = append(changes, "user is another one")
	}
	if cfg.PIDFile != old.PIDFile {
		changes = append(changes, "pid_file is another one")
	}
	return changes
}
