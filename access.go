package unio

import (
	"maps"
	"slices"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/access"
	"github.com/uniomq/unio/internal/control"
	"github.com/uniomq/unio/internal/dynsec"
	"github.com/uniomq/unio/internal/listening"
	"github.com/uniomq/unio/internal/part"
)

// A Ban keeps an address, a user name, or a user name at an address, out for a time.
type Ban = access.Ban

// Bans returns the bans in force, those that end first in front.
func (s *Server) Bans() []Ban { return s.access.Bans() }

// LiftBan ends the ban of an address, a user name, or both, as Bans tells it, and reports whether there was one.
func (s *Server) LiftBan(address, user string) bool { return s.access.LiftBan(address, user) }

// MadeFiles returns the files that did not exist and were made: those of dynamic security. A process that changes its user gives them to that.
func (s *Server) MadeFiles() []string { return s.access.MadeFiles() }

// ReopenAudit opens the audit log's file anew, for the program that rotates it.
func (s *Server) ReopenAudit() error { return s.access.Audit.Reopen() }

// GiveAuditTo makes an audit log's file that was made belong to a user, who is to open it again.
func (s *Server) GiveAuditTo(uid, gid int) error { return s.access.Audit.GiveTo(uid, gid) }

// CheckFiles reads the password, ACL and rules files, those of dynamic security, certificates and keys
// that a configuration names and returns what in them may surprise, or all that is wrong with them as
// config.Errors.
func CheckFiles(cfg *config.Config) ([]config.Warning, error) {
	p, err := part.List{access.Check(), listening.New(listening.Options{})}.Prepare(cfg)
	if err != nil {
		return nil, err
	}
	p.Discard()
	return p.Warnings, nil
}

// plugins are what stands where Mosquitto has plugins, for the endpoint that tells of the broker.
func (s *Server) plugins() []control.Plugin {
	if slices.ContainsFunc(slices.Collect(maps.Values(s.access.Dynamic())), func(d *dynsec.Security) bool { return d != nil }) {
		return []control.Plugin{{Name: "dynamic-security", Version: s.Version, Endpoints: []string{dynsec.Topic}}}
	}
	return nil
}
