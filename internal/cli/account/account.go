// Package account finds the user that a broker started by root becomes: the option user, or PUID and
// PGID of the environment.
package account

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/files"
)

// Account is the user to change to.
type Account struct {
	Name     string // for people
	UID, GID int
	Groups   []int
}

// Owner is the user as the owner of files.
func (a *Account) Owner() files.Owner {
	return files.Owner{UID: a.UID, GID: a.GID, Groups: a.Groups}
}

// The users of a broker that root starts and whose file names none: the first, or the
// second if the system has no first.
const (
	UsualUser    = "mosquitto"
	FallbackUser = "nobody"
)

// Of returns the user to change to, or nil to stay as started: by another user than root, or by root
// with "user root".
func Of(cfg *config.Config) (*Account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	who, err := named(cfg.User, os.Getenv("PUID"), os.Getenv("PGID"))
	if err != nil {
		at := cfg.Origin("user", -1)
		return nil, config.Errors{{File: at.String(), Option: "user", Msg: err.Error()}}
	}
	return who, nil
}

// named returns the user that the configuration or the environment names. The
// environment, made for containers, goes first.
func named(name, puid, pgid string) (*Account, error) {
	uid, err := envNumber("PUID", puid)
	if err != nil {
		return nil, err
	}
	gid, err := envNumber("PGID", pgid)
	if err != nil {
		return nil, err
	}
	who := &Account{UID: uid, GID: gid}
	switch {
	case puid == "" && pgid == "" && name == "root":
		return nil, nil
	case puid == "":
		who, err = ofName(name)
	case pgid == "":
		who, err = ofNumber(uid)
	}
	if err != nil {
		return nil, err
	}
	if puid != "" {
		who.Name = "user id " + puid
	}
	if pgid != "" {
		who.GID, who.Groups = gid, []int{gid}
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

// ofName returns a user of this system.
func ofName(name string) (*Account, error) {
	u, err := user.Lookup(name)
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) && name == UsualUser {
		u, err = user.Lookup(FallbackUser)
	}
	if err != nil {
		return nil, fmt.Errorf("expected a user of this system, not %q: %w", name, err)
	}
	return ofUser(u)
}

// ofNumber returns the user with a number. One that this system does not know has the group of the same number, as
// is usual: a process that is to be another user must not stay in the groups of root.
func ofNumber(uid int) (*Account, error) {
	u, err := user.LookupId(strconv.Itoa(uid))
	if _, unknown := errors.AsType[user.UnknownUserIdError](err); unknown {
		return &Account{UID: uid, GID: uid, Groups: []int{uid}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the groups of PUID %d: %w; or give PGID as well", uid, err)
	}
	return ofUser(u)
}

// ofUser returns a user of this system with its groups.
func ofUser(u *user.User) (*Account, error) {
	who := &Account{Name: u.Username}
	var err error
	if who.UID, err = strconv.Atoi(u.Uid); err != nil {
		return nil, err
	}
	if who.GID, err = strconv.Atoi(u.Gid); err != nil {
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
		who.Groups = append(who.Groups, group)
	}
	return who, nil
}
