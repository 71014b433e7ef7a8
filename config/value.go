package config

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// value is the value of one line, read as its option's kind asks.
type value struct {
	on     bool   // Bool
	number int64  // Number; Duration in seconds
	text   string // Text and Fields: the whole; Word
}

// read reads the value of a line. The rest is what follows the words that were
// read, for the kinds that do not take the whole line.
func (o *Option) read(text string) (v value, rest string, err error) {
	if text == "" {
		return v, "", expected("%s, found nothing", o.Values())
	}
	if !utf8.ValidString(text) {
		return v, "", expected("UTF-8")
	}
	if o.Kind == Text || o.Kind == Fields {
		return value{text: text}, "", nil
	}
	word, rest := cutWord(text)
	v.text = word
	switch o.Kind {
	case Bool:
		v.on, err = readBool(word)
	case Number:
		v.number, err = o.readNumber(word)
	case Word:
		if !slices.Contains(o.Words, word) {
			err = expected("%s, not %q", o.Values(), word)
		}
	case Duration:
		v.number, err = readDuration(word)
	case Text, Fields: // above
	}
	return v, rest, err
}

// readBool reads Mosquitto's words for yes and no.
func readBool(word string) (bool, error) {
	switch word {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, expected("true or false, not %q", word)
}

// readNumber reads an integer: decimal, octal after 0 or hexadecimal after 0x, as
// strtol(3) does for Mosquitto.
func (o *Option) readNumber(word string) (int64, error) {
	n, err := strconv.ParseInt(word, 0, 64)
	if err != nil || strings.Contains(word, "_") {
		return 0, expected("a number, %s, not %q", o.Values(), word)
	}
	if n < o.Min && o.Lowest {
		n = o.Min
	}
	if n < o.Min || n > o.Max {
		return 0, expected("%s, not %s", o.Values(), word)
	}
	return n, nil
}

// seconds are the seconds of the units of time that Mosquitto knows.
var seconds = map[byte]int64{
	's': 1, 'h': 60 * 60, 'd': 24 * 60 * 60, 'w': 7 * 24 * 60 * 60,
	'm': 30 * 24 * 60 * 60, 'y': 365 * 24 * 60 * 60,
}

// readDuration reads a duration such as "14d" and returns it in seconds. What
// time.Duration cannot hold, 292 years, is not accepted.
func readDuration(word string) (int64, error) {
	const most = int64(math.MaxInt64 / time.Second)
	number, unit := word[:len(word)-1], word[len(word)-1]
	n, err := strconv.ParseInt(number, 10, 64)
	per, known := seconds[unit]
	if err != nil || !known || n < 1 || n > most/per {
		return 0, expected("a number from 1 on and one of s, h, d, w, m, y, such as 14d, not %q", word)
	}
	return n * per, nil
}

// readNetworks reads a list of addresses and networks. An IPv4 address in IPv6 form is one of IPv4.
func readNetworks(text string) (all []netip.Prefix, err error) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || strings.ContainsRune(blanks, r) }) {
		p, err := netip.ParsePrefix(word)
		if a, errAddr := netip.ParseAddr(word); errAddr == nil && a.Zone() == "" {
			a = a.Unmap()
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil || p.Addr().Is4In6() {
			return nil, expected("addresses and networks, such as 192.0.2.0/24, not %q", word)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// blanks separate words.
const blanks = " \t"

// cutWord returns the first word of a line and what follows it, trimmed.
func cutWord(line string) (word, rest string) {
	line = strings.Trim(line, blanks)
	if i := strings.IndexAny(line, blanks); i >= 0 {
		return line[:i], strings.TrimLeft(line[i:], blanks)
	}
	return line, ""
}
