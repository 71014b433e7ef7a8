package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio"
	"github.com/uniomq/unio/config"
)

// serve runs the broker until SIGTERM or SIGINT.
func serve(_ *cobra.Command, version string, f *flags) error {
	// Ready before the first listener is: who can connect can also stop the broker.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	cfg, err := configure(f)
	if err != nil {
		return err
	}
	if f.testConfig { // writes no file and shows the answer, wherever the log is to go
		cfg.Log.Stdout, cfg.Log.Stderr, cfg.Log.File = false, true, ""
	}
	log, closer, err := unio.OpenLog(cfg.Log)
	if err != nil {
		return complain(StatusInvalid, err)
	}
	defer closer.Close()
	if f.testConfig {
		warn(log, cfg)
		log.Info("Configuration is valid.")
		return nil
	}
	defer warnOnSignals(log)()
	greet(log, version, f.configFile, cfg)
	if err := writePID(cfg.PIDFile); err != nil {
		return report(log, StatusFailure, err)
	}
	defer removePID(cfg.PIDFile)
	server, err := unio.New(cfg, log)
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		return report(log, StatusFailure, err)
	}
	log.Info("unio version " + version + " running")
	err = server.Wait(ctx)
	stop() // a second signal ends the process at once
	log.Info("unio version " + version + " terminating")
	return finish(log, server, err)
}

// finish stops the server after Wait returned err.
func finish(log *slog.Logger, server *unio.Server, err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), unio.ShutdownTimeout)
	defer cancel()
	if err := errors.Join(err, server.Shutdown(ctx)); err != nil {
		return report(log, StatusFailure, err)
	}
	return nil
}

// configure returns the configuration of file and flags. Its mistakes are reported.
func configure(f *flags) (*config.Config, error) {
	cfg := config.Default()
	if f.configFile != "" {
		var err error
		if cfg, err = config.Load(f.configFile); err != nil {
			return nil, complain(statusOf(err), err)
		}
	}
	if cfg.User != "" && cfg.User != "root" && os.Geteuid() == 0 {
		return nil, complain(StatusInvalid,
			fmt.Errorf("user: changing the user is not available yet; start unio as %s, not as root", cfg.User))
	}
	cfg.UsePorts(f.ports...)
	switch {
	case f.quiet:
		cfg.Log.Types = config.LogNone
	case f.verbose:
		cfg.Log.Types = config.LogAll
	}
	return cfg, nil
}

// statusOf returns the exit status for the mistakes of a configuration: Mosquitto has
// one of its own for plugins that it cannot load.
func statusOf(err error) int {
	var mistakes config.Errors
	if !errors.As(err, &mistakes) {
		return StatusInvalid
	}
	for _, m := range mistakes {
		if !strings.Contains(m.Option, "plugin") && !strings.HasPrefix(m.Option, "auth_opt_") {
			return StatusInvalid
		}
	}
	return StatusPlugin
}

// greet logs what the broker starts with.
func greet(log *slog.Logger, version, file string, cfg *config.Config) {
	log.Info("unio version " + version + " starting")
	if file == "" {
		log.Info("Using default config.")
	} else {
		log.Info("Config loaded from " + file + ".")
	}
	warn(log, cfg)
	if cfg.LocalOnly {
		log.Info("Starting in local only mode. Connections will only be possible from clients running on this machine.")
		log.Info("Create a configuration file which defines a listener to allow remote access.")
	}
}

// warn logs what the configuration says and Unio does not do.
func warn(log *slog.Logger, cfg *config.Config) {
	for _, w := range cfg.Warnings {
		log.Warn(w.String())
	}
}

// complain reports errors that come before the log is open, in the form that it has
// by default, and returns their status.
func complain(status int, err error) error {
	log, closer, openErr := unio.OpenLog(config.Default().Log)
	if openErr != nil {
		return &statusError{status, err}
	}
	defer closer.Close()
	return report(log, status, err)
}

// report logs an error, each mistake of a configuration in a line of its own, and
// returns its status.
func report(log *slog.Logger, status int, err error) error {
	var mistakes config.Errors
	if errors.As(err, &mistakes) {
		for _, m := range mistakes {
			log.Error(m.Error())
		}
	} else {
		log.Error(err.Error())
	}
	return &statusError{status, errReported}
}

// writePID writes the process id to a file; an empty path is none.
func writePID(path string) error {
	if path == "" {
		return nil
	}
	const mode = 0o644 // what starts and stops the broker may be another user
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), mode); err != nil {
		return fmt.Errorf("pid_file: %w", err)
	}
	return nil
}

// removePID removes what writePID wrote.
func removePID(path string) {
	if path != "" {
		_ = os.Remove(path) // it may be gone, or the folder is not ours any more
	}
}
