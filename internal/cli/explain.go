package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/mqttscript"
)

// explanation is one call of unio explain.
type explanation struct {
	unio.Question
	file       string
	remote     remoteAPI
	version    string
	groups     []string
	roles      []string
	attributes []string
	asJSON     bool
}

// explainCommand returns the command "unio explain".
func explainCommand() *cobra.Command {
	var e explanation
	cmd := &cobra.Command{
		Use:   "explain {-c FILE | --url URL} --client ID [--user NAME] [FLAGS] ACTION [TOPIC]",
		Short: "Say what a client may do, and by which rule",
		Long: `Explain says whether a client may connect, publish, receive, subscribe or unsubscribe,
or leave a will, by the acl_file and the rules_file of a configuration. It names the
rule that decides with its file and line, what each placeholder stands for, and the
rules that would have decided otherwise but for one condition. It asks the same rules
in the same way as the broker does. Passwords are not asked for.

With --url it asks a running broker, by the rules that are in force there, through a
listener with protocol http_api. The login for it must be one that may read the topic
/api/v1/explain.

The exit status is 0 if it is allowed, 1 if it is denied, and 3 for wrong usage or a
broker that gives no answer.`,
		Example: `  unio explain -c /etc/unio/unio.conf --client dev-7 --user ann --address 10.1.2.3 publish plant/ann/t --qos 1
  unio explain -c /etc/unio/unio.conf --client dev-7 --group ops subscribe 'plant/#' --json
  unio explain --url https://broker:8443 --login admin --password-file pw --client dev-7 publish plant/7`,
		Args:          cobra.RangeArgs(1, 2),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.run(cmd, args)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&e.file, "config", "c", "", "the configuration `FILE` of the broker")
	e.remote.addFlags(fs)
	fs.StringVar(&e.ClientID, "client", "", "the client `ID`")
	fs.StringVar(&e.Username, "user", "", "the user `NAME`; none without this flag")
	fs.StringVar(&e.Address, "address", "", "the client's `IP` address")
	fs.StringVar(&e.Listener, "listener", "", "the `ADDRESS:PORT`, :PORT or path of the listener; the first one without this flag")
	fs.BoolVar(&e.TLS, "tls", false, "the connection is encrypted; the flags of certificates and keys imply it")
	fs.StringVar(&e.CommonName, "cn", "", "the common `NAME` of the client's certificate")
	fs.StringVar(&e.Subject, "subject", "", "the `DN` of the client's certificate")
	fs.StringArrayVar(&e.Names, "san", nil, "an alternative `NAME` of the client's certificate; may be repeated")
	fs.StringVar(&e.SHA256, "fingerprint", "", "the SHA-256 of the client's certificate in `HEX`")
	fs.StringVar(&e.PSK, "psk", "", "the `IDENTITY` of the pre-shared key")
	fs.StringArrayVar(&e.groups, "group", nil, "a `GROUP` that the authentication gives the client; may be repeated")
	fs.StringArrayVar(&e.roles, "role", nil, "a `ROLE` that the authentication gives the client; may be repeated")
	fs.StringArrayVar(&e.attributes, "attribute", nil, "another attribute of the client, as `NAME=VALUE`; may be repeated")
	fs.StringVar(&e.version, "mqtt-version", "5", "3.1, 3.1.1 or 5")
	fs.BoolVar(&e.CleanStart, "clean-start", false, "the client connects with Clean Start")
	fs.BoolVar(&e.HasWill, "has-will", false, "the client connects with a will")
	fs.Uint8Var(&e.QoS, "qos", 0, "the QoS of the message or subscription")
	fs.BoolVar(&e.Retain, "retain", false, "the message is to be retained")
	fs.BoolVar(&e.Dup, "dup", false, "the message is sent again")
	fs.IntVar(&e.Size, "size", 0, "the `BYTES` of the payload")
	fs.BoolVar(&e.asJSON, "json", false, "print JSON")
	cmd.SetFlagErrorFunc(exit.InvalidFlag)
	return cmd
}

