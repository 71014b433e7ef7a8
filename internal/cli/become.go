package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/uniomq/unio/internal/cli/account"
	"github.com/uniomq/unio/internal/files"
)

// become changes the user for the rest of the process.
func (p *process) become(who *account.Account) error {
	if who != nil {
		if err := p.giveTo(who); err != nil {
			return err
		}
		if err := who.Become(); err != nil {
			return fmt.Errorf("user: change to %s: %w", who.Name, err)
		}
		p.log.Info("Info: running unio as user: " + who.Name + ".")
		if p.cfg.User == account.UsualUser && who.Name == account.FallbackUser {
			p.log.Warn("There is no user " + account.UsualUser + "; running as " + account.FallbackUser + " instead.")
		}
		p.warnUnreadable()
		p.warnFixed()
	}
	if os.Geteuid() == 0 {
		p.log.Warn("Unio should not be run as root.")
	}
	return nil
}

// giveTo makes what root made belong to the user that is to work with it: files and Unix sockets. The
// folders that the broker writes in it gets as well, unless it may write there.
func (p *process) giveTo(who *account.Account) error {
	for _, path := range p.server.MadeFiles() {
		if err := files.Give(path, who.Owner()); err != nil {
			return fmt.Errorf("give a file of dynamic security to %s: %w", who.Name, err)
		}
	}
	for _, l := range p.cfg.Listeners {
		if l.Path == "" {
			continue
		}
		if err := files.Give(l.Path, who.Owner()); err != nil {
			return fmt.Errorf("give the socket to %s: %w", who.Name, err)
		}
	}
	for _, dir := range p.server.Folders() {
		if err := files.GiveFolder(dir, who.Owner()); err != nil { // the user may be able to write there still
			p.log.Warn("Give the folder " + dir + " to " + who.Name + ": " + err.Error())
		}
	}
	return nil
}

// giveLogs does so with the logs, as soon as they are open: a start that fails must not leave root's behind. The
// audit log is the server's.
func (p *process) giveLogs(who *account.Account) error {
	if who == nil {
		return nil
	}
	if err := p.log.GiveTo(who.UID, who.GID); err != nil {
		return fmt.Errorf("give the log to %s: %w", who.Name, err)
	}
	if p.server == nil {
		return nil
	}
	if err := p.server.GiveAuditTo(who.UID, who.GID); err != nil {
		return fmt.Errorf("give the audit log to %s: %w", who.Name, err)
	}
	return nil
}

// warnUnreadable logs which files root could read and a reload will not.
func (p *process) warnUnreadable() {
	paths := map[string]bool{p.flags.configFile: true}
	for _, l := range p.cfg.Listeners {
		paths[l.PasswordFile], paths[l.ACLFile], paths[l.RulesFile] = true, true, true
		paths[l.DynamicSecurity.ConfigFile] = true
		for _, path := range l.Auth.Files() {
			paths[path] = true
		}
	}
	keys := map[string]bool{}
	for _, l := range p.cfg.Listeners {
		paths[l.TLS.PSKFile] = true
		for _, path := range []string{l.TLS.CertFile, l.TLS.KeyFile, l.TLS.CAFile, l.TLS.CRLFile} {
			keys[path] = true
		}
	}
	p.warnOf(paths, "; a reload will fail")
	p.warnOf(keys, "; a reload will go on with the files of TLS that were read at the start")
}

// warnOf logs which files cannot be read, and what follows.
func (p *process) warnOf(paths map[string]bool, consequence string) {
	for path := range paths {
		if path == "" {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			p.log.Warn(err.Error() + consequence)
			continue
		}
		_ = f.Close() // nothing was written
	}
}

// warnFixed logs which logs root could open and the user could not make again.
func (p *process) warnFixed() {
	for _, path := range []string{p.cfg.Log.File, p.cfg.AuditLog} {
		if err := files.Renewable(path); err != nil {
			p.log.Warn(err.Error() + "; when " + path + " is rotated it goes on in the old file, unless the new one is made for the broker's user" +
				" (in logrotate create 0640 USER GROUP, or copytruncate) or " + filepath.Dir(path) + " is given to that user")
		}
	}
}
