//go:build !windows

package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

// underServiceManager runs the broker: only Windows wants to hear more from a service than its signals and sd_notify tell.
func underServiceManager(run func(context.Context) error) error { return run(context.Background()) }

// serviceCommand returns unio service, which says who does it here.
func serviceCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "service",
		Short:  "Makes the broker a service of Windows.",
		Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			return &statusError{StatusInvalid, errors.New("unio service is for Windows; elsewhere the system's service manager starts unio, see docs/listeners.md")}
		},
	}
}
