package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Error is one mistake in a configuration file.
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

// Errors are all mistakes of a configuration, in the order in which they were
// found; never empty when returned.
type Errors []*Error

// sort brings the mistakes of each file into the order of its lines; files stay in theirs.
func (e Errors) sort() {
	first := map[string]int{}
	for i, err := range e {
		if _, ok := first[err.File]; !ok {
			first[err.File] = i
		}
	}
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(first[a.File], first[b.File]), cmp.Compare(a.Line, b.Line))
	})
}

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

// Warning is something that a configuration says and that Unio does not do, or
// does in a way that may surprise. Its fields are those of [Error].
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

// problem is the text of a mistake without its position.
type problem string

func (p problem) Error() string { return string(p) }

// tlsProblem is a problem that makes an Error with TLS set.
type tlsProblem struct{ problem }

// expectedTLS is expected for settings of TLS.
func expectedTLS(format string, args ...any) error {
	return tlsProblem{problem("expected " + fmt.Sprintf(format, args...))}
}

// newError returns the mistake of an option.
func newError(at Origin, option string, err error) *Error {
	_, tls := errors.AsType[tlsProblem](err)
	return &Error{File: at.File, Line: at.Line, Option: option, Msg: err.Error(), TLS: tls}
}

// expected returns the problem "expected ...".
func expected(format string, args ...any) error {
	return problem("expected " + fmt.Sprintf(format, args...))
}
