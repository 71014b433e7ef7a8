package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/uniomq/unio/internal/cli/ask"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/client"
	"github.com/uniomq/unio/internal/dynsec"
	"github.com/uniomq/unio/mqtt"
)

// The exit statuses of ctrl besides the usual ones, which are Mosquitto's.
const (
	statusNoModule  = 10
	statusNoCommand = 13
)

// ctrlWait is how long ctrl waits for an answer.
const ctrlWait = 10 * time.Second

// ctrlModule is a part of the broker that ctrl speaks to.
type ctrlModule struct {
	name, topic string
	commands    []ctrlCommand
}

// ctrlModules are all modules.
var ctrlModules = []ctrlModule{
	{"broker", "$CONTROL/broker/v1", brokerCommands},
	{"dynsec", dynsec.Topic, dynsecCommands},
}

// ctrlHelp lists all commands.
func ctrlHelp() string {
	var b strings.Builder
	b.WriteString("Modules and their commands:\n")
	for _, m := range ctrlModules {
		for _, c := range m.commands {
			b.WriteString(strings.TrimRight(fmt.Sprintf("  %s %s %s", m.name, c.name, c.arguments), " ") + "\n")
		}
	}
	b.WriteString("  dynsec init FILE USERNAME [PASSWORD]")
	return b.String()
}

// runCtrl does one command.
func runCtrl(ctx context.Context, c *clientConfig, s streams) error {
	if len(c.rest) < 2 {
		var b bytes.Buffer
		c.usage(&b)
		s.out.write(b.Bytes())
		return &plainError{status: exit.Failure}
	}
	var module *ctrlModule
	for i := range ctrlModules {
		if strings.EqualFold(ctrlModules[i].name, c.rest[0]) {
			module = &ctrlModules[i]
		}
	}
	if module == nil {
		return &plainError{status: statusNoModule, text: fmt.Sprintf("Error: Module '%s' not supported.\n", c.rest[0])}
	}
	name, args := c.rest[1], c.rest[2:]
	asks := &asker{in: s.in, out: s.out}
	switch {
	case strings.EqualFold(name, "help"):
		s.out.write([]byte(ctrlHelp() + "\n"))
		return nil
	case module.topic == dynsec.Topic && strings.EqualFold(name, "init"):
		return initDynsec(args, asks, s)
	}
	for i := range module.commands {
		if cmd := &module.commands[i]; strings.EqualFold(cmd.name, name) {
			return c.ask(ctx, module, cmd, args, asks, s)
		}
	}
	return &plainError{status: statusNoCommand, text: fmt.Sprintf("Command '%s' not recognised.\n", name)}
}

// ask sends a command and prints the answer.
func (c *clientConfig) ask(ctx context.Context, m *ctrlModule, cmd *ctrlCommand, args []string, asks *asker, s streams) error {
	request, err := cmd.build(args, asks)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(map[string]any{"commands": []any{request}})
	if err != nil {
		return err
	}
	var answer []byte
	if c.file != "" {
		answer, err = offline(c.file, m, payload)
	} else {
		answer, err = c.exchange(ctx, m.topic, payload, asks, s)
	}
	if err != nil {
		return err
	}
	return c.show(answer, cmd, s)
}

// offline does a command on a file of dynamic security that no broker has.
func offline(path string, m *ctrlModule, payload []byte) ([]byte, error) {
	if m.topic != dynsec.Topic {
		return nil, badUsage("-f is for the module dynsec alone.")
	}
	answer, err := dynsec.Offline(path, payload)
	if err != nil {
		return nil, failed("Error: %v", err)
	}
	return answer, nil
}

