package acl

import (
	"fmt"
	"strings"
)

// A placeholder stands in a filter, or in the value of a condition, for something of the client.
type placeholder struct {
	text string // as it is written: "%u"
	kind byte   // one of the letters below
	name string // of the attribute
}

// The kinds of placeholders.
const (
	phUser      = 'u'
	phClient    = 'c'
	phAddress   = 'i'
	phCN        = 'n'
	phGroup     = 'g' // has several values
	phAttribute = '{' // has several values
)

// many reports whether the placeholder may have several values.
func (p placeholder) many() bool { return p.kind == phGroup || p.kind == phAttribute }

// A part is a piece of a level: text, or a placeholder.
type part struct {
	text string
	ph   placeholder // if its kind is not 0
}

// A reader takes the first placeholder of a text apart. It returns how many bytes it has, 0 for none: the text then begins with a percent sign that
// stands for itself.
type reader func(s string) (ph placeholder, n int, err error)

// readACL knows the placeholders of acl_file.
func readACL(s string) (placeholder, int, error) {
	if len(s) > 1 && (s[1] == phUser || s[1] == phClient) {
		return placeholder{text: s[:2], kind: s[1]}, 2, nil
	}
	return placeholder{}, 0, nil
}

// readRules knows those of rules_file, where a percent sign that stands for itself is doubled: see splitParts.
func readRules(s string) (placeholder, int, error) {
	const want = "expected %%u, %%c, %%i, %%n, %%g or %%{ATTRIBUTE} behind the percent sign, or another one, not %q"
	if len(s) < 2 {
		return placeholder{}, 0, fmt.Errorf(want, s[1:])
	}
	switch s[1] {
	case phUser, phClient, phAddress, phCN, phGroup:
		return placeholder{text: s[:2], kind: s[1]}, 2, nil
	case phAttribute:
		end := strings.IndexByte(s, '}')
		if end < 3 {
			return placeholder{}, 0, fmt.Errorf(want, s[1:])
		}
		return placeholder{text: s[:end+1], kind: phAttribute, name: s[2:end]}, end + 1, nil
	case '%':
		return placeholder{}, 2, nil
	}
	return placeholder{}, 0, fmt.Errorf(want, s[1:2])
}

// splitParts takes a text apart. marked reports whether there are placeholders.
func splitParts(s string, read reader) (parts []part, marked bool, err error) {
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			parts = append(parts, part{text: text.String()})
			text.Reset()
		}
	}
	for len(s) > 0 {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			text.WriteString(s)
			break
		}
		text.WriteString(s[:i])
		s = s[i:]
		ph, n, err := read(s)
		switch {
		case err != nil:
			return nil, false, err
		case ph.kind == 0:
			text.WriteByte('%')
			n = max(n, 1)
		default:
			flush()
			parts = append(parts, part{ph: ph})
			marked = true
		}
		s = s[n:]
	}
	flush()
	return parts, marked, nil
}

// values returns what a placeholder stands for; known is false if that is not known of a client that is only remembered. An empty value stands for
// nothing: what contains it matches nothing.
func (f *facts) values(p *placeholder) (one string, several []string, known bool) {
	c := f.client
	switch p.kind {
	case phUser:
		return c.Username, nil, true
	case phClient:
		return c.ID, nil, true
	case phAddress:
		one = f.address
	case phCN:
		if c.Transport != nil {
			one = c.Transport.CommonName
		}
	case phGroup:
		several = f.groups
	case phAttribute:
		several = c.Attributes[p.name]
	}
	return one, several, !c.Partial || len(several) > 0
}
