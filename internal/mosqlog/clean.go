package mosqlog

import "unicode/utf8"

// appendMessage appends a message. A tab may begin it, as in Mosquitto's lists of
// filters.
func appendMessage(line []byte, s string) []byte {
	if s != "" && s[0] == '\t' {
		line, s = append(line, '\t'), s[1:]
	}
	return appendClean(line, s)
}

// appendClean appends a text with control characters, C0, DEL and C1, and what is
// not UTF-8 as \xNN.
func appendClean(line []byte, s string) []byte {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r < ' ', r >= 0x7F && r < 0xA0:
			line = appendHex(line, byte(r))
		case r == utf8.RuneError && size == 1:
			line = appendHex(line, s[i])
		default:
			line = append(line, s[i:i+size]...)
		}
		i += size
	}
	return line
}

func appendHex(line []byte, b byte) []byte {
	const digits = "0123456789abcdef"
	return append(line, '\\', 'x', digits[b>>4], digits[b&15])
}
