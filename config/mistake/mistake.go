// Package mistake holds what is told of the files that an operator writes: mistakes, which stop
// them from being used, and warnings, which do not. Each names its file and line, and says what was
// expected or what happens instead.
//
// It imports nothing of this module, so that whatever reads a file can tell of it without knowing
// the configuration. Package config has the same types under its own names.
package mistake

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Error is one mistake in a file.
type Error struct {
	// File is the file's name as it was given, or as found in include_dir.
	File string
	// Line counts from 1; 0 if the mistake is of the file as a whole.
	Line int
	// Option is the option's name as the file spells it; empty if there is none.
	Option string
	// Msg says what was expected.
	Msg string
	// TLS says that settings of TLS cannot be used. Mosquitto finds that out late, when it begins to
	// listen, and its exit status is another one.
	TLS bool
}

// Error returns "FILE:LINE: OPTION: what was expected".
func (e *Error) Error() string { return position(e.File, e.Line, e.Option) + e.Msg }

// Errors are all mistakes of a configuration or of a file that it names, in the order in which they
// were found; never empty when returned.
type Errors []*Error

// Error returns one line per mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the mistakes, for errors.As.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, err := range e {
		errs[i] = err
	}
	return errs
}

// Add returns e with the mistakes of another file, none of them twice. One of that file as a whole, or
// an err that is no Errors, is told of the place that names the file, if there is one.
func (e Errors) Add(err error, file string, line int, option string) Errors {
	if err == nil {
		return e
	}
	var mistakes Errors
	if !errors.As(err, &mistakes) {
		mistakes = Errors{{Msg: err.Error()}}
	}
	for _, m := range mistakes {
		if m.Line == 0 && file != "" {
			m = &Error{File: file, Line: line, Option: option, Msg: m.Msg}
		}
		if !slices.ContainsFunc(e, func(old *Error) bool { return *old == *m }) {
			e = append(e, m)
		}
	}
	return e
}

// Warning is something that a file says and that Unio does not do, or does in a way that may
// surprise. Its fields are those of [Error].
type Warning struct {
	File   string
	Line   int
	Option string
	Msg    string
}

// String returns "FILE:LINE: OPTION: what happens instead".
func (w Warning) String() string { return position(w.File, w.Line, w.Option) + w.Msg }

// position returns the part before the message, up to and with its last space.
func position(file string, line int, option string) string {
	s := file + ": "
	if line > 0 {
		s = fmt.Sprintf("%s:%d: ", file, line)
	}
	if option != "" {
		s += option + ": "
	}
	return s
}
