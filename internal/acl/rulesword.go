package acl

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// A word is one of a line of a rules file. Blanks end it, except in quotes.
type word struct {
	raw    string // as it is written
	pieces []textPiece
}

var (
	errQuote  = errors.New(`expected a closing quote "`)
	errEscape = errors.New(`expected \" or \\ behind the backslash in quotes`)
	errText   = errors.New("expected text in UTF-8, without NUL and other control characters")
)

// splitWords takes a line apart. A word that begins with # begins a comment.
func splitWords(line string) ([]word, error) {
	if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return nil, errText
	}
	var words []word
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			return words, nil
		}
		w, n, err := firstWord(line)
		if err != nil {
			return nil, err
		}
		words = append(words, w)
		line = line[n:]
	}
}

// firstWord returns the word that line begins with, and its length.
func firstWord(line string) (w word, n int, err error) {
	for n < len(line) && line[n] != ' ' && line[n] != '\t' {
		if line[n] == '"' {
			text, size, err := quoted(line[n:])
			if err != nil {
				return w, 0, err
			}
			w.pieces = append(w.pieces, textPiece{text, true})
			n += size
			continue
		}
		size := strings.IndexAny(line[n:], " \t\"")
		if size < 0 {
			size = len(line) - n
		}
		w.pieces = append(w.pieces, textPiece{line[n : n+size], false})
		n += size
	}
	w.raw = line[:n]
	return w, n, nil
}

// quoted reads a quoted text, and returns how long it is with its quotes.
func quoted(s string) (text string, n int, err error) {
	var b strings.Builder
	for n = 1; n < len(s); n++ {
		switch s[n] {
		case '"':
			return b.String(), n + 1, nil
		case '\\':
			n++
			if n == len(s) || s[n] != '"' && s[n] != '\\' {
				return "", 0, errEscape
			}
		}
		b.WriteByte(s[n])
	}
	return "", 0, errQuote
}

// plain returns the word, if nothing of it is quoted.
func (w word) plain() (string, bool) {
	if len(w.pieces) != 1 || w.pieces[0].quoted {
		return "", false
	}
	return w.pieces[0].text, true
}

// cut takes KEY=VALUE,VALUE or KEY!=VALUE apart. ok is false if the word is no such thing.
func (w word) cut() (key string, negate bool, values [][]textPiece, ok bool) {
	first := w.pieces[0]
	if first.quoted {
		return "", false, nil, false
	}
	key, rest, found := strings.Cut(first.text, "=")
	if !found {
		return "", false, nil, false
	}
	key, negate = strings.CutSuffix(key, "!")
	pieces := append([]textPiece{{rest, false}}, w.pieces[1:]...)
	return key, negate, splitValues(pieces), true
}

// splitValues splits at commas outside of quotes. An empty value has no pieces.
func splitValues(pieces []textPiece) [][]textPiece {
	values := [][]textPiece{nil}
	for _, p := range pieces {
		if p.quoted {
			values[len(values)-1] = append(values[len(values)-1], p)
			continue
		}
		for i, s := range strings.Split(p.text, ",") {
			if i > 0 {
				values = append(values, nil)
			}
			if s != "" {
				values[len(values)-1] = append(values[len(values)-1], textPiece{s, false})
			}
		}
	}
	return values
}

// joined returns a value as text, quoted or not.
func joined(value []textPiece) string {
	var b strings.Builder
	for _, p := range value {
		b.WriteString(p.text)
	}
	return b.String()
}
