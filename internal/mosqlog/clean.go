package mosqlog

import (
	"strconv"
	"unicode/utf8"
)

// appendMessage appends a message. A tab may begin it, as in Mosquitto's lists of
// filters.
func appendMessage(line []byte, s string) []byte {
	if s != "" && s[0] == '\t' {
		line, s = append(line, '\t'), s[1:]
	}
	return appendClean(line, s)
}

// appendClean appends a text with control characters, C0, DEL and C1, and what is
// not UTF-8 as \xNN. Other characters that are not seen, but end a line (U+2028), turn the
// direction of what is beside them (U+202E) or hide in a name (U+200B), become \uNNNN or \UNNNNNNNN.
func appendClean(line []byte, s string) []byte {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r < ' ', r >= 0x7F && r < 0xA0:
			line = appendHex(line, byte(r))
		case r == utf8.RuneError && size == 1:
			line = appendHex(line, s[i])
		case r > 0x7F && !strconv.IsGraphic(r):
			quoted := strconv.AppendQuoteRuneToASCII(nil, r)
			line = append(line, quoted[1:len(quoted)-1]...)
		default:
			line = append(line, s[i:i+size]...)
		}
		i += size
	}
	return line
}

// Clean returns a text as lines of text have it.
func Clean(s string) string { return string(appendClean(nil, s)) }

func appendHex(line []byte, b byte) []byte {
	const digits = "0123456789abcdef"
	return append(line, '\\', 'x', digits[b>>4], digits[b&15])
}
