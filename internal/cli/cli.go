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

	"github.com/uniomq/unio/internal/cli/clients"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/cli/passwd"
	"github.com/uniomq/unio/internal/cli/stored"
)

// Main runs the command with the arguments behind its name and returns the exit
// status. The version is what --version prints.
func Main(version string, args []string, stdout, stderr io.Writer) int {
	root := newRoot(version)
	root.AddCommand(testCommand(), passwd.Command(), explainCommand(), serviceCommand(version))
	root.AddCommand(clients.Commands(version)...)
	root.AddCommand(stored.Commands(load)...)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	status := exit.Status(err)
	if err != nil && !errors.Is(err, exit.ErrReported) {
		fmt.Fprintf(stderr, "Error: %v\n", err)
		if status == exit.Invalid {
			fmt.Fprintln(stderr, "See 'unio -h'.")
		}
	}
	return status
}
