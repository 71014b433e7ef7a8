package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/uniomq/unio/config/mistake"
	"github.com/uniomq/unio/internal/files"
)

// credentialsPrefix begins what a file of credentials for SCRAM has in place of a hash; see internal/auth/scram.
const credentialsPrefix = "$scram-"

// An Editor changes a password file. It keeps the order of its lines, and every line
// that it is not asked to change as it is, whether it understands it or not.
type Editor struct {
	path  string
	lines []string // each with its line end; the last one may have none
}

// NewEditor returns an Editor of a file without users. Save creates or replaces the file.
func NewEditor(path string) *Editor { return &Editor{path: path} }

// OpenEditor returns an Editor of a file that must exist.
func OpenEditor(path string) (*Editor, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	e := NewEditor(path)
	for line := range strings.Lines(string(text)) {
		e.lines = append(e.lines, line)
	}
	return e, nil
}

// CheckName reports whether a user name can be in a password file.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("username must not be empty")
	case len(name) > maxName:
		return fmt.Errorf("username must be less than %d characters long", maxName+1)
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("username must not contain control characters")
	case strings.Contains(name, ":"):
		return errors.New("username must not contain the ':' character")
	case strings.HasPrefix(name, "#"):
		return errors.New("username must not begin with '#', which makes the line a comment")
	case strings.TrimSpace(name) != name:
		return errors.New("username must not begin or end with a space")
	}
	return nil
}

// Set gives a user a password, and reports whether the user is new. A user that is in
// the file several times is replaced where it is first, and its other lines go: no old
// password stays in force.
func (e *Editor) Set(user string, h fmt.Stringer) (added bool, err error) {
	if err := CheckName(user); err != nil {
		return false, err
	}
	line := user + ":" + h.String() + "\n"
	at := e.find(user, 0)
	if at < 0 {
		e.endLastLine()
		e.lines = append(e.lines, line)
		return true, nil
	}
	e.lines[at] = line
	e.remove(user, at+1)
	return false, nil
}

// AddComment puts a line of a prefix, which begins with #, and a text in front, unless there is one with the prefix.
func (e *Editor) AddComment(prefix, text string) {
	if !slices.ContainsFunc(e.lines, func(line string) bool { return strings.HasPrefix(line, prefix) }) {
		e.lines = slices.Insert(e.lines, 0, prefix+text+"\n")
	}
}

// Delete removes a user, and reports whether it was there.
func (e *Editor) Delete(user string) bool { return e.remove(user, 0) }

// Upgrade hashes the passwords that are in the file as plain text, and returns how many
// there were. What is hashed already stays as it is. The error is a mistake.Errors; then
// nothing has changed.
func (e *Editor) Upgrade(hash func(password []byte) (*Hash, error)) (int, error) {
	lines := append([]string(nil), e.lines...)
	var mistakes mistake.Errors
	upgraded := 0
	for i, line := range lines {
		user, text, kind := splitLine(line)
		if kind != lineUser {
			continue
		}
		err := CheckName(user)
		switch {
		case err != nil:
		case text == "":
			err = errors.New("the password is missing")
		case strings.HasPrefix(text, credentialsPrefix):
		case looksHashed(text):
			_, err = ParseHash(text)
		default:
			var h *Hash
			if h, err = hash([]byte(text)); err == nil {
				lines[i] = user + ":" + h.String() + "\n"
				upgraded++
			}
		}
		if err != nil {
			mistakes = append(mistakes, &mistake.Error{File: e.path, Line: i + 1, Msg: err.Error()})
		}
	}
	if len(mistakes) > 0 {
		return 0, mistakes
	}
	e.lines = lines
	return upgraded, nil
}

// find returns the first line of a user at or behind from, or -1.
func (e *Editor) find(user string, from int) int {
	for i := from; i < len(e.lines); i++ {
		if name, _, kind := splitLine(e.lines[i]); kind == lineUser && name == user {
			return i
		}
	}
	return -1
}

// remove takes out the lines of a user at or behind from.
func (e *Editor) remove(user string, from int) (removed bool) {
	for i := e.find(user, from); i >= 0; i = e.find(user, i) {
		e.lines = append(e.lines[:i], e.lines[i+1:]...)
		removed = true
	}
	return removed
}

func (e *Editor) endLastLine() {
	if n := len(e.lines); n > 0 && !strings.HasSuffix(e.lines[n-1], "\n") {
		e.lines[n-1] += "\n"
	}
}

// WriteTo writes the file as it is now.
func (e *Editor) WriteTo(w io.Writer) (int64, error) { return e.text().WriteTo(w) }

// Save writes the file under its name, as [files.Replace] does: a new file can be read by its owner
// alone; an existing one keeps its owner and its mode where possible, so that the broker may read it
// still.
func (e *Editor) Save() error { return files.Replace(e.path, e.text().Bytes()) }

func (e *Editor) text() *bytes.Buffer {
	var b bytes.Buffer
	for _, line := range e.lines {
		b.WriteString(line)
	}
	return &b
}
