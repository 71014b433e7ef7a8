package clients

import (
	"fmt"
	"strconv"
	"time"
)

// timeLayouts are the conversions of strftime(3), in the C locale, that package time
// has a layout for.
var timeLayouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'c': "Mon Jan _2 15:04:05 2006", 'd': "02",
	'D': "01/02/06", 'e': "_2", 'F': "2006-01-02", 'h': "Jan", 'H': "15", 'I': "03", 'j': "002", 'm': "01",
	'M': "04", 'p': "PM", 'r': "03:04:05 PM", 'R': "15:04", 'S': "05", 'T': "15:04:05", 'x': "01/02/06",
	'X': "15:04:05", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
}

// appendTime appends what strftime(3) prints for a conversion, and the nanoseconds for
// N, which is Mosquitto's own. What is unknown is printed as it is.
func appendTime(b []byte, verb byte, t time.Time) []byte {
	if layout, ok := timeLayouts[verb]; ok {
		return t.AppendFormat(b, layout)
	}
	year, week := t.ISOWeek()
	weekday := int(t.Weekday())
	switch verb {
	case 'C':
		return fmt.Appendf(b, "%02d", t.Year()/100)
	case 'g':
		return fmt.Appendf(b, "%02d", year%100)
	case 'G':
		return strconv.AppendInt(b, int64(year), 10)
	case 'k':
		return fmt.Appendf(b, "%2d", t.Hour())
	case 'l':
		return fmt.Appendf(b, "%2d", (t.Hour()+11)%12+1)
	case 'n':
		return append(b, '\n')
	case 'N':
		return fmt.Appendf(b, "%09d", t.Nanosecond())
	case 'P':
		return t.AppendFormat(b, "pm")
	case 's':
		return strconv.AppendInt(b, t.Unix(), 10)
	case 't':
		return append(b, '\t')
	case 'u':
		return strconv.AppendInt(b, int64((weekday+6)%7+1), 10)
	case 'U': // weeks begin on Sunday
		return fmt.Appendf(b, "%02d", (t.YearDay()+6-weekday)/7)
	case 'V':
		return fmt.Appendf(b, "%02d", week)
	case 'w':
		return strconv.AppendInt(b, int64(weekday), 10)
	case 'W': // weeks begin on Monday
		return fmt.Appendf(b, "%02d", (t.YearDay()+6-(weekday+6)%7)/7)
	}
	return append(b, '%', verb)
}
