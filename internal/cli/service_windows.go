package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/uniomq/unio/internal/cli/exit"
)

const (
	// serviceName is what Windows calls the broker.
	serviceName = "unio"
	// servicePatience is how long starting and stopping may take: a large store is opened and written out.
	servicePatience = 2 * time.Minute
)

// windowsService is the broker as the service manager sees it.
type windowsService struct {
	run func(ctx context.Context, ready func()) error
}

// Execute runs the broker until the manager wants it to stop. A broker that ends by itself has failed with the exit status that the command
// would have.
func (w windowsService) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (own bool, code uint32) {
	status <- svc.Status{State: svc.StartPending, WaitHint: uint32(servicePatience.Milliseconds())}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	running, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- w.run(ctx, func() { close(running) }) }()
	for {
		select {
		case <-running:
			running = nil
			status <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending, WaitHint: uint32(servicePatience.Milliseconds())}
				cancel()
			}
		case err := <-ended:
			return err != nil, uint32(exit.Status(err))
		}
	}
}

// serviceCommand returns unio service.
func serviceCommand(version string) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:       "service {install [-c FILE] | uninstall | start | stop | run [-c FILE]}",
		Short:     "Makes the broker a service of Windows.",
		Long:      "Makes the broker a service of Windows. The service manager itself starts it by run.",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"install", "uninstall", "start", "stop", "run"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "run" {
				return svc.Run(serviceName, windowsService{run: func(ctx context.Context, ready func()) error { return serve(ctx, cmd, version, &f, ready) }})
			}
			if err := controlService(args[0], f.configFile); err != nil {
				return exit.With(exit.Failure, fmt.Errorf("service %s: %w", args[0], err))
			}
			return nil
		},
	}
	cmd.SetFlagErrorFunc(exit.InvalidFlag)
	cmd.Flags().StringVarP(&f.configFile, "config-file", "c", "", "the `FILE` that the service reads its configuration from; log_dest should name a file there")
	return cmd
}

func controlService(action, file string) error {
	manager, err := mgr.Connect()
	if err != nil {
		return err
	}
	defer manager.Disconnect()
	if action == "install" {
		return installService(manager, file)
	}
	s, err := manager.OpenService(serviceName)
	if err != nil {
		return err
	}
	defer s.Close()
	switch action {
	case "uninstall":
		return s.Delete()
	case "start":
		if err := s.Start(); err != nil {
			return err
		}
		return awaitService(s, svc.StartPending, svc.Running)
	default: // stop
		if _, err := s.Control(svc.Stop); err != nil {
			return err
		}
		return awaitService(s, svc.StopPending, svc.Stopped)
	}
}

func installService(manager *mgr.Mgr, file string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"service", "run"}
	if file != "" {
		path, err := filepath.Abs(file) // a service starts in a folder of the system
		if err != nil {
			return err
		}
		args = append(args, "-c", path)
	}
	s, err := manager.CreateService(serviceName, program, mgr.Config{
		StartType: mgr.StartAutomatic, DisplayName: "Unio MQTT broker", Description: "MQTT broker for MQTT 3.1, 3.1.1 and 5.0.",
	}, args...)
	if err != nil {
		return err
	}
	return s.Close()
}

// awaitService waits while the service is on its way to a state.
func awaitService(s *mgr.Service, way, to svc.State) error {
	for end := time.Now().Add(servicePatience); ; time.Sleep(100 * time.Millisecond) {
		status, err := s.Query()
		switch {
		case err != nil:
			return err
		case status.State == to:
			return nil
		case status.State == svc.Stopped:
			return fmt.Errorf("it has stopped with status %d; its log says why, or unio --test-config", status.ServiceSpecificExitCode)
		case status.State != way && to == svc.Running, time.Now().After(end):
			return errors.New("it does not get there")
		}
	}
}
