package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/cli/account"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/files"
)

// process is a running broker.
type process struct {
	version string
	flags   *flags
	cfg     *config.Config // at the start
	log     *unio.Log
	server  *unio.Server
	pid     *pidFile
}

// serve runs the broker until SIGTERM or SIGINT, or until ctx ends. It calls ready when clients are served.
func serve(ctx context.Context, cmd *cobra.Command, version string, f *flags, ready func()) error {
	// Ready before the first listener is: who can connect can also stop the broker.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	signals := awaitSignals()

	if f.testConfig {
		return check(cmd, f)
	}
	if f.daemon && !isDaemon() {
		return startDaemon()
	}
	cfg, err := configure(f)
	if err != nil {
		return complain(startStatus(err), err)
	}
	log, err := unio.OpenLog(cfg.Log)
	if err != nil {
		return complain(exit.Invalid, err)
	}
	defer func() { _ = log.Close() }() // there is no log to tell of it
	p := &process{version: version, flags: f, cfg: cfg, log: log}
	p.greet()
	defer func() { p.pid.remove() }() // start writes it
	if err := p.start(); err != nil {
		return err
	}
	log.Info("unio version " + version + " running")
	ready()
	if err := notify("READY=1"); err != nil {
		log.Warn("tell the service manager: " + err.Error())
	}
	p.detach()
	handled, quiet := signals.handle(p), p.keepAlive()
	err = p.server.Wait(ctx)
	stop() // a second signal ends the process at once
	handled()
	quiet()
	_ = notify("STOPPING=1") // a courtesy: the end of the process says it as well
	log.Info("unio version " + version + " terminating")
	return p.finish(err)
}

// start brings the broker to where clients are served. What needs root comes first: it
// is given up before the first client is.
func (p *process) start() error {
	who, err := account.Of(p.cfg)
	if err == nil {
		err = p.giveLogs(who)
	}
	if err == nil {
		p.server, err = unio.New(p.cfg, p.log.Logger)
	}
	if err != nil {
		return report(p.log.Logger, exit.Invalid, err)
	}
	if err := p.giveLogs(who); err != nil {
		return report(p.log.Logger, exit.Failure, err)
	}
	p.server.Version, p.server.OwnsProcess = p.version, true
	if p.flags.keyLog != "" {
		keys, _, err := files.Append(p.flags.keyLog, 0o600)
		if err != nil {
			return report(p.log.Logger, exit.Failure, fmt.Errorf("--tls-keylog: %w", err))
		}
		p.server.KeyLog = keys // until the process ends
		p.log.Warn("--tls-keylog: whoever reads " + p.flags.keyLog + " can read what goes over TLS")
	}
	if err := p.takeSockets(); err != nil {
		return report(p.log.Logger, exit.Failure, fmt.Errorf("sockets of the service manager: %w", err))
	}
	if err := p.server.Listen(); err != nil {
		return report(p.log.Logger, exit.Failure, err)
	}
	if p.pid, err = writePID(p.cfg.PIDFile, who); err == nil {
		err = p.become(who)
	}
	if err == nil {
		err = p.server.Start()
	}
	if err != nil {
		return errors.Join(report(p.log.Logger, exit.Failure, err), p.server.Shutdown(context.Background()))
	}
	p.log.PublishTo(p.server.Broker())
	return nil
}

// detach ends a daemon's ties to who started it.
func (p *process) detach() {
	if !isDaemon() {
		return
	}
	p.log.Detach()
	if err := detachDaemon(); err != nil {
		p.log.Warn("detach from the terminal: " + err.Error())
	}
}

// finish stops the server after Wait returned err.
func (p *process) finish(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), unio.ShutdownTimeout)
	defer cancel()
	if err := errors.Join(err, p.server.Shutdown(ctx)); err != nil {
		return report(p.log.Logger, exit.Failure, err)
	}
	return nil
}

