// Package exit holds the statuses that unio ends with, and the errors that carry them from a command
// to the end of the process.
package exit

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio/config/mistake"
)

// The exit statuses, which are Mosquitto's.
const (
	OK      = 0
	Failure = 1  // cannot listen, or failed while it ran
	Invalid = 3  // wrong arguments or configuration
	Plugin  = 13 // a plugin that cannot be used
)

// ErrReported stands for an error that the user was told of already.
var ErrReported = errors.New("reported")

// statusError is an error with its exit status.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// ExitCode returns the exit status for the process.
func (e *statusError) ExitCode() int { return e.status }

// With gives an error its status.
func With(status int, err error) error { return &statusError{status, err} }

// Reported is what a command returns that has told the user already.
func Reported(status int) error { return With(status, ErrReported) }

// Failed gives an error the status [Failure], unless it has one. nil stays nil.
func Failed(err error) error {
	var coded *statusError
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return With(Failure, err)
}

// Status is the status that a command exits with for its error.
func Status(err error) int {
	var coded interface{ ExitCode() int }
	switch {
	case err == nil:
		return OK
	case errors.As(err, &coded):
		return coded.ExitCode()
	default: // cobra's own errors: an unknown command, say
		return Invalid
	}
}

// OfConfig returns the status for an error of reading a configuration: Mosquitto has one of its own
// for plugins that it cannot load.
func OfConfig(err error) int {
	if All(err, ofPlugin) {
		return Plugin
	}
	return Invalid
}

// All reports whether err is the mistakes of a configuration, all of one kind.
func All(err error, kind func(*mistake.Error) bool) bool {
	var mistakes mistake.Errors
	return errors.As(err, &mistakes) && !slices.ContainsFunc(mistakes, func(m *mistake.Error) bool { return !kind(m) })
}

func ofPlugin(m *mistake.Error) bool {
	return strings.Contains(m.Option, "plugin") || strings.HasPrefix(m.Option, "auth_opt_")
}

// InvalidFlag is what a command does about a wrong flag: see [cobra.Command.SetFlagErrorFunc].
func InvalidFlag(_ *cobra.Command, err error) error { return With(Invalid, err) }

// NoArguments refuses arguments that are no flags.
func NoArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return With(Invalid, fmt.Errorf("unknown argument %q", args[0]))
	}
	return nil
}

// Arguments refuses another number of arguments than that of the names.
func Arguments(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return With(Invalid, fmt.Errorf("expected %v, not %d arguments", names, len(args)))
		}
		return nil
	}
}
