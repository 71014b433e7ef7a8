package acl

import "strings"

// A glob is a text in which a star stands for any bytes, none included, and a placeholder for its value. Values never act as stars.
type glob struct {
	pieces [][]part // between the stars
	fixed  []string // the pieces, if they have no placeholders
}

// A textPiece is text of a value as it is written: in quotes or not.
type textPiece struct {
	text   string
	quoted bool
}

// newGlob reads a value. What is quoted stands for itself.
func newGlob(value []textPiece) (*glob, error) {
	g := &glob{pieces: [][]part{nil}}
	marked := false
	for _, v := range value {
		if v.quoted {
			g.add(part{text: v.text})
			continue
		}
		for i, s := range strings.Split(v.text, "*") {
			if i > 0 {
				g.pieces = append(g.pieces, nil)
			}
			parts, m, err := splitParts(s, readRules)
			if err != nil {
				return nil, err
			}
			marked = marked || m
			for _, p := range parts {
				if p.ph.many() {
					return nil, errManyValues
				}
				g.add(p)
			}
		}
	}
	if !marked {
		for _, piece := range g.pieces {
			s, _ := resolve(piece, nil)
			g.fixed = append(g.fixed, s)
		}
	}
	return g, nil
}

func (g *glob) add(p part) {
	last := len(g.pieces) - 1
	g.pieces[last] = append(g.pieces[last], p)
}

// exact returns the only text that the glob matches, if there is but one.
func (g *glob) exact() (string, bool) {
	if len(g.fixed) != 1 {
		return "", false
	}
	return g.fixed[0], true
}

// resolve writes a piece out. A placeholder without value makes it one that matches nothing.
func resolve(piece []part, f *facts) (string, bool) {
	var b strings.Builder
	for i := range piece {
		p := &piece[i]
		if p.ph.kind == 0 {
			b.WriteString(p.text)
			continue
		}
		value, _, _ := f.values(&p.ph)
		if value == "" {
			return "", false
		}
		b.WriteString(value)
	}
	return b.String(), true
}

// match reports whether the glob matches s as a whole.
func (g *glob) match(f *facts, s string) bool {
	pieces := g.fixed
	if pieces == nil {
		for _, piece := range g.pieces {
			text, ok := resolve(piece, f)
			if !ok {
				return false
			}
			pieces = append(pieces, text)
		}
	}
	first, last := pieces[0], pieces[len(pieces)-1]
	if len(pieces) == 1 {
		return s == first
	}
	s, ok := strings.CutPrefix(s, first)
	if !ok {
		return false
	}
	if s, ok = strings.CutSuffix(s, last); !ok {
		return false
	}
	for _, piece := range pieces[1 : len(pieces)-1] {
		if _, s, ok = strings.Cut(s, piece); !ok {
			return false
		}
	}
	return true
}
