//go:build !windows

package cli

import (
	"errors"

	"github.com/spf13/cobra"
)

// serviceCommand returns unio service, which says who does it here.
func serviceCommand(string) *cobra.Command {
	return &cobra.Command{
		Use:    "service",
		Short:  "Makes the broker a service of Windows.",
		Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			return &statusError{StatusInvalid, errors.New("unio service is for Windows; elsewhere the system's service manager starts unio, see docs/listeners.md")}
		},
	}
}