// load returns the configuration of a file; without one, an empty name, that of a broker without a file.
func load(file string) (*config.Config, error) {
	cfg := config.Default()
	if file != "" {
		var err error
		if cfg, err = config.Load(file); err != nil {
			return nil, err
		}
	}
	if dir := os.Getenv("MOSQUITTO_PERSISTENCE_LOCATION"); dir != "" { // it goes before the file, as in Mosquitto 2.1
		cfg.PersistenceLocation = dir
	}
	return cfg, nil
}

// configure returns the configuration of file and flags.
func configure(f *flags) (*config.Config, error) {
	cfg, err := load(f.configFile)
	if err != nil {
		return nil, err
	}
	cfg.UsePorts(f.ports...)
	switch {
	case f.testConfig: // -v shows the configuration
	case f.quiet:
		cfg.SetLogTypes(config.LogNone)
	case f.verbose:
		cfg.SetLogTypes(config.LogAll)
	}
	return cfg, nil
}

// check tests the configuration and the files that it names. It writes no file, and
// answers on standard error wherever the log is to go.
func check(cmd *cobra.Command, f *flags) error {
	if f.configFile == "" {
		return complain(exit.Invalid, errors.New("--test-config: expected a file as well, -c FILE"))
	}
	cfg, err := configure(f)
	if err != nil {
		return complain(exit.OfConfig(err), err)
	}
	warnings, err := unio.CheckFiles(cfg)
	if err == nil {
		_, err = account.Of(cfg)
	}
	if err != nil {
		return complain(exit.Invalid, err)
	}
	if f.quiet {
		return nil
	}
	to := config.Default().Log
	to.Timestamp, to.TimestampFormat = cfg.Log.Timestamp, cfg.Log.TimestampFormat
	log, err := unio.OpenLog(to)
	if err != nil {
		return complain(exit.Invalid, err)
	}
	defer func() { _ = log.Close() }() // nothing is left to be said then
	warn(log.Logger, append(cfg.Warnings, warnings...))
	if f.verbose {
		if _, err := cfg.WriteTo(cmd.OutOrStdout()); err != nil {
			return report(log.Logger, exit.Failure, err)
		}
	}
	log.Info("Configuration file is OK.")
	return nil
}

// startStatus is exit.OfConfig for the start, where Mosquitto ends otherwise if TLS cannot be set up.
func startStatus(err error) int {
	if exit.All(err, func(m *config.Error) bool { return m.TLS }) {
		return exit.Failure
	}
	return exit.OfConfig(err)
}

// greet logs what the broker starts with.
func (p *process) greet() {
	p.log.Info("unio version " + p.version + " starting")
	if p.flags.configFile == "" {
		p.log.Info("Using default config.")
	} else {
		p.log.Info("Config loaded from " + p.flags.configFile + ".")
	}
	warn(p.log.Logger, p.cfg.Warnings)
	if p.cfg.LocalOnly {
		p.log.Info("Starting in local only mode. Connections will only be possible from clients running on this machine.")
		p.log.Info("Create a configuration file which defines a listener to allow remote access.")
	}
}

// warn logs what the configuration says and Unio does not do.
func warn(log *slog.Logger, warnings []config.Warning) {
	for _, w := range warnings {
		log.Warn(w.String())
	}
}

// complain reports errors that come before the log is open, in the form that it has
// by default, and returns their status.
func complain(status int, err error) error {
	log, openErr := unio.OpenLog(config.Default().Log)
	if openErr != nil {
		return exit.With(status, err)
	}
	return errors.Join(report(log.Logger, status, err), log.Close())
}

// report logs an error and returns its status.
func report(log *slog.Logger, status int, err error) error {
	logError(log, err)
	return exit.Reported(status)
}

// logError logs an error, each mistake of a configuration in a line of its own.
func logError(log *slog.Logger, err error) {
	var mistakes config.Errors
	if !errors.As(err, &mistakes) {
		log.Error(err.Error())
		return
	}
	for _, m := range mistakes {
		log.Error(m.Error())
	}
}
