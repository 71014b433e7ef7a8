package topic

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// MaxBytes is the length of the longest name or filter that the wire format can carry [MQTT-4.7.3-3].
const MaxBytes = 65535

// What ValidName and ValidFilter return. ErrUTF8 makes the packet malformed
// (reason code 0x81); the others mean an invalid topic name (0x90) or an invalid
// topic filter (0x8F).
var (
	ErrEmpty    = errors.New("topic: empty")
	ErrTooLong  = errors.New("topic: longer than 65535 bytes")
	ErrUTF8     = errors.New("topic: not UTF-8, or contains a surrogate or NUL")
	ErrWildcard = errors.New("topic: misplaced wildcard")
	ErrShare    = errors.New("topic: malformed shared subscription")
)

// ValidName reports whether a client may publish to name; nil means that it may.
// Statement numbers are those of MQTT 5.0; the rules of 3.1.1 are the same.
func ValidName[S string | []byte](name S) error {
	if err := validText(name); err != nil {
		return err
	}
	for i := range len(name) {
		// [MQTT-4.7.0-1] [MQTT-3.3.2-2] A topic name must not contain wildcards.
		if c := name[i]; c == '+' || c == '#' {
			return ErrWildcard
		}
	}
	return nil
}

// ValidFilter reports whether a client may subscribe to filter, which may be a
// shared subscription; nil means that it may. ErrShare is the error of what would
// be a filter if it were not a shared subscription, as it is not in 3.1.1.
// [MQTT-4.7.1-3]
func ValidFilter(filter string) error {
	if err := validText(filter); err != nil {
		return err
	}
	for i := range len(filter) {
		c := filter[i]
		if c != '+' && c != '#' {
			continue
		}
		last := i+1 == len(filter)
		switch {
		case i > 0 && filter[i-1] != '/': // [MQTT-4.7.1-1] [MQTT-4.7.1-2] Both fill a whole level.
			return ErrWildcard
		case c == '#' && !last: // [MQTT-4.7.1-1] '#' is the last character.
			return ErrWildcard
		case c == '+' && !last && filter[i+1] != '/': // [MQTT-4.7.1-2]
			return ErrWildcard
		}
	}
	if strings.HasPrefix(filter, sharePrefix) {
		// [MQTT-4.8.2-1] The share name has at least one character. [MQTT-4.8.2-2] It
		// has no wildcard, and a slash and a topic filter follow it.
		if group, _, ok := SplitShare(filter); !ok || strings.ContainsAny(group, "+#") {
			return ErrShare
		}
	}
	return nil
}

// validText checks what holds for names and filters alike.
func validText[S string | []byte](s S) error {
	if len(s) == 0 { // [MQTT-4.7.3-1] At least one character.
		return ErrEmpty
	}
	if len(s) > MaxBytes { // [MQTT-4.7.3-3]
		return ErrTooLong
	}
	ascii := true
	for i := range len(s) {
		if s[i] == 0 { // [MQTT-4.7.3-2] [MQTT-1.5.4-2] No NUL.
			return ErrUTF8
		}
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	if ascii {
		return nil
	}
	// [MQTT-1.5.4-1] Well-formed UTF-8; package utf8 counts surrogates as malformed.
	valid := false
	switch s := any(s).(type) {
	case string:
		valid = utf8.ValidString(s)
	case []byte:
		valid = utf8.Valid(s)
	}
	if !valid {
		return ErrUTF8
	}
	return nil
}
