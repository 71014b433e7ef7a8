package mqttscript

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// maxLiterals bounds the bytes of all literals of one script, so that a short line
// such as 999999999*"x" cannot take the memory of the machine.
const maxLiterals = 32 << 20

// words splits a line at blanks that are not inside quotes. A word that begins
// with # begins a comment.
func words(line string) ([]string, error) {
	var out []string
	for {
		line = strings.TrimLeft(line, " \t\r")
		if line == "" || line[0] == '#' {
			return out, nil
		}
		n, err := wordLen(line)
		if err != nil {
			return nil, err
		}
		out = append(out, line[:n])
		line = line[n:]
	}
}

// wordLen returns the length of the word at the start of s.
func wordLen(s string) (int, error) {
	for i := 0; i < len(s); {
		switch s[i] {
		case ' ', '\t', '\r':
			return i, nil
		case '"':
			quoted, err := strconv.QuotedPrefix(s[i:])
			if err != nil {
				return 0, fmt.Errorf("a quoted text is not closed, or has a bad escape: %s", s[i:])
			}
			i += len(quoted)
		default:
			i++
		}
	}
	return len(s), nil
}

// splitChoice splits a word at | outside quotes.
func splitChoice(word string) []string {
	var out []string
	start, quoted := 0, false
	for i := 0; i < len(word); i++ {
		switch {
		case word[i] == '\\' && quoted:
			i++
		case word[i] == '"':
			quoted = !quoted
		case word[i] == '|' && !quoted:
			out = append(out, word[start:i])
			start = i + 1
		}
	}
	return append(out, word[start:])
}

// literals reads values and counts their bytes.
type literals struct{ size int }

// text reads a text: bare, "quoted", or N* before either. With hexToo a 0x... is
// the bytes it says.
func (l *literals) text(word string, hexToo bool) ([]byte, error) {
	data, err := l.textOnce(word, hexToo)
	if err != nil {
		return nil, err
	}
	return data, l.count(len(data))
}

func (l *literals) textOnce(word string, hexToo bool) ([]byte, error) {
	if count, unit, ok := cutRepeat(word); ok {
		once, err := l.textOnce(unit, hexToo)
		if err != nil {
			return nil, err
		}
		return l.repeat(once, count)
	}
	if strings.HasPrefix(word, `"`) {
		s, err := strconv.Unquote(word)
		if err != nil {
			return nil, fmt.Errorf("bad quoted text %s", word)
		}
		return []byte(s), nil
	}
	if strings.Contains(word, `"`) {
		return nil, fmt.Errorf("a quote inside the bare text %s", word)
	}
	if digits, ok := strings.CutPrefix(word, "0x"); ok && hexToo {
		return hexBytes(digits)
	}
	return []byte(word), nil
}

// raw reads one word of a RAW line: hex digits, "text", or N* before either.
func (l *literals) raw(word string) ([]byte, error) {
	data, err := l.rawOnce(word)
	if err != nil {
		return nil, err
	}
	return data, l.count(len(data))
}

func (l *literals) rawOnce(word string) ([]byte, error) {
	if count, unit, ok := cutRepeat(word); ok {
		once, err := l.rawOnce(unit)
		if err != nil {
			return nil, err
		}
		return l.repeat(once, count)
	}
	if strings.HasPrefix(word, `"`) {
		return l.textOnce(word, false)
	}
	return hexBytes(word)
}

func (l *literals) repeat(once []byte, count uint64) ([]byte, error) {
	if len(once) > 0 && count > uint64(maxLiterals/len(once)) {
		return nil, fmt.Errorf("a literal of more than %d bytes", maxLiterals)
	}
	return []byte(strings.Repeat(string(once), int(min(count, maxLiterals)))), nil
}

func (l *literals) count(n int) error {
	l.size += n
	if l.size > maxLiterals {
		return fmt.Errorf("the script's literals have more than %d bytes", maxLiterals)
	}
	return nil
}

// cutRepeat takes N*unit apart.
func cutRepeat(word string) (count uint64, unit string, ok bool) {
	digits, unit, found := strings.Cut(word, "*")
	if !found || digits == "" {
		return 0, "", false
	}
	count, err := strconv.ParseUint(digits, 10, 32)
	return count, unit, err == nil
}

func hexBytes(digits string) ([]byte, error) {
	data, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("hex digits expected, two for each byte: %s", digits)
	}
	return data, nil
}

// number reads a decimal or 0x number.
func number(word string) (uint64, error) {
	base, digits := 10, word
	if rest, ok := strings.CutPrefix(word, "0x"); ok {
		base, digits = 16, rest
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return 0, fmt.Errorf("a number expected, not %q", word)
	}
	return n, nil
}

// isName reports whether s can name a client or a capture.
func isName(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		if !letter && (i == 0 || (r < '0' || r > '9') && r != '-') {
			return false
		}
	}
	return s != ""
}
