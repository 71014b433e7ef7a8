package cli

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/files"
)

// account is the user to change to.
type account struct {
	name     string
	uid, gid int
	groups   []int
}

func (a *account) owner() files.Owner {
	return files.Owner{UID: a.uid, GID: a.gid, Groups: a.groups}
}

// The users of a broker that root starts and whose file names none: the first, or the
// second if the system has no first.
const (
	usualUser    = "mosquitto"
	fallbackUser = "nobody"
)

// account returns the user to change to, or nil to stay as started: by another user than
// root, or by root with "user root".
func (p *process) account() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	who, err := accountOf(p.cfg.User, os.Getenv("PUID"), os.Getenv("PGID"))
	if err != nil {
		at := p.cfg.Origin("user", -1)
		return nil, config.Errors{{File: at.String(), Option: "user", Msg: err.Error()}}
	}
	return who, nil
}

// accountOf returns the user that the configuration or the environment names. The
// environment, made for containers, goes first.
func accountOf(name, puid, pgid string) (*account, error) {
	uid, err := envNumber("PUID", puid)
	if err != nil {
		return nil, err
	}
	gid, err := envNumber("PGID", pgid)
	if err != nil {
		return nil, err
	}
	who := &account{uid: uid, gid: gid}
	switch {
	case puid == "" && pgid == "" && name == "root":
		return nil, nil
	case puid == "":
		who, err = accountNamed(name)
	case pgid == "":
		who, err = accountNumbered(uid)
	}
	if err != nil {
		return nil, err
	}
	if puid != "" {
		who.name = "user id " + puid
	}
	if pgid != "" {
		who.gid, who.groups = gid, []int{gid}
	}
	return who, nil
}

// envNumber returns the number that a variable of the environment has, 0 if it is not there.
func envNumber(variable, text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("expected a number in %s of the environment, not %q", variable, text)
	}
	return int(n), nil
}

// accountNamed returns a user of this system.
func accountNamed(name string) (*account, error) {
	u, err := user.Lookup(name)
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) && name == usualUser {
		u, err = user.Lookup(fallbackUser)
	}
	if err != nil {
		return nil, fmt.Errorf("expected a user of this system, not %q: %w", name, err)
	}
	return accountOfUser(u)
}

// accountNumbered returns the user with a number. One that this system does not know has the group of the same number, as
// is usual: a process that is to be another user must not stay in the groups of root.
func accountNumbered(uid int) (*account, error) {
	u, err := user.LookupId(strconv.Itoa(uid))
	if _, unknown := errors.AsType[user.UnknownUserIdError](err); unknown {
		return &account{uid: uid, gid: uid, groups: []int{uid}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the groups of PUID %d: %w; or give PGID as well", uid, err)
	}
	return accountOfUser(u)
}

// accountOfUser returns a user of this system with its groups.
func accountOfUser(u *user.User) (*account, error) {
	who := &account{name: u.Username}
	var err error
	if who.uid, err = strconv.Atoi(u.Uid); err != nil {
		return nil, err
	}
	if who.gid, err = strconv.Atoi(u.Gid); err != nil {
		return nil, err
	}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("find the groups of %s: %w", u.Username, err)
	}
	for _, text := range groups {
		group, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		who.groups = append(who.groups, group)
	}
	return who, nil
}

// become changes the user for the rest of the process.
func (p *process) become(who *account) error {
	if who != nil {
		if err := p.giveTo(who); err != nil {
			return err
		}
		if err := changeUser(who); err != nil {
			return fmt.Errorf("user: change to %s: %w", who.name, err)
		}
		p.log.Info("Info: running unio as user: " + who.name + ".")
		if p.cfg.User == usualUser && who.name == fallbackUser {
			p.log.Warn("There is no user " + usualUser + "; running as " + fallbackUser + " instead.")
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
func (p *process) giveTo(who *account) error {
	for _, path := range p.server.MadeFiles() {
		if err := files.Give(path, who.owner()); err != nil {
			return fmt.Errorf("give a file of dynamic security to %s: %w", who.name, err)
		}
	}
	for _, l := range p.cfg.Listeners {
		if l.Path == "" {
			continue
		}
		if err := files.Give(l.Path, who.owner()); err != nil {
			return fmt.Errorf("give the socket to %s: %w", who.name, err)
		}
	}
	for _, dir := range p.server.Folders() {
		if err := files.GiveFolder(dir, who.owner()); err != nil { // the user may be able to write there still
			p.log.Warn("Give the folder " + dir + " to " + who.name + ": " + err.Error())
		}
	}
	return nil
}

// giveLogs does so with the logs, as soon as they are open: a start that fails must not leave root's behind. The
// audit log is the server's.
func (p *process) giveLogs(who *account) error {
	if who == nil {
		return nil
	}
	if err := p.log.GiveTo(who.uid, who.gid); err != nil {
		return fmt.Errorf("give the log to %s: %w", who.name, err)
	}
	if p.server == nil {
		return nil
	}
	if err := p.server.GiveAuditTo(who.uid, who.gid); err != nil {
		return fmt.Errorf("give the audit log to %s: %w", who.name, err)
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
