package clients

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/mqtt"
)

// tool is one of the client commands.
type tool uint8

const (
	toolPub tool = 1 << iota
	toolSub
	toolRR
	toolCtrl
)

// word returns the tool's name behind "unio ".
func (t tool) word() string {
	switch t {
	case toolPub:
		return "pub"
	case toolSub:
		return "sub"
	case toolCtrl:
		return "ctrl"
	default:
		return "rr"
	}
}

// linkName returns the name of Mosquitto's tool, by which the options file goes too.
func (t tool) linkName() string { return "mosquitto_" + t.word() }

// payloadKind is where a message comes from.
type payloadKind uint8

const (
	payloadNone  payloadKind = iota
	payloadText              // -m
	payloadNull              // -n
	payloadFile              // -f
	payloadStdin             // -s
	payloadLines             // -l
)

// clientConfig is what the options of a client command say.
type clientConfig struct {
	tool tool
	name string // how the command was called, for "Use '... --help'"

	host, bind, unix string
	port             int // 0: by protocol
	nagle            bool
	tls              tlsConfig

	version   mqtt.Version
	id        string
	idGiven   bool
	idPrefix  string
	unclean   bool // -c
	keepAlive uint16
	username  *string
	password  *string
	expiry    *uint32 // -x
	inflight  int
	will      mqtt.Will
	willSet   struct{ topic, payload, retain, qos bool }
	props     map[string]*propertyList // by -D's command

	topics       []string
	filterOut    []string
	unsubscribe  []string
	qos          byte
	retain       bool
	payload      payloadKind
	text         []byte // the message, for all kinds but payloadLines
	file         string
	repeat       int
	repeatDelay  time.Duration
	response     string // -e
	subOptions   mqtt.SubscribeOptions
	count        int
	timeout      time.Duration
	exitOnSuback bool

	format         *format // nil: the payload, or topic and payload with verbose
	verbose        bool
	noNewline      bool
	pretty         bool
	noRetained     bool // -R
	retainedOnly   bool
	removeRetained bool
	randomFilter   float64 // per cent
	watch          bool
	messageRate    bool
	latency        bool

	debug, quiet, help, showVersion bool

	rest []string // behind the options, of ctrl
}

// newClientConfig returns the defaults, which are Mosquitto's.
func newClientConfig(t tool, name string) *clientConfig {
	c := &clientConfig{
		tool: t, name: name, version: mqtt.V311, keepAlive: 60, inflight: 20,
		repeat: 1, randomFilter: 100, props: map[string]*propertyList{},
	}
	if t == toolRR || t == toolCtrl {
		c.version = mqtt.V5
	}
	if t == toolCtrl {
		c.qos = 1
	}
	return c
}

// usageError is a mistake in the options. Its text goes to standard error as it is,
// followed by a hint where the usage is.
type usageError struct{ text string }

func (e *usageError) Error() string { return strings.TrimSpace(e.text) }

// badArgument is a mistake in one option's argument. Mosquitto prints an empty line more
// behind it than behind others, and tests that compare outputs see that.
func badArgument(f string, args ...any) error {
	return &usageError{"Error: " + fmt.Sprintf(f, args...) + "\n\n"}
}

// badUsage is any other mistake.
func badUsage(f string, args ...any) error {
	return &usageError{"Error: " + fmt.Sprintf(f, args...) + "\n"}
}

// plainError is an error that ends the tool with a status of its own; its text, which
// may be empty, goes to standard error as it is.
type plainError struct {
	status  int
	text    string
	refused bool // the server refused the connection: trying again is of no use
}

func (e *plainError) Error() string { return strings.TrimSpace(e.text) }

// failed is an error with status 1.
func failed(f string, args ...any) error {
	return &plainError{status: exit.Failure, text: fmt.Sprintf(f, args...) + "\n"}
}

// conclude prints err in Mosquitto's manner and returns it with the exit status.
func (c *clientConfig) conclude(err error, stderr io.Writer) error {
	var usage *usageError
	var plain *plainError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s\nUse '%s --help' to see usage.\n", usage.text, c.name)
		return exit.Reported(exit.Failure)
	case errors.As(err, &plain):
		if !c.quiet {
			fmt.Fprint(stderr, plain.text)
		}
		return exit.Reported(plain.status)
	}
	return err
}
