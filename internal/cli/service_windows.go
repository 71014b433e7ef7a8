package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kardianos/service"
	"github.com/spf13/cobra"
)

// serviceName is what Windows calls the broker.
const serviceName = "unio"

// windowsService is the broker between Start and Stop of the service manager.
type windowsService struct {
	run    func(context.Context) error
	cancel context.CancelFunc
	ended  chan struct{}
}

// Start returns at once, as the manager wants it.
func (w *windowsService) Start(service.Service) error {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	go func() {
		defer close(w.ended)
		if err := w.run(ctx); err != nil && ctx.Err() == nil {
			os.Exit(StatusFailure) // else the manager takes it for running; what was wrong is in the log
		}
	}()
	return nil
}

// Stop ends the broker and waits for it.
func (w *windowsService) Stop(service.Service) error {
	w.cancel()
	<-w.ended
	return nil
}

// underServiceManager runs the broker, as a service if it is the service manager that has started the process.
func underServiceManager(run func(context.Context) error) error {
	if service.Interactive() {
		return run(context.Background())
	}
	s, err := service.New(&windowsService{run: run, ended: make(chan struct{})}, &service.Config{Name: serviceName})
	if err != nil {
		return &statusError{StatusFailure, err}
	}
	return s.Run()
}

// serviceCommand returns unio service.
func serviceCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:       "service {install [-c FILE] | uninstall | start | stop}",
		Short:     "Makes the broker a service of Windows.",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"install", "uninstall", "start", "stop"},
		RunE:      func(_ *cobra.Command, args []string) error { return controlService(args[0], file) },
	}
	cmd.SetFlagErrorFunc(invalid)
	cmd.Flags().StringVarP(&file, "config-file", "c", "", "the `FILE` that the service reads its configuration from; log_dest should name a file there")
	return cmd
}

func controlService(action, file string) error {
	config := &service.Config{Name: serviceName, DisplayName: "Unio MQTT broker", Description: "MQTT broker for MQTT 3.1, 3.1.1 and 5.0."}
	if file != "" {
		path, err := filepath.Abs(file) // a service starts in a folder of the system
		if err != nil {
			return &statusError{StatusInvalid, err}
		}
		config.Arguments = []string{"-c", path}
	}
	s, err := service.New(&windowsService{}, config)
	if err == nil {
		err = service.Control(s, action)
	}
	if err != nil {
		return &statusError{StatusFailure, fmt.Errorf("service %s: %w", action, err)}
	}
	return nil
}
