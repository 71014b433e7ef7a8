package mosqlog

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// layouts are the conversions of strftime(3), in the C locale, that time.Format
// knows.
var layouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'c': "Mon Jan _2 15:04:05 2006",
	'd': "02", 'D': "01/02/06", 'e': "_2", 'F': "2006-01-02", 'h': "Jan", 'H': "15", 'I': "03",
	'j': "002", 'm': "01", 'M': "04", 'p': "PM", 'r': "03:04:05 PM", 'R': "15:04", 'S': "05",
	'T': "15:04:05", 'x': "01/02/06", 'X': "15:04:05", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
}

// appendStrftime appends t in a format of strftime(3). A conversion that is not known
// stays as it is.
func appendStrftime(line []byte, t time.Time, format string) []byte {
	for {
		before, after, found := strings.Cut(format, "%")
		line = append(line, before...)
		if !found {
			return line
		}
		if after == "" {
			return append(line, '%')
		}
		line = appendConversion(line, t, after[0])
		format = after[1:]
	}
}

// appendConversion appends t as the conversion %c asks.
func appendConversion(line []byte, t time.Time, c byte) []byte {
	if layout, known := layouts[c]; known {
		return t.AppendFormat(line, layout)
	}
	switch c {
	case 's':
		return strconv.AppendInt(line, t.Unix(), 10)
	case 'k':
		return fmt.Appendf(line, "%2d", t.Hour())
	case 'l':
		return fmt.Appendf(line, "%2d", (t.Hour()+11)%12+1)
	case 'u':
		return fmt.Appendf(line, "%d", (int(t.Weekday())+6)%7+1)
	case 'w':
		return fmt.Appendf(line, "%d", t.Weekday())
	case 'C':
		return fmt.Appendf(line, "%02d", t.Year()/100)
	case 'V', 'G':
		year, week := t.ISOWeek()
		if c == 'G' {
			return strconv.AppendInt(line, int64(year), 10)
		}
		return fmt.Appendf(line, "%02d", week)
	case 't':
		return append(line, ' ') // not a tab: a line may begin with one and have no other
	case '%':
		return append(line, '%')
	}
	return append(line, '%', c)
}
