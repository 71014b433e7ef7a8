package dynsec

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"os"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
)

// PasswordVariable is the variable of the environment with the administrator's first password.
const PasswordVariable = "MOSQUITTO_DYNSEC_PASSWORD"

// The names in a first file, which are Mosquitto's.
const (
	adminName = "admin"
	demoName  = "democlient"
)

const (
	minPassword    = 12   // bytes of the environment's password
	maxInitFile    = 1024 // bytes of the file with the first password that are looked at
	randomPassword = 20   // characters
	passwordChars  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-=_+[]{}@#~,./<>?"
)

// first makes the content for a file that does not exist: an administrator, and roles that are of use to most. The password is that
// of Options.PasswordInitFile, else of the environment, else made up: then it is written to a file beside, and there is one more
// client, to try things out. It returns what to write to that file; nil: nothing.
func (o *Options) first() (c *content, passwords []byte, err error) {
	c = newContent()
	c.defaults = [numDefaults]bool{defaultReceive: true, defaultUnsubscribe: true}
	addRoles(c)
	g := newGroup("unauthenticated")
	g.name = new("Unauthenticated group")
	g.description = new("The roles of this group are those of clients without user name, where allow_anonymous lets them in.")
	c.groups[g.groupname], c.anonymous = g, g
	password, made, err := o.firstPassword()
	if err != nil {
		return nil, nil, err
	}
	if err := addFirst(c, adminName, "Admin user", password, "super-admin", "sys-observe", "topic-observe"); err != nil {
		return nil, nil, err
	}
	if !made {
		return c, nil, nil
	}
	demo := made20()
	if err := addFirst(c, demoName, "A client to try things out, with access to all topics but those that begin with $", demo, "client"); err != nil {
		return nil, nil, err
	}
	return c, fmt.Appendf(nil, "%s %s\n%s %s\n", adminName, password, demoName, demo), nil
}

// Init makes a file with an administrator, for a broker that is to be started with it. There must be none.
func Init(path, username, password string) error {
	c := newContent()
	c.defaults = [numDefaults]bool{defaultReceive: true, defaultUnsubscribe: true}
	addRoles(c)
	if !validName(username) || username == "" {
		return errors.New("expected a user name that is UTF-8 without control characters")
	}
	if err := addFirst(c, username, "Admin user", password, "super-admin", "sys-observe", "topic-observe"); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(c.file()); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Offline does what a request asks for with a file that no broker has, and returns the answer.
func Offline(path string, payload []byte) ([]byte, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	s, _, err := Open(Options{Path: path})
	if err != nil {
		return nil, err
	}
	answer, _ := s.Handle(&broker.Client{}, payload)
	return answer, nil
}

// firstPassword returns the administrator's password, and whether it was made up.
func (o *Options) firstPassword() (password string, made bool, err error) {
	if path := o.PasswordInitFile; path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", false, fmt.Errorf("the first password: %w", err)
		}
		line, _, _ := bytes.Cut(data[:min(len(data), maxInitFile)], []byte("\n"))
		if line = bytes.TrimRight(line, " \t\r\v\f"); len(line) == 0 {
			return "", false, fmt.Errorf("expected a password in the first line of %s", path)
		}
		return string(line), false, nil
	}
	if password, ok := o.lookup(PasswordVariable); ok {
		if len(password) < minPassword {
			return "", false, fmt.Errorf("expected at least %d bytes in %s of the environment", minPassword, PasswordVariable)
		}
		return password, false, nil
	}
	return made20(), true, nil
}

func (o *Options) lookup(name string) (string, bool) {
	if o.LookupEnv == nil {
		return "", false
	}
	return o.LookupEnv(name)
}

// made20 makes up a password.
func made20() string {
	p := make([]byte, randomPassword)
	for i := range p {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(passwordChars))))
		if err != nil {
			panic("dynsec: " + err.Error()) // it does not fail, see crypto/rand
		}
		p[i] = passwordChars[n.Int64()]
	}
	return string(p)
}

func addFirst(c *content, username, name, password string, roles ...string) error {
	h, err := auth.NewHash(auth.Argon2id, 0, []byte(password))
	if err != nil {
		return errors.New("the first password cannot be hashed: " + err.Error())
	}
	own := &client{username: username, name: new(name), hash: h}
	for _, r := range roles {
		c.roles[r].grantTo(own, noPriority)
	}
	c.clients[username] = own
	return nil
}

// addRoles adds the roles of a first file.
func addRoles(c *content) {
	receive := []aclType{publishClientReceive, subscribePattern, unsubscribePattern}
	all := append([]aclType{publishClientSend}, receive...)
	for _, r := range []struct {
		rolename, description, topic string
		types                        []aclType
	}{
		{"client", "Reads and writes all topics but those that begin with $.", "#", all},
		{"broker-admin", "Administers the broker.", "$CONTROL/broker/#", all},
		{"dynsec-admin", "Administers clients, groups and roles.", "$CONTROL/dynamic-security/#", all},
		{"super-admin", "Administers everything.", "$CONTROL/#", all},
		{"sys-notify", "Lets a bridge publish its state.", "$SYS/broker/connection/%c/state", all[:1]},
		{"sys-observe", "Reads the $SYS topics.", "$SYS/#", receive[:2]},
		{"topic-observe", "Reads all topics but those that begin with $.", "#", receive},
	} {
		role := newRole(r.rolename)
		role.description = new(r.description)
		for _, t := range r.types {
			role.addEntry(t, entry{topic: r.topic, allow: true})
		}
		c.roles[r.rolename] = role
	}
}
