// Package cli is the command unio: its flags, its exit statuses and what makes a
// process of a server, such as signals and the process id's file. Started without a
// subcommand it is the broker and behaves as mosquitto(8) does.
//
// The package keeps no state and never exits by itself: [Main] returns the status.
package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// The exit statuses, which are Mosquitto's.
const (
	StatusOK      = 0
	StatusFailure = 1  // cannot listen, or failed while it ran
	StatusInvalid = 3  // wrong arguments or configuration
	StatusPlugin  = 13 // a plugin that cannot be used
)

// Main runs the command with the arguments behind its name and returns the exit
// status. The version is what --version prints.
func Main(version string, args []string, stdout, stderr io.Writer) int {
	root := newRoot(version)
	root.AddCommand(testCommand(), passwdCommand(), explainCommand(), migrateCommand(), dbCommand(), serviceCommand(version), benchCommand())
	root.AddCommand(clientCommands(version)...)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	status := exitStatus(err)
	if err != nil && !errors.Is(err, errReported) {
		fmt.Fprintf(stderr, "Error: %v\n", err)
		if status == StatusInvalid {
			fmt.Fprintln(stderr, "See 'unio -h'.")
		}
	}
	return status
}

// exitStatus is the status that a command exits with for its error.
func exitStatus(err error) int {
	var coded interface{ ExitCode() int }
	switch {
	case err == nil:
		return StatusOK
	case errors.As(err, &coded):
		return coded.ExitCode()
	default: // cobra's own errors: an unknown command, say
		return StatusInvalid
	}
}

// errReported stands for an error that the user was told of already.
var errReported = errors.New("reported")

// statusError is an error with its exit status.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// ExitCode returns the exit status for the process.
func (e *statusError) ExitCode() int { return e.status }

// invalid makes an error of wrong arguments.
func invalid(_ *cobra.Command, err error) error { return &statusError{StatusInvalid, err} }
