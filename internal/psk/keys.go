package psk

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/uniomq/unio/config/mistake"
)

// Keys are the identities and keys of a psk_file. They do not change, and may be used by any number of goroutines.
type Keys struct {
	keys map[string][]byte
}

// LoadKeys reads a file in the format of Mosquitto's psk_file: lines IDENTITY:KEY, the key in hexadecimal. A line that begins with # is a comment;
// an empty one means nothing. The error is a [mistake.Errors] with all mistakes of the file. It names identities, never keys.
func LoadKeys(path string) (*Keys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, mistake.Errors{{File: path, Msg: "the psk_file cannot be read: " + err.Error()}}
	}
	return parseKeys(path, string(text))
}

func parseKeys(path, text string) (*Keys, error) {
	k := &Keys{keys: map[string][]byte{}}
	first := map[string]int{} // the line of each identity
	var mistakes mistake.Errors
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		identity, digits, found := strings.Cut(line, ":")
		identity = strings.TrimSpace(identity)
		key, err := ParseKey(strings.TrimSpace(digits))
		switch {
		case !found: // the line may be a key: it is not shown
			err = errors.New("expected IDENTITY:KEY")
		case !validIdentity(identity):
			err = fmt.Errorf("expected an identity of 1 to %d bytes, UTF-8 without NUL, before the colon", MaxIdentity)
		case err != nil:
			err = fmt.Errorf("identity %q: %w", identity, err)
		case first[identity] > 0:
			err = fmt.Errorf("identity %q is in line %d already", identity, first[identity])
		}
		if err != nil {
			mistakes = append(mistakes, &mistake.Error{File: path, Line: n, Msg: err.Error()})
			continue
		}
		k.keys[identity], first[identity] = key, n
	}
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	return k, nil
}

// Lookup is for [ServerConfig]. The key must not be changed.
func (k *Keys) Lookup(identity string) (key []byte, ok bool) {
	key, ok = k.keys[identity]
	return key, ok
}

// Len returns the number of identities.
func (k *Keys) Len() int { return len(k.keys) }

// ParseKey reads a key in hexadecimal, without 0x. Its error does not show the key.
func ParseKey(digits string) ([]byte, error) {
	key, err := hex.DecodeString(digits)
	switch {
	case errors.Is(err, hex.ErrLength):
		return nil, errors.New("expected a key with an even number of hexadecimal digits")
	case err != nil:
		return nil, errors.New("expected a key of hexadecimal digits alone, without 0x")
	case len(key) == 0 || len(key) > MaxKey:
		return nil, fmt.Errorf("expected a key of 1 to %d bytes", MaxKey)
	}
	return key, nil
}
