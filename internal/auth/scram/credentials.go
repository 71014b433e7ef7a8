package scram

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"

	"github.com/uniomq/unio/config/mistake"
	"github.com/uniomq/unio/internal/auth"
)

// Iterations of PBKDF2, which the client computes. RFC 7677, 4 asks for 4096 at least.
const (
	minIterations     = 4096
	maxIterations     = 10_000_000
	DefaultIterations = 10_000
)

const saltLength = 16 // bytes, of new credentials

// methods are what AUTH may name.
var methods = []struct {
	name   string // in AUTH
	prefix string // in the file
	hash   scram.HashGeneratorFcn
	length int // bytes of a key
}{
	{"SCRAM-SHA-256", "$scram-sha-256$", scram.SHA256, 32},
	{"SCRAM-SHA-512", "$scram-sha-512$", scram.SHA512, 64},
}

// Credentials are what the file has of one user: for each method an entry, as in methods.
type Credentials []scram.StoredCredentials

// NewCredentials makes the credentials of a password, which is normalized as RFC 4013 says.
func NewCredentials(iterations int, password []byte) (Credentials, error) {
	if iterations < minIterations || iterations > maxIterations {
		return nil, fmt.Errorf("expected %d to %d iterations, not %d", minIterations, maxIterations, iterations)
	}
	var all Credentials
	for _, m := range methods {
		client, err := m.hash.NewClient("user", string(password), "")
		if err != nil || len(password) == 0 || bytes.IndexByte(password, 0) >= 0 {
			return nil, errors.New("expected a password of printable characters that were known to Unicode 3.2 (RFC 4013)")
		}
		salt := make([]byte, saltLength)
		_, _ = rand.Read(salt) // it does not fail, see crypto/rand
		stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
		if err != nil {
			return nil, err
		}
		all = append(all, stored)
	}
	return all, nil
}

// String returns the credentials as the file has them.
func (c Credentials) String() string {
	texts := make([]string, len(c))
	for i, s := range c {
		b := base64.StdEncoding
		texts[i] = fmt.Sprintf("%s%d$%s$%s$%s", methods[i].prefix, s.Iters, b.EncodeToString([]byte(s.Salt)), b.EncodeToString(s.StoredKey), b.EncodeToString(s.ServerKey))
	}
	return strings.Join(texts, " ")
}

// parseCredentials reads what String writes.
func parseCredentials(text string) (Credentials, error) {
	fields := strings.Fields(text)
	if len(fields) != len(methods) {
		return nil, errors.New("expected two entries of credentials, as unio passwd -H scram writes them")
	}
	all := make(Credentials, len(methods))
	for i, m := range methods {
		rest, found := strings.CutPrefix(fields[i], m.prefix)
		parts := strings.Split(rest, "$")
		if !found || len(parts) != 4 {
			return nil, fmt.Errorf("expected %sITERATIONS$SALT$STOREDKEY$SERVERKEY", m.prefix)
		}
		n, err := strconv.Atoi(parts[0])
		if err != nil || n < minIterations || n > maxIterations {
			return nil, fmt.Errorf("expected %d to %d iterations in %s", minIterations, maxIterations, m.prefix)
		}
		var values [3][]byte
		for j, part := range parts[1:] {
			v, err := base64.StdEncoding.DecodeString(part)
			if err != nil || len(v) == 0 || j > 0 && len(v) != m.length {
				return nil, fmt.Errorf("expected SALT and keys of %d bytes in base64 in %s", m.length, m.prefix)
			}
			values[j] = v
		}
		all[i] = scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(values[0]), Iters: n}, StoredKey: values[1], ServerKey: values[2],
		}
	}
	return all, nil
}

// secretPrefix begins a line that is a comment to whoever does not know it. Behind it is a secret of secretLength bytes in base64, from
// which the salts of unknown users follow.
const (
	secretPrefix = "#unknown-users "
	secretLength = 32
)

// AddSecret sees to it that a file has a secret for the salts of unknown users. They stay as they are while users come and go, as those of
// known users do.
func AddSecret(e *auth.Editor) {
	secret := make([]byte, secretLength)
	_, _ = rand.Read(secret)
	e.AddComment(secretPrefix, base64.StdEncoding.EncodeToString(secret))
}

// File are the users of a file. It does not change.
type File struct {
	users      map[string]Credentials
	key        []byte // of the salts of unknown users
	stable     bool   // key is the file's secret
	iterations int    // of unknown users: those of the first user, which stay while others come and go
}

// Load reads a file. Its error is a mistake.Errors with all mistakes.
func Load(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, mistake.Errors{{File: path, Msg: "the file of credentials cannot be read: " + err.Error()}}
	}
	return parse(path, string(text))
}

func parse(path, text string) (*File, error) {
	f := &File{users: map[string]Credentials{}, iterations: DefaultIterations}
	var mistakes mistake.Errors
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		wrong := func(format string, args ...any) {
			mistakes = append(mistakes, &mistake.Error{File: path, Line: n, Msg: fmt.Sprintf(format, args...)})
		}
		if text, found := strings.CutPrefix(line, secretPrefix); found && !f.stable {
			if f.key, f.stable = parseSecret(text); !f.stable {
				wrong("expected %sand %d bytes in base64", secretPrefix, secretLength)
			}
		}
		if line == "" || line[0] == '#' {
			continue
		}
		user, rest, found := strings.Cut(line, ":")
		if user = strings.TrimSpace(user); !found || auth.CheckName(user) != nil {
			wrong("expected USER:CREDENTIALS")
			continue
		}
		c, err := parseCredentials(rest)
		switch {
		case err != nil:
			wrong("user %q: %v", user, err)
		case f.users[user] != nil:
			wrong("user %q is there twice", user)
		default:
			if len(f.users) == 0 {
				f.iterations = c[0].Iters
			}
			f.users[user] = c
		}
	}
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	f.prepareDecoys()
	return f, nil
}

func parseSecret(text string) (secret []byte, ok bool) {
	secret, err := base64.StdEncoding.DecodeString(text)
	return secret, err == nil && len(secret) == secretLength
}

// Warnings are what in the file may surprise.
func (f *File) Warnings() []string {
	if f.stable || len(f.users) == 0 {
		return nil
	}
	return []string{"whoever sees that the salts of unknown users change when another user is added learns which users there are: the next " +
		"`unio passwd -H scram` adds a secret that keeps them"}
}

// prepareDecoys sees to it that an unknown user gets an answer like a known one: the same salt each time, by the file's secret or, without
// one, as long as the file stays as it is.
func (f *File) prepareDecoys() {
	if f.stable {
		return
	}
	var lines []string
	for user, c := range f.users {
		lines = append(lines, user+":"+c.String())
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	f.key = sum[:]
}

// find returns the credentials of a user for a method, by its index, and whether the user exists.
func (f *File) find(user string, method int) (scram.StoredCredentials, bool) {
	if c := f.users[user]; c != nil {
		return c[method], true
	}
	m := hmac.New(sha256.New, f.key)
	m.Write([]byte(methods[method].name + ":" + user))
	never := make([]byte, methods[method].length)
	_, _ = rand.Read(never)
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(m.Sum(nil)[:saltLength]), Iters: f.iterations}, StoredKey: never, ServerKey: never,
	}, false
}
