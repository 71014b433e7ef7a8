package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/uniomq/unio/internal/cli/exit"
)

// flags are those of the broker.
type flags struct {
	configFile string
	ports      ports
	verbose    bool
	quiet      bool
	testConfig bool
	daemon     bool
	keyLog     string
}

// newRoot returns the command unio with its subcommands.
func newRoot(version string) *cobra.Command {
	var f flags
	root := &cobra.Command{
		Use:   "unio [-c FILE] [-d] [-p PORT] [-q] [-v] [--test-config]",
		Short: "unio is an MQTT broker for MQTT 3.1, 3.1.1 and 5.0.",
		Long: `unio is an MQTT broker for MQTT 3.1, 3.1.1 and 5.0.

Without a configuration file it listens on port 1883 of this machine alone and
lets everybody in. The file has the syntax of mosquitto.conf(5).`,
		Version: version,
		Args:    exit.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(context.Background(), cmd, version, &f, func() {})
		},
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
		CompletionOptions:     cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetVersionTemplate("unio version {{.Version}}\n")
	root.SetFlagErrorFunc(exit.InvalidFlag)
	fs := root.Flags()
	fs.SortFlags = false
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "config" { // what it was called before
			name = "config-file"
		}
		return pflag.NormalizedName(name)
	})
	fs.StringVarP(&f.configFile, "config-file", "c", "", "read the configuration from `FILE`")
	fs.BoolVarP(&f.daemon, "daemon", "d", false, "go on in the background once clients are served")
	fs.VarP(&f.ports, "port", "p", "listen on `PORT`; several add up; ignored if the file names a listener")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "log everything, whatever the file says")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "log nothing, whatever the file says")
	fs.BoolVar(&f.testConfig, "test-config", false, "check the configuration and exit: status 0 or 3; with -v show it, each value with its origin")
	fs.StringVar(&f.keyLog, "tls-keylog", "", "write the keys of TLS connections to `FILE`, to look into the traffic")
	return root
}

// ports is the flag -p.
type ports []uint16

// String returns the ports as one text.
func (p *ports) String() string {
	texts := make([]string, len(*p))
	for i, port := range *p {
		texts[i] = strconv.Itoa(int(port))
	}
	return strings.Join(texts, ",")
}

// Set adds a port.
func (p *ports) Set(s string) error {
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil || port == 0 {
		return fmt.Errorf("expected a port, 1 to 65535")
	}
	*p = append(*p, uint16(port))
	return nil
}

// Type names the kind of value in the usage.
func (p *ports) Type() string { return "port" }
