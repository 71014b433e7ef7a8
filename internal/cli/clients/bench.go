package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio/internal/bench"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/mqtt"
)

// benchRun is one call of unio bench.
type benchRun struct {
	options       bench.Options
	tls           tlsConfig
	bind, version string
	warmUp        time.Duration
	json, quiet   bool
}

// benchCommand returns the command "unio bench", which puts load on any broker.
func benchCommand() *cobra.Command {
	var b benchRun
	cmd := &cobra.Command{
		Use:   "bench SCENARIO [--broker HOST:PORT | --broker URL] [OPTION...]",
		Short: "Put load on any broker and measure",
		Long: `Bench puts load on a broker and reports rates, latencies, what each message cost
the broker, and whether all of them arrived, once and in order. It exits with
status 1 if they did not.

Scenarios:
  one-to-one  each publisher has one subscriber (--pairs)
  fan-out     every subscriber receives every message (--publishers 1, --subscribers 1000)
  fan-in      the same with many publishers (--publishers 1000, --subscribers 1)
  shared      the subscribers form one shared group
  wildcards   a table of filters (--filters, --mix), of which each message matches one
  retained    a set of retained messages (-n) is stored, then sent to subscribers
  offline     messages (-n) queue for absent clients (--pairs), who then come back
  connect     connect and disconnect, some clients at a time (--connections)
  idle        connections that do nothing (--connections)
  slow        subscribers that never read, and publishers that go on

docs/bench.md says what each figure means.`,
		Example: `  unio bench one-to-one --qos 1 --pairs 100 --for 30s
  unio bench fan-in --rate 5000 --broker ws://127.0.0.1:8080/mqtt
  unio bench idle --connections 10000 --pid $(pidof unio) --bind 127.0.0.1-127.0.0.4`,
		Args:          benchScenario,
		ValidArgs:     bench.Scenarios(),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			b.options.Scenario = args[0]
			return b.do(cmd)
		},
	}
	b.flags(cmd)
	return cmd
}

func benchScenario(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return exit.With(exit.Invalid, fmt.Errorf("expected one scenario: %s", strings.Join(bench.Scenarios(), ", ")))
	}
	return nil
}

func (b *benchRun) flags(cmd *cobra.Command) {
	o, fs := &b.options, cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&o.Broker, "broker", "127.0.0.1:1883", "the broker's `ADDRESS`: HOST:PORT, or a URL with mqtt:, mqtts:, ws: or wss:")
	fs.IntVar(&o.PID, "pid", 0, "measure the CPU time and memory of the broker, whose process is `PID` (Linux)")
	fs.IntVarP(&o.QoS, "qos", "q", 0, "quality of service of publishers and subscribers")
	fs.IntVar(&o.Size, "size", bench.DefaultSize, "`BYTES` of a payload")
	fs.StringVarP(&b.version, "protocol-version", "V", "311", "MQTT `VERSION`: 311 or 5")
	fs.Float64Var(&o.Rate, "rate", 0, "messages, or connections, a second in all; 0: flat out")
	fs.IntVar(&o.Window, "window", 0, "messages that a publisher has in flight (20; of many publishers 1)")
	fs.DurationVar(&o.For, "for", 0, "measure for `TIME` (10s)")
	fs.IntVarP(&o.Messages, "messages", "n", 0, "measure `N` messages, or connections, instead (retained and offline: 100000)")
	fs.DurationVar(&b.warmUp, "warmup", bench.DefaultWarmUp, "`TIME` that does not count, before; 0: none")
	fs.DurationVar(&o.Patience, "patience", bench.DefaultPatience, "give up when nothing goes on for `TIME`")
	fs.DurationVar(&o.Settle, "settle", 0, "look at the broker's memory `TIME` after subscribing, storing or queueing (0)")
	fs.IntVar(&o.Pairs, "pairs", 0, "pairs of a publisher and a subscriber (one-to-one 100, offline 10)")
	fs.IntVar(&o.Publishers, "publishers", 0, "publishers")
	fs.IntVar(&o.Subscribers, "subscribers", 0, "subscribers")
	fs.IntVar(&o.Connections, "connections", 0, "connections (idle 1000, connect 50 at a time)")
	fs.IntVar(&o.Filters, "filters", 0, "filters of wildcards (100000)")
	fs.StringVar(&o.Mix, "mix", "", "which filters: exact, plus, hash or mixed (mixed)")
	fs.BoolVar(&o.Stored, "stored", false, "subscribers have sessions that outlive their connections")
	fs.StringVar(&b.bind, "bind", "", "connect from local `ADDRESSES` in turn: a list with commas, or a range FIRST-LAST")
	fs.StringVarP(&o.Username, "username", "u", "", "user `NAME`")
	fs.StringVarP(&o.Password, "pw", "P", "", "`PASSWORD`")
	fs.BoolVar(&b.json, "json", false, "report as JSON")
	fs.BoolVar(&b.quiet, "quiet", false, "print no progress")
	b.tls.flags(fs)
}

// do runs the scenario and prints the report.
func (b *benchRun) do(cmd *cobra.Command) error {
	if err := b.complete(); err != nil {
		return exit.With(exit.Invalid, err)
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var progress io.Writer
	if !b.quiet {
		progress = cmd.ErrOrStderr()
	}
	report, err := bench.Run(ctx, b.options, progress)
	if report != nil {
		if printErr := b.print(cmd.OutOrStdout(), report); err == nil {
			err = printErr
		}
		if err == nil && report.Failure() != "" {
			err = errors.New(report.Failure())
		}
	}
	var invalid *bench.OptionError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return exit.With(exit.Invalid, err)
	}
	return exit.With(exit.Failure, err)
}

// complete reads the flags that are texts.
func (b *benchRun) complete() error {
	o := &b.options
	versions := map[string]mqtt.Version{"311": mqtt.V311, "mqttv311": mqtt.V311, "4": mqtt.V311, "5": mqtt.V5, "mqttv5": mqtt.V5}
	var ok bool
	if o.Version, ok = versions[b.version]; !ok {
		return fmt.Errorf("--protocol-version %s: expected 311 or 5", b.version)
	}
	if o.WarmUp = b.warmUp; o.WarmUp == 0 {
		o.WarmUp = -1 // for bench 0 is the default
	}
	if b.bind != "" {
		var err error
		if o.Bind, err = bench.ParseBind(b.bind); err != nil {
			return err
		}
	}
	if err := b.tls.check(); err != nil {
		return err
	}
	return b.setTLS()
}

// setTLS makes the configuration for brokers that are spoken to with TLS. Options that ask for TLS do so for HOST:PORT too.
func (b *benchRun) setTLS() error {
	o := &b.options
	if !strings.Contains(o.Broker, "://") {
		if !b.tls.wanted(0) {
			return nil
		}
		o.Broker = "mqtts://" + o.Broker
	}
	u, err := url.Parse(o.Broker)
	if err != nil || u.Scheme != "mqtts" && u.Scheme != "wss" {
		return nil // bench finds what is wrong with it
	}
	o.TLS, err = b.tls.config(u.Hostname())
	return err
}

func (b *benchRun) print(w io.Writer, r *bench.Report) error {
	if !b.json {
		_, err := io.WriteString(w, r.Text())
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
