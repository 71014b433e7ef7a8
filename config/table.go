package config

import (
	"slices"
	"strings"
	"sync"
)

// Options returns all options: those of the broker, of listeners and of bridges,
// each part in alphabetical order.
func Options() []Option {
	var all []Option
	broker := slices.SortedFunc(slices.Values(append(slices.Clone(globalOptions), authOptions...)), func(a, b Option) int {
		return strings.Compare(a.Name, b.Name)
	})
	for _, part := range [][]Option{broker, listenerOptions, bridgeOptions} {
		all = append(all, part...)
	}
	for i := range all {
		o := &all[i]
		o.Since = newOptions[o.Name]
		if o.auth != nil || strings.HasPrefix(o.Name, "auth_ban_") {
			o.Since = "Unio"
		}
		switch {
		case o.Scope == PerBridge:
			o.Later = laterWork("connection")
		case o.State != Available:
			o.Later = laterWork(o.Name)
		}
	}
	return all
}

// table finds options by their words.
type table struct {
	all      []Option
	words    map[string]*Option // by name and alias
	prefixes map[string]*Option // by name and alias without their "*"
}

// options returns the table of all options, which is made once and then only read.
// The parser holds it rather than calls this: the functions that set an option are
// part of the table and may not refer to it.
var options = sync.OnceValue(func() *table {
	t := &table{all: Options(), words: map[string]*Option{}, prefixes: map[string]*Option{}}
	for i := range t.all {
		for _, name := range append([]string{t.all[i].Name}, t.all[i].Aliases...) {
			if prefix, cut := strings.CutSuffix(name, "*"); cut {
				t.prefixes[prefix] = &t.all[i]
			} else {
				t.words[name] = &t.all[i]
			}
		}
	}
	return t
})

// lookup returns the option that a word names, or nil.
func (t *table) lookup(word string) *Option {
	if o := t.words[word]; o != nil {
		return o
	}
	for prefix, o := range t.prefixes {
		if strings.HasPrefix(word, prefix) && word != prefix {
			return o
		}
	}
	return nil
}