func (e *explanation) run(cmd *cobra.Command, args []string) error {
	e.Action = args[0]
	if len(args) > 1 {
		e.Topic = args[1]
	}
	e.Anonymous = !cmd.Flags().Changed("user")
	if err := e.complete(); err != nil {
		return exit.With(exit.Invalid, err)
	}
	answer, err := e.ask(cmd.Context())
	if err != nil {
		return exit.With(exit.Invalid, err)
	}
	if e.asJSON {
		err = answer.WriteJSON(cmd.OutOrStdout())
	} else {
		_, err = io.WriteString(cmd.OutOrStdout(), e.text(answer))
	}
	if err != nil {
		return exit.With(exit.Failure, err)
	}
	if !answer.Allow {
		return exit.Reported(exit.Failure)
	}
	return nil
}

// ask asks the broker, or the configuration.
func (e *explanation) ask(ctx context.Context) (*unio.Answer, error) {
	if e.remote.url != "" {
		answer := &unio.Answer{}
		return answer, e.remote.get(ctx, "/api/v1/explain", e.Query(), answer)
	}
	cfg, err := config.Load(e.file)
	if err != nil {
		return nil, err
	}
	return unio.Explain(cfg, e.Question)
}

// complete turns flags into the question.
func (e *explanation) complete() error {
	if (e.file == "") == (e.remote.url == "") {
		return fmt.Errorf("expected either -c FILE, the configuration of the broker, or --url URL, where it runs")
	}
	if e.QoS > 2 {
		return fmt.Errorf("expected --qos 0, 1 or 2, not %d", e.QoS)
	}
	versions, err := mqttscript.ParseVersion(e.version)
	if err != nil {
		return err
	}
	e.Version = versions[0]
	e.Attributes = map[string][]string{}
	if len(e.groups) > 0 {
		e.Attributes["group"] = e.groups
	}
	if len(e.roles) > 0 {
		e.Attributes["role"] = e.roles
	}
	for _, a := range e.attributes {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return fmt.Errorf("expected --attribute NAME=VALUE, not %q", a)
		}
		e.Attributes[name] = append(e.Attributes[name], value)
	}
	return nil
}

// text writes an answer for people.
func (e *explanation) text(a *unio.Answer) string {
	var b strings.Builder
	word := "denied"
	if a.Allow {
		word = "allowed"
	}
	fmt.Fprintf(&b, "%s: %s", word, a.Action)
	if a.Topic != "" {
		fmt.Fprintf(&b, " %q", a.Topic)
	}
	fmt.Fprintf(&b, ", client %q", a.Client)
	if !e.Anonymous {
		fmt.Fprintf(&b, ", user %q", a.Username)
	}
	fmt.Fprintf(&b, ", listener %s\n", a.Listener)
	if a.Reason != "" {
		fmt.Fprintf(&b, "  %s\n", a.Reason)
	}
	for i := range a.Files {
		f := &a.Files[i]
		word := "denies"
		if f.Allow {
			word = "allows"
		}
		fmt.Fprintf(&b, "%s %s it:\n  %s\n", f.File, word, f)
		for _, p := range f.Placeholders {
			fmt.Fprintf(&b, "    %s is %s\n", p.Placeholder, orNothing(p.Values))
		}
		if len(f.NearMisses) > 0 {
			fmt.Fprint(&b, "  Near misses, which would have decided otherwise but for one condition:\n")
		}
		for _, m := range f.NearMisses {
			fmt.Fprintf(&b, "  %s\n    %s, and it is %s\n", m.Rule.String(), m.Condition, m.Is)
			for _, p := range m.Placeholders {
				fmt.Fprintf(&b, "    %s is %s\n", p.Placeholder, orNothing(p.Values))
			}
		}
	}
	return b.String()
}

// orNothing lists what a placeholder stands for.
func orNothing(values []string) string {
	if len(values) == 0 {
		return "nothing, and matches nothing"
	}
	return strings.Join(values, ", ")
}
