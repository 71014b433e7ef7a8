package auth

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/uniomq/unio/config/mistake"
)

// Passwords are the users of a password file. They do not change, and may be used by
// any number of goroutines.
type Passwords struct {
	users    map[string]*Hash
	dummy    *Hash // checked in place of an unknown user's; nil in an empty file
	warnings []mistake.Warning
}

// LoadPasswords reads a password file. Its error is a mistake.Errors with all mistakes of
// the file. That a file cannot be read is an error, too, and never means that there are
// no passwords.
func LoadPasswords(path string) (*Passwords, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, mistake.Errors{{File: path, Msg: "the password file cannot be read: " + err.Error()}}
	}
	p, err := parsePasswords(path, text)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && ReadableByAll(info) {
		p.warnings = append(p.warnings, mistake.Warning{File: path, Msg: "every user of this machine may read the password file: chmod o-r"})
	}
	return p, nil
}

// Warnings are what in the file may surprise: lines that say nothing, and who may read
// the file.
func (p *Passwords) Warnings() []mistake.Warning { return p.warnings }

// Len returns the number of users.
func (p *Passwords) Len() int { return len(p.users) }

// maxName is the length of a user name in MQTT, in bytes.
const maxName = 65535

func parsePasswords(path string, text []byte) (*Passwords, error) {
	p := &Passwords{users: map[string]*Hash{}}
	lines := map[string]int{} // where each user is
	var mistakes mistake.Errors
	wrong := func(line int, format string, args ...any) {
		mistakes = append(mistakes, &mistake.Error{File: path, Line: line, Msg: fmt.Sprintf(format, args...)})
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		user, rest, kind := splitLine(line)
		switch kind {
		case lineIgnored:
			continue
		case lineStray:
			p.warnings = append(p.warnings, mistake.Warning{File: path, Line: n, Msg: "ignored: expected USER:HASH"})
			continue
		case lineUser:
		}
		if user == "" || len(user) > maxName {
			wrong(n, "expected a user name of 1 to %d bytes before the colon", maxName)
			continue
		}
		if first, twice := lines[user]; twice {
			wrong(n, "user %q is in line %d already", user, first)
			continue
		}
		lines[user] = n
		rest, _, _ = strings.Cut(rest, ":") // further fields are for whoever wrote them
		h, err := ParseHash(strings.TrimSpace(rest))
		if err != nil {
			wrong(n, "user %q: %v", user, err)
			continue
		}
		p.users[user] = h
	}
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	p.chooseDummy()
	return p, nil
}

// lineKind is what a line of a password file is.
type lineKind uint8

const (
	lineIgnored lineKind = iota // blank, or a comment
	lineStray                   // neither that nor a user; Mosquitto passes over it in silence
	lineUser
)

// splitLine takes a line apart at its first colon. Only a # in the first column begins a
// comment.
func splitLine(line string) (user, rest string, kind lineKind) {
	if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
		return "", "", lineIgnored
	}
	user, rest, found := strings.Cut(line, ":")
	if !found {
		return "", "", lineStray
	}
	return strings.TrimSpace(user), strings.TrimSpace(rest), lineUser
}

// chooseDummy makes the hash that an unknown user's password is checked against, with
// the parameters that most of the file's hashes have, so that the time does not tell
// whether a user exists. Where a file mixes algorithms, time tells which one a user has.
func (p *Passwords) chooseDummy() {
	count := map[params]int{}
	var likely *Hash
	for _, h := range p.users {
		count[h.params]++
		if likely == nil || count[h.params] > count[likely.params] {
			likely = h
		}
	}
	if likely == nil {
		return
	}
	p.dummy = likely.decoy()
}

// Verify reports whether the file has the user with this password. It takes as long for
// an unknown user as for a wrong password. A NUL is a byte like any other.
func (p *Passwords) Verify(user string, password []byte) bool {
	_, ok := p.verify(user, password)
	return ok
}

// verify returns the hash that the password matches.
func (p *Passwords) verify(user string, password []byte) (*Hash, bool) {
	h, known := p.candidate(user)
	if h == nil || !h.Matches(password) || !known {
		return nil, false
	}
	return h, true
}

// candidate returns the hash to check for a user: the dummy if it is unknown.
func (p *Passwords) candidate(user string) (h *Hash, known bool) {
	if h, known = p.users[user]; !known {
		h = p.dummy
	}
	return h, known
}
