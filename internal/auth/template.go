package auth

import (
	"fmt"
	"strings"

	"github.com/uniomq/unio/broker"
)

// A Template is a text with places for what is known of a client: %u the user name, %c the client id, %a the IP address, %p the
// password, %% a percent sign. Which of them it may have is the caller's to say.
type Template struct {
	parts []templatePart
}

// templatePart is a text, or a place if the letter is not 0.
type templatePart struct {
	text   string
	letter byte
}

// ParseTemplate reads a template that may have places of these letters.
func ParseTemplate(text, letters string) (*Template, error) {
	t := &Template{}
	for {
		before, after, found := strings.Cut(text, "%")
		if before != "" {
			t.parts = append(t.parts, templatePart{text: before})
		}
		if !found {
			return t, nil
		}
		switch {
		case strings.HasPrefix(after, "%"):
			t.parts = append(t.parts, templatePart{text: "%"})
		case after != "" && strings.IndexByte(letters, after[0]) >= 0:
			t.parts = append(t.parts, templatePart{letter: after[0]})
		default:
			return nil, fmt.Errorf("expected one of %s behind %%, or %%%% for a percent sign, in %q", strings.Join(strings.Split(letters, ""), " "), text)
		}
		text = after[1:]
	}
}

// Has reports whether the template has a place of the letter.
func (t *Template) Has(letter byte) bool {
	for _, p := range t.parts {
		if p.letter == letter {
			return true
		}
	}
	return false
}

// Letters returns the letters of the places, in their order.
func (t *Template) Letters() string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.letter != 0 {
			b.WriteByte(p.letter)
		}
	}
	return b.String()
}

// Expand returns the text with what value says in the places.
func (t *Template) Expand(value func(letter byte) string) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.letter == 0 {
			b.WriteString(p.text)
		} else {
			b.WriteString(value(p.letter))
		}
	}
	return b.String()
}

// ValueOf returns what stands for a letter.
func ValueOf(letter byte, c *broker.Client, password []byte) string {
	switch letter {
	case 'u':
		return c.Username
	case 'c':
		return c.ID
	case 'a':
		if a := addressOf(c); a.IsValid() {
			return a.String()
		}
	case 'p':
		return string(password)
	}
	return ""
}

// SplitList returns what stands between the commas of a text, without blanks and without what is empty.
func SplitList(text string) []string {
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}
