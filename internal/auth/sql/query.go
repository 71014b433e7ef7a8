package sql

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// query is a query with places for parameters.
type query struct {
	text    string
	letters string // u, c or a for each parameter, in order
}

// parseQuery puts parameters in the place of %u, %c and %a. Within quotes they would be text, or worse be made part of the
// query by somebody who thinks that they must be quoted: that is a mistake.
func parseQuery(text string, numbered bool) (query, error) {
	var q query
	var b strings.Builder
	for i := 0; i < len(text); {
		if n := quoted(text[i:]); n > 0 {
			if strings.Contains(text[i:i+n], "%u") || strings.Contains(text[i:i+n], "%c") || strings.Contains(text[i:i+n], "%a") {
				return q, errors.New("expected %u, %c and %a outside of quotes and comments: they are parameters")
			}
			b.WriteString(text[i : i+n])
			i += n
			continue
		}
		if text[i] == '%' && i+1 < len(text) && strings.IndexByte("uca", text[i+1]) >= 0 && !wordAt(text[i+2:]) {
			q.letters += text[i+1 : i+2]
			if numbered {
				fmt.Fprintf(&b, "$%d", len(q.letters))
			} else {
				b.WriteByte('?')
			}
			i += 2
			continue
		}
		b.WriteByte(text[i])
		i++
	}
	q.text = b.String()
	return q, nil
}

// wordAt reports whether a text goes on as a word does: "10 %amount" is a remainder.
func wordAt(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// quoted returns the length of what is quoted, or a comment, at the beginning of a text; 0 for neither.
func quoted(text string) int {
	for _, q := range [...]struct{ begin, end string }{{"'", "'"}, {`"`, `"`}, {"`", "`"}, {"--", "\n"}, {"/*", "*/"}} {
		if !strings.HasPrefix(text, q.begin) {
			continue
		}
		if n := strings.Index(text[len(q.begin):], q.end); n >= 0 {
			return len(q.begin) + n + len(q.end)
		}
		return len(text)
	}
	return 0
}