// exchange sends a request and waits for the answer.
func (c *clientConfig) exchange(ctx context.Context, topic string, payload []byte, asks *asker, s streams) ([]byte, error) {
	if c.username != nil && c.password == nil {
		password, err := asks.once("Password for " + *c.username + ": ")
		if err != nil {
			return nil, failed("Error getting password.")
		}
		c.password = &password
	}
	if c.unix == "" && !c.tls.wanted(c.port) && !c.quiet {
		s.out.errorf("Warning: without TLS whoever is on the way to the broker can read what is sent, passwords too.\n\n")
	}
	answers := make(chan []byte, 1)
	link, err := c.newLink(s.out, func(p *mqtt.Publish) {
		select {
		case answers <- bytes.Clone(p.Payload):
		default: // there is one already
		}
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, ctrlWait)
	defer cancel()
	conn, err := link.open(ctx)
	if err != nil {
		return nil, err
	}
	defer link.disconnect(conn, mqtt.NormalDisconnection)
	ack, err := conn.Subscribe(ctx, &mqtt.Subscribe{Subscriptions: []mqtt.Subscription{{Filter: topic + "/response", Options: mqtt.SubscribeOptions(c.qos)}}})
	if err != nil {
		return nil, lossError(err)
	}
	if ack.Reasons[0].Failed() {
		return nil, failed("Subscribe error: %s", reasonText(ack.Reasons[0]))
	}
	delivery, err := conn.Publish(ctx, &mqtt.Publish{Topic: []byte(topic), Payload: payload, QoS: c.qos})
	if err != nil {
		return nil, lossError(err)
	}
	return awaitAnswer(ctx, conn, delivery, answers)
}

// awaitAnswer waits for the answer. It may come before or behind the acknowledgement.
func awaitAnswer(ctx context.Context, conn *client.Client, d *client.Delivery, answers <-chan []byte) ([]byte, error) {
	acknowledged := d.Done()
	for {
		select {
		case answer := <-answers:
			return answer, nil
		case <-acknowledged:
			if acknowledged = nil; d.Reason().Failed() {
				return nil, failed("Publish error: %s", reasonText(d.Reason()))
			}
		case <-conn.Done():
			select {
			case answer := <-answers: // it was the last thing that came
				return answer, nil
			default:
				return nil, lossError(conn.Err())
			}
		case <-ctx.Done():
			return nil, &plainError{status: statusTimeout, text: "Error: The broker does not answer.\n"}
		}
	}
}

// show prints the answer to one command.
func (c *clientConfig) show(answer []byte, cmd *ctrlCommand, s streams) error {
	var whole struct {
		Error     string
		Responses []struct {
			Command, Error string
			Data           json.RawMessage
		}
	}
	switch err := json.Unmarshal(answer, &whole); {
	case err != nil:
		return failed("Error: Payload not JSON.")
	case whole.Error != "":
		return failed("Error: %s.", whole.Error)
	case len(whole.Responses) == 0:
		return failed("Error: Payload missing data.")
	}
	r := whole.Responses[0]
	if r.Error != "" {
		status := exit.Failure
		if c.name == c.tool.linkName() {
			status = exit.OK // as Mosquitto's
		}
		return &plainError{status: status, text: fmt.Sprintf("%s: Error: %s.\n", r.Command, r.Error)}
	}
	if cmd.print == nil {
		return nil
	}
	var text bytes.Buffer
	if err := cmd.print(&text, r.Data); err != nil {
		return failed("Error: Invalid response from server.")
	}
	s.out.write(text.Bytes())
	return nil
}

// initDynsec makes a file of dynamic security.
func initDynsec(args []string, asks *asker, s streams) error {
	if len(args) < 2 || len(args) > 3 {
		return badCommand("dynsec init", "FILE USERNAME [PASSWORD]")
	}
	password := ""
	if len(args) == 3 {
		password = args[2]
	} else {
		var err error
		if password, err = asks.twice(args[1], false); err != nil {
			return err
		}
	}
	if err := dynsec.Init(args[0], args[1], password); err != nil {
		return failed("dynsec init: %v", err)
	}
	s.out.write(fmt.Appendf(nil, "%s is made, with the client %s, who may administer the broker but publish to no other topics.\n", args[0], args[1]))
	return nil
}

// badCommand is the error for wrong arguments of a command.
func badCommand(name, arguments string) error {
	return &plainError{status: exit.Invalid, text: fmt.Sprintf("Error: Invalid arguments provided. Expected: %s %s\n", name, arguments)}
}

// asker asks for passwords.
type asker struct {
	in   io.Reader
	out  *output
	line func() ([]byte, error) // nil: not asked yet
}

// once asks for a password that is shown nowhere.
func (a *asker) once(prompt string) (string, error) {
	a.out.errorf("%s", prompt)
	defer a.out.errorf("\n")
	if a.line == nil {
		a.line = ask.Reader(a.in)
	}
	line, err := a.line()
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	return string(bytes.TrimRight(line, "\r\n")), err
}

// twice asks for a new password of a client. With none it may be empty, or not be there.
func (a *asker) twice(username string, none bool) (string, error) {
	first, err := a.once("New password for " + username + ": ")
	switch {
	case none && first == "":
		return "", nil
	case err != nil || first == "":
		return "", failed("Error: Empty password.")
	}
	second, err := a.once("Reenter password for " + username + ": ")
	if err != nil || first != second {
		return "", failed("Error: Passwords do not match.")
	}
	return first, nil
}
