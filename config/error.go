package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/uniomq/unio/config/mistake"
)

// What is told of a configuration, with file and line.
type (
	// Error is one mistake.
	Error = mistake.Error
	// Errors are all mistakes, in the order in which they were found; never empty when returned.
	Errors = mistake.Errors
	// Warning is something that Unio does not do, or does in a way that may surprise.
	Warning = mistake.Warning
)

// sortMistakes brings the mistakes of each file into the order of its lines; files stay in theirs.
func sortMistakes(all Errors) {
	first := map[string]int{}
	for i, err := range all {
		if _, ok := first[err.File]; !ok {
			first[err.File] = i
		}
	}
	slices.SortStableFunc(all, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(first[a.File], first[b.File]), cmp.Compare(a.Line, b.Line))
	})
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
