// Package clients holds the commands that are clients of a broker: pub, sub, rr and ctrl, which have
// the options, texts and exit statuses of Mosquitto's tools, and bench, which has their options of TLS.
package clients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/mqtt"
)

// Commands returns the commands pub, sub, rr, ctrl and bench. The version is what --version prints.
func Commands(version string) []*cobra.Command {
	return []*cobra.Command{
		clientCommand(toolPub, version, "Publish messages, as mosquitto_pub does", runPub),
		clientCommand(toolSub, version, "Subscribe and print messages, as mosquitto_sub does", runSub),
		clientCommand(toolRR, version, "Publish a request and print the answer, as mosquitto_rr does", runRR),
		clientCommand(toolCtrl, version, "Administer a broker by $CONTROL topics, as mosquitto_ctrl does", runCtrl),
		benchCommand(),
	}
}

// toolRun does the work of a tool when its options are read.
type toolRun func(ctx context.Context, c *clientConfig, s streams) error

// streams are the standard streams.
type streams struct {
	in  io.Reader
	out *output
}

// clientCommand returns the command of a tool, which also goes by the name of Mosquitto's.
func clientCommand(t tool, version, short string, run toolRun) *cobra.Command {
	cmd := &cobra.Command{
		Use:                t.word() + " [OPTION...]",
		Aliases:            []string{t.linkName()},
		Short:              short,
		DisableFlagParsing: true, // -h is the host: see argv.go
		SilenceUsage:       true,
		SilenceErrors:      true,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c := newClientConfig(t, "unio "+t.word())
		if cmd.CalledAs() == t.linkName() {
			c.name = t.linkName()
		}
		stdout, stderr := cmd.OutOrStdout(), cmd.ErrOrStderr()
		err := c.parse(args)
		switch {
		case c.help:
			c.usage(stdout)
			return c.afterInformation()
		case c.showVersion:
			fmt.Fprintf(stdout, "%s version %s\n", c.name, version)
			return c.afterInformation()
		}
		if err == nil {
			err = c.check()
		}
		if errors.Is(err, errNothingToSend) {
			fmt.Fprintln(stderr, err)
			c.usage(stdout)
			return exit.Reported(exit.Failure)
		}
		if err == nil {
			ctx := cmd.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			err = run(ctx, c, streams{cmd.InOrStdin(), newOutput(stdout, stderr, c.quiet)})
		}
		return c.conclude(err, stderr)
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		newClientConfig(t, "unio "+t.word()).usage(cmd.OutOrStdout())
	})
	return cmd
}

// afterInformation returns the status of --help and --version: Mosquitto's tools have
// 1, and scripts that link them rely on anything.
func (c *clientConfig) afterInformation() error {
	if c.name == c.tool.linkName() {
		return exit.Reported(exit.Failure)
	}
	return nil
}

// usage prints the help.
func (c *clientConfig) usage(w io.Writer) {
	var what, synopsis string
	switch c.tool {
	case toolPub:
		what = "publishes a message, or several, and ends."
		synopsis = "{-t TOPIC | -L URL} {-m MESSAGE | -f FILE | -s | -l | -n} [OPTION...]"
	case toolSub:
		what = "subscribes to topics and prints the messages that it receives."
		synopsis = "{-t TOPIC... | -U TOPIC... | -L URL} [OPTION...]"
	case toolCtrl:
		what = "administers a broker by its $CONTROL topics."
		synopsis = "[OPTION...] MODULE COMMAND [ARGUMENT...]\n\n" + ctrlHelp()
	default:
		what = "publishes a request, and prints the first message that comes as an answer."
		synopsis = "{-t TOPIC | -L URL} -e TOPIC {-m MESSAGE | -f FILE | -s | -n} [OPTION...]"
	}
	fmt.Fprintf(w, "%s %s\n\nUsage: %s %s\n\nOptions (defaults in parentheses):\n%s", c.name, what, c.name, synopsis, c.flagSet().FlagUsages())
}

// errNothingToSend makes pub print its usage.
var errNothingToSend = errors.New("Error: Both topic and message must be supplied.") //nolint:staticcheck // Mosquitto's words

