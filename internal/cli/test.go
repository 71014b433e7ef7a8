package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/mqttscript"
)

// statusUsage is the exit status of unio test for wrong usage, a mistake in a script
// included; exit.Failure says that a script failed or the broker is out of reach.
const statusUsage = 2

// testRun is one call of unio test.
type testRun struct {
	out      io.Writer
	target   mqttscript.TCP
	runner   mqttscript.Runner
	versions []mqtt.Version
	verbose  bool
	results  []mqttscript.Result
}

// testCommand returns the command "unio test", which runs .mqtt scripts against
// any broker.
func testCommand() *cobra.Command {
	var (
		run      testRun
		junit    string
		versions []string
	)
	cmd := &cobra.Command{
		Use:   "test --broker HOST:PORT [PATH...]",
		Short: "Run .mqtt scripts against any broker",
		Long: `Test runs the .mqtt scripts given, or those of the folders given, against a broker
and reports each that fails, with the packets that really came. Without PATH it
runs those of the folder testdata. It exits with status 1 if a script fails.

The broker should be empty, and allow anonymous clients. A script that needs what
the broker does not offer, or control over it, is skipped.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			run.out = cmd.OutOrStdout()
			if err := run.setVersions(versions); err != nil {
				return exit.With(statusUsage, err)
			}
			return run.do(cmd.Context(), args, junit)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&run.target.Address, "broker", "", "the broker's `HOST:PORT` (port 1883 if left out)")
	flags.StringSliceVar(&versions, "version", nil, "run as clients of `VERSION` 3.1, 3.1.1 or 5 only; may be repeated")
	flags.DurationVar(&run.runner.Timeout, "timeout", mqttscript.DefaultTimeout, "how long an expected packet may take")
	flags.DurationVar(&run.runner.MaxWait, "max-wait", time.Minute, "skip scripts that wait longer in all")
	flags.StringSliceVar(&run.target.Offered, "offers", nil, "what the broker has that scripts may need, as `NAME,...`")
	flags.BoolVar(&run.runner.SilentClose, "silent-close", false, "accept a close without the DISCONNECT or refusing CONNACK expected before it")
	flags.StringVar(&junit, "junit", "", "also write a JUnit XML report to `FILE`")
	flags.BoolVarP(&run.verbose, "verbose", "v", false, "report every script, not only those that fail or are skipped")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exit.With(statusUsage, err) })
	return cmd
}

func (t *testRun) setVersions(names []string) error {
	for _, name := range names {
		vs, err := mqttscript.ParseVersion(name)
		if err != nil {
			return err
		}
		t.versions = append(t.versions, vs...)
	}
	if len(names) == 0 {
		t.versions = []mqtt.Version{mqtt.V31, mqtt.V311, mqtt.V5}
	}
	return nil
}

func (t *testRun) do(ctx context.Context, paths []string, junit string) error {
	if err := t.checkBroker(); err != nil {
		return exit.With(statusUsage, err)
	}
	scripts, err := loadScripts(paths)
	if err != nil {
		return exit.With(statusUsage, err)
	}
	conn, err := t.target.Dial(ctx)
	if err != nil {
		return exit.With(exit.Failure, fmt.Errorf("reach the broker: %w", err))
	}
	_ = conn.Close() // it was only to see whether anybody answers
	for _, s := range scripts {
		for _, v := range t.versions {
			if s.For(v) && ctx.Err() == nil {
				t.report(t.runner.Run(ctx, s, v, &t.target))
			}
		}
	}
	if junit != "" {
		if err := t.writeJUnit(junit); err != nil {
			return exit.With(exit.Failure, err)
		}
	}
	return t.conclude(ctx)
}

// checkBroker completes the address.
func (t *testRun) checkBroker() error {
	if t.target.Address == "" {
		return errors.New("--broker HOST:PORT is missing")
	}
	if _, _, err := net.SplitHostPort(t.target.Address); err != nil {
		t.target.Address = net.JoinHostPort(t.target.Address, "1883")
	}
	return nil
}

// hostFS is the whole file system with its own names, unlike os.DirFS.
type hostFS struct{}

func (hostFS) Open(name string) (fs.File, error) { return os.Open(name) }

func loadScripts(paths []string) ([]*mqttscript.Script, error) {
	if len(paths) == 0 {
		paths = []string{"testdata"}
		if _, err := os.Stat(paths[0]); err != nil {
			return nil, errors.New("which scripts? Give files or folders; there is no folder testdata here")
		}
	}
	return mqttscript.Load(hostFS{}, paths...)
}

func (t *testRun) report(r mqttscript.Result) {
	t.results = append(t.results, r)
	switch {
	case r.Status == mqttscript.Failed:
		fmt.Fprintln(t.out, r.Transcript())
	case r.Status == mqttscript.Skipped || t.verbose:
		fmt.Fprintln(t.out, r)
	}
}

// conclude prints the sums, and fails if a script did or if not all have run.
func (t *testRun) conclude(ctx context.Context) error {
	failed := 0
	for _, v := range t.versions {
		count := map[mqttscript.Status]int{}
		for _, r := range t.results {
			if r.Version == v {
				count[r.Status]++
			}
		}
		failed += count[mqttscript.Failed]
		fmt.Fprintf(t.out, "MQTT %-5s  %3d ok, %d failed, %d skipped\n", mqttscript.VersionName(v),
			count[mqttscript.Passed], count[mqttscript.Failed], count[mqttscript.Skipped])
	}
	if err := ctx.Err(); err != nil {
		return exit.With(exit.Failure, fmt.Errorf("not all scripts were run: %w", err))
	}
	switch {
	case failed == 1:
		return exit.With(exit.Failure, errors.New("1 script failed"))
	case failed > 1:
		return exit.With(exit.Failure, fmt.Errorf("%d scripts failed", failed))
	}
	return nil
}

func (t *testRun) writeJUnit(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := mqttscript.WriteJUnit(f, "unio test", t.results); err != nil {
		_ = f.Close() // the first error counts
		return err
	}
	return f.Close()
}
