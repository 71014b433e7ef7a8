//go:build !windows

package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio/internal/cli/exit"
)

// serviceCommand returns unio service, which says who does it here.
func serviceCommand(string) *cobra.Command {
	return &cobra.Command{
		Use:    "service",
		Short:  "Makes the broker a service of Windows.",
		Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			return exit.With(exit.Invalid, errors.New("unio service is for Windows; elsewhere the system's service manager starts unio, see docs/listeners.md"))
		},
	}
}