// check finds options that do not fit each other, and completes them.
func (c *clientConfig) check() error {
	if err := c.checkWill(); err != nil {
		return err
	}
	if err := c.tls.check(); err != nil || c.tool == toolCtrl {
		return err
	}
	if err := c.checkSession(); err != nil {
		return err
	}
	if err := c.loadPayload(); err != nil {
		return err
	}
	switch c.tool {
	case toolPub:
		if len(c.topics) == 0 && !c.aliased() || c.payload == payloadNone {
			return errNothingToSend
		}
	case toolSub:
		switch {
		case len(c.topics) == 0 && len(c.unsubscribe) == 0:
			return badUsage("You must specify a topic to subscribe to.")
		case c.noRetained && c.retainedOnly:
			return &plainError{status: exit.Failure, text: "\nError: Combining '-R' and '--retained-only' makes no sense.\n"}
		}
	default:
		if len(c.topics) == 0 || c.response == "" || c.payload == payloadNone {
			return badUsage("All of topic, message, and response topic must be supplied.")
		}
	}
	return c.checkProperties()
}

// aliased reports whether a topic alias stands for the topic.
func (c *clientConfig) aliased() bool {
	l := c.props["publish"]
	return l != nil && l.Has(mqtt.PropTopicAlias)
}

func (c *clientConfig) checkWill() error {
	switch {
	case c.willSet.topic:
	case c.willSet.payload:
		return badUsage("Will payload given, but no will topic given.")
	case c.willSet.retain:
		return badUsage("Will retain given, but no will topic given.")
	}
	return nil
}

func (c *clientConfig) checkSession() error {
	if c.idGiven && c.id == "" {
		if c.tool == toolPub {
			return failed("Error: Invalid id.")
		}
		return failed("Error: Invalid id and/or clean_session.")
	}
	if c.unclean && !c.idGiven && c.idPrefix == "" {
		return badUsage("You must provide a client id if you are using the -c option.")
	}
	if c.version == mqtt.V5 && c.expiry != nil && *c.expiry == most32 && !c.idGiven {
		return badUsage("You must provide a client id if you are using an infinite session expiry interval.")
	}
	if c.version != mqtt.V5 && c.password != nil && c.username == nil { // [MQTT-3.1.2-22]
		return failed("Error: Problem setting username and/or password.")
	}
	return nil
}

// checkProperties finds properties that the specification forbids.
func (c *clientConfig) checkProperties() error {
	connect := c.props["connect"]
	if _, given := c.sessionExpiry(); given && connect != nil && connect.Has(mqtt.PropSessionExpiry) {
		return badUsageOf("Error in CONNECT properties: Duplicate property in property list")
	}
	publish := c.props["publish"]
	if c.tool == toolRR && publish != nil && publish.Has(mqtt.PropResponseTopic) {
		return badUsageOf("Error in PUBLISH properties: Duplicate response topic.")
	}
	for _, command := range []struct{ word, name string }{
		{"connect", "CONNECT"},
		{"publish", "PUBLISH"},
		{"subscribe", "SUBSCRIBE"},
		{"unsubscribe", "UNSUBSCRIBE"},
		{"disconnect", "DISCONNECT"},
		{"will", "Will"},
	} {
		if l := c.props[command.word]; l != nil {
			if err := l.check(); err != nil {
				return badUsageOf("Error in %s properties: %v", command.name, err)
			}
		}
	}
	return nil
}

// badUsageOf is badUsage with a text of its own at the beginning.
func badUsageOf(f string, args ...any) error { return &usageError{fmt.Sprintf(f, args...) + "\n"} }

// loadPayload reads the file of -f.
func (c *clientConfig) loadPayload() error {
	if c.payload != payloadFile {
		return nil
	}
	text, err := os.ReadFile(c.file)
	if err != nil {
		return failed("Error: Unable to open file \"%s\".\nError loading input file \"%s\".", c.file, c.file)
	}
	if len(text) > mqtt.MaxPacketSize {
		return failed("Error: File must be less than %d bytes.\n\nError loading input file \"%s\".", mqtt.MaxPacketSize, c.file)
	}
	c.text = text
	return nil
}

// readPayload reads standard input for -s.
func (c *clientConfig) readPayload(in io.Reader) error {
	if c.payload != payloadStdin {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(in, mqtt.MaxPacketSize+1))
	switch {
	case err != nil:
		return failed("Error loading input from stdin.")
	case len(text) > mqtt.MaxPacketSize:
		return failed("Error: Message length must be less than %d bytes.\n\nError loading input from stdin.", mqtt.MaxPacketSize)
	case len(text) == 0:
		return failed("Error: Zero length input.\nError loading input from stdin.")
	}
	c.text = text
	return nil
}
