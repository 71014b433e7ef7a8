package clients

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/topic"
)

// flagSet returns the options of the tool, which write into c.
func (c *clientConfig) flagSet() *pflag.FlagSet {
	fs := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	fs.SortFlags = false
	fs.Usage = func() {}
	c.connectionFlags(fs)
	c.sessionFlags(fs)
	if c.tool == toolCtrl {
		fs.SetInterspersed(false) // what stands behind the module is its own
		fs.StringVarP(&c.file, "file", "f", "", "change the `FILE` of dynamic security, which no broker has, instead of asking one")
		fs.BoolVarP(&c.verbose, "verbose", "v", false, "accepted, and without effect")
		c.tls.flags(fs)
		fs.BoolVar(&c.help, "help", false, "show this text")
		fs.BoolVar(&c.showVersion, "version", false, "show the version")
		return fs
	}
	c.willFlags(fs)
	c.topicFlags(fs)
	c.payloadFlags(fs)
	c.outputFlags(fs)
	c.tls.flags(fs)
	fs.BoolVar(&c.help, "help", false, "show this text")
	fs.BoolVar(&c.showVersion, "version", false, "show the version")
	return fs
}

func (c *clientConfig) connectionFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&c.host, "host", "h", "", "connect to `HOST` (localhost)")
	fs.FuncP("port", "p", "connect to `PORT` (1883, with TLS 8883)", c.setPort)
	fs.StringVar(&c.unix, "unix", "", "connect to the Unix socket `PATH`")
	fs.FuncP("url", "L", "host, port, user, password, and topic as `URL` mqtt(s)://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC", c.setURL)
	fs.StringVarP(&c.bind, "bind", "A", "", "connect from the local `ADDRESS`")
	fs.BoolFunc("nodelay", "send small packets at once, which is done anyway", ignoreFlag)
	fs.BoolFuncP("srv", "S", "not available: look the server up in the DNS's SRV records", func(string) error {
		return badUsage("-S, the lookup of SRV records, is not supported. Give the host with -h.")
	})
	fs.Func("proxy", "not available: connect through a SOCKS `URL`", func(s string) error {
		if !strings.HasPrefix(s, "socks5h://") {
			return badUsage("Unsupported proxy protocol: %s", s)
		}
		return badUsage("--proxy is not supported.")
	})
	fs.BoolFunc("ws", "not available: connect with WebSocket", func(string) error {
		return badUsage("--ws is not supported.")
	})
	fs.BoolFunc("mptcp", "use Multipath TCP where the system has it, which is the default", ignoreFlag)
	fs.FuncP("options-file", "o", "read options from `FILE`, one a line", func(string) error { return nil }) // see argv.go
	fs.BoolVarP(&c.debug, "debug", "d", false, "print what is sent and received")
	fs.BoolVar(&c.quiet, "quiet", false, "print no errors")
}

func ignoreFlag(string) error { return nil }

func (c *clientConfig) sessionFlags(fs *pflag.FlagSet) {
	fs.FuncP("id", "i", "client `ID`; by default the server chooses one", func(s string) error {
		c.id, c.idGiven = s, true
		return c.checkIDs()
	})
	fs.FuncP("id-prefix", "I", "make the client id of `PREFIX` and the process id", func(s string) error {
		c.idPrefix = s
		return c.checkIDs()
	})
	fs.FuncP("username", "u", "user `NAME`", func(s string) error { c.username = &s; return nil })
	fs.FuncP("pw", "P", "`PASSWORD`", func(s string) error { c.password = &s; return nil })
	fs.BoolVarP(&c.unclean, "disable-clean-session", "c", false, "keep the session, which needs -i")
	fs.FuncP("session-expiry-interval", "x", "end the session after `SECONDS`, -1 for never (MQTT 5)", c.setExpiry)
	fs.FuncP("keepalive", "k", "keep alive interval in `SECONDS`, 5 to 65535 (60)", func(s string) error {
		n := leadingInt(s)
		if n < 5 || n > 65535 {
			return badArgument("Invalid keepalive given, it must be between 5 and 65535 inclusive.")
		}
		c.keepAlive = uint16(n)
		return nil
	})
	fs.FuncP("protocol-version", "V", "MQTT `VERSION` 31, 311 or 5 (311; for rr and ctrl 5)", c.setVersion)
	fs.FuncP("property", "D", "`COMMAND IDENTIFIER VALUE`: a property of MQTT 5; for user-property NAME VALUE", c.setProperty)
	fs.FuncP("max-inflight", "M", "at most `N` messages without acknowledgement at a time (20)", func(s string) error {
		if c.inflight = leadingInt(s); c.inflight < 1 {
			return badArgument("Maximum inflight messages must be greater than 0.")
		}
		return nil
	})
	fs.FuncP("qos", "q", "quality of service `QOS` (0; for ctrl 1)", func(s string) error {
		n := leadingInt(s)
		if n < 0 || n > 2 {
			return badUsage("Invalid QoS given: %d", n)
		}
		c.qos = byte(n)
		return nil
	})
}

func (c *clientConfig) willFlags(fs *pflag.FlagSet) {
	fs.Func("will-topic", "`TOPIC` of the will", func(s string) error {
		if !mqtt.ValidUTF8([]byte(s)) {
			return badArgument("Malformed UTF-8 in --will-topic argument.")
		}
		if topic.ValidName(s) != nil {
			return badUsage("Invalid will topic '%s', does it contain '+' or '#'?", s)
		}
		c.will.Topic, c.willSet.topic = s, true
		return nil
	})
	fs.Func("will-payload", "`PAYLOAD` of the will (empty)", func(s string) error {
		c.will.Payload, c.willSet.payload = []byte(s), true
		return nil
	})
	fs.Func("will-qos", "quality of service of the will: `QOS` (0)", func(s string) error {
		n := leadingInt(s)
		if n < 0 || n > 2 {
			return badArgument("Invalid will QoS %d.", n)
		}
		c.will.QoS, c.willSet.qos = byte(n), true
		return nil
	})
	fs.BoolFunc("will-retain", "retain the will", func(string) error {
		c.will.Retain, c.willSet.retain = true, true
		return nil
	})
}

func (c *clientConfig) topicFlags(fs *pflag.FlagSet) {
	usage := "publish to `TOPIC`"
	if c.tool == toolSub {
		usage = "subscribe to `TOPIC`; may be repeated"
	}
	fs.FuncP("topic", "t", usage, func(s string) error { return c.addTopic(s, "-t") })
	if c.tool == toolSub {
		fs.FuncP("filter-out", "T", "do not print messages of `TOPIC`; may be repeated", func(s string) error {
			return addFilter(&c.filterOut, s, "-T", "filter")
		})
		fs.FuncP("unsubscribe", "U", "unsubscribe from `TOPIC`; may be repeated", func(s string) error {
			return addFilter(&c.unsubscribe, s, "-U", "unsubscribe")
		})
		fs.BoolFunc("retain-as-published", "receive the retain flag as it was published (MQTT 5)", func(string) error {
			c.subOptions |= 1 << 3
			return nil
		})
	}
	if c.tool != toolPub {
		fs.Func("retain-handling", "`WHEN` to send retained messages: always, new or never (always; MQTT 5)", c.setRetainHandling)
	}
	if c.tool == toolRR {
		fs.FuncP("response-topic", "e", "wait for the answer on `TOPIC`", func(s string) error {
			if err := c.checkName(s, "-e", "response"); err != nil {
				return err
			}
			c.response = s
			return nil
		})
	}
}

// addTopic adds a topic to publish to or to subscribe to.
func (c *clientConfig) addTopic(s, option string) error {
	if c.tool == toolSub {
		return addFilter(&c.topics, s, option, "subscription")
	}
	if err := c.checkName(s, option, "publish"); err != nil {
		return err
	}
	c.topics = []string{s} // the last one counts
	return nil
}

// checkName checks a topic name. The empty one passes: a topic alias may stand for it.
func (c *clientConfig) checkName(s, option, kind string) error {
	if !mqtt.ValidUTF8([]byte(s)) {
		return badArgument("Malformed UTF-8 in %s argument.", option)
	}
	if strings.ContainsAny(s, "+#") {
		return badUsage("Invalid %s topic '%s', does it contain '+' or '#'?", kind, s)
	}
	return nil
}

func addFilter(list *[]string, s, option, kind string) error {
	if !mqtt.ValidUTF8([]byte(s)) {
		return badArgument("Malformed UTF-8 in %s argument.", option)
	}
	if topic.ValidFilter(s) != nil {
		return badUsage("Invalid %s topic '%s', are all '+' and '#' wildcards correct?", kind, s)
	}
	*list = append(*list, s)
	return nil
}

func (c *clientConfig) setRetainHandling(s string) error {
	for i, name := range []string{"always", "new", "never"} {
		if s == name {
			c.subOptions = c.subOptions&^(3<<4) | mqtt.SubscribeOptions(i<<4)
			return nil
		}
	}
	return badArgument("Unknown value '%s' for --retain-handling, it must be always, new or never.", s)
}

func (c *clientConfig) payloadFlags(fs *pflag.FlagSet) {
	if c.tool == toolSub {
		return
	}
	fs.FuncP("message", "m", "send `MESSAGE`", func(s string) error {
		c.text = []byte(s)
		return c.setPayload(payloadText)
	})
	fs.BoolFuncP("null-message", "n", "send an empty message", func(string) error { return c.setPayload(payloadNull) })
	fs.FuncP("file", "f", "send the content of `FILE`", func(s string) error {
		c.file = s
		return c.setPayload(payloadFile)
	})
	fs.BoolFuncP("stdin-file", "s", "send standard input as one message", func(string) error { return c.setPayload(payloadStdin) })
	if c.tool == toolRR {
		return
	}
	fs.BoolFuncP("stdin-line", "l", "send each line of standard input as a message", func(string) error {
		return c.setPayload(payloadLines)
	})
	fs.BoolVarP(&c.retain, "retain", "r", false, "retain the message")
	fs.Func("repeat", "send the message `N` times", func(s string) error {
		if c.repeat = leadingInt(s); c.repeat < 1 {
			return badArgument("--repeat argument must be >0.")
		}
		return nil
	})
	fs.Func("repeat-delay", "wait `SECONDS` between repeated messages (0)", func(s string) error {
		seconds := leadingFloat(s)
		if seconds < 0 {
			return badArgument("--repeat-delay argument must be >=0.0.")
		}
		c.repeatDelay = time.Duration(min(seconds, 1e9) * float64(time.Second))
		return nil
	})
}

func (c *clientConfig) setPayload(kind payloadKind) error {
	if c.payload != payloadNone {
		return badArgument("Only one type of message can be sent at once.")
	}
	c.payload = kind
	return nil
}

func (c *clientConfig) outputFlags(fs *pflag.FlagSet) {
	if c.tool == toolPub {
		return
	}
	fs.FuncP("format", "F", "print messages in `FORMAT`", func(s string) (err error) {
		c.format, err = parseFormat(s)
		return err
	})
	fs.BoolVarP(&c.verbose, "verbose", "v", false, "print the topic before the payload")
	fs.BoolVarP(&c.noNewline, "no-newline", "N", false, "print no end of line behind messages")
	fs.BoolVar(&c.pretty, "pretty", false, "print JSON over several lines")
	fs.BoolVarP(&c.noRetained, "no-retained", "R", false, "do not print messages that were retained")
	fs.FuncP("timeout", "W", "end after `SECONDS`, with status 27", func(s string) error {
		n := leadingInt(s)
		if n < 1 {
			return badArgument("Invalid timeout %q.", strconv.Itoa(n))
		}
		c.timeout = time.Duration(n) * time.Second
		return nil
	})
	if c.tool == toolRR {
		fs.BoolVar(&c.latency, "latency", false, "print the time from the request to the answer")
		return
	}
	fs.FuncP("count", "C", "end after `N` messages", func(s string) error {
		if c.count = leadingInt(s); c.count < 1 {
			return badArgument("Invalid message count %q.", strconv.Itoa(c.count))
		}
		return nil
	})
	fs.BoolVarP(&c.exitOnSuback, "exit-on-suback", "E", false, "end when the subscriptions are acknowledged")
	fs.BoolVar(&c.retainedOnly, "retained-only", false, "print retained messages only, and end at the first other one")
	fs.BoolVar(&c.removeRetained, "remove-retained", false, "remove each retained message received from the server")
	fs.Func("random-filter", "print `PERCENT` of the messages, chosen at random (100)", func(s string) error {
		if c.randomFilter = leadingFloat(s); c.randomFilter < 0.1 || c.randomFilter > 100 {
			return badArgument("--random-filter chance must be between 0.1-100.0")
		}
		return nil
	})
	fs.BoolVarP(&c.watch, "watch", "w", false, "print each topic on a line of its own, again and again")
	fs.BoolVar(&c.messageRate, "message-rate", false, "print the number of messages each second instead of the messages")
}

func (c *clientConfig) checkIDs() error {
	if c.idGiven && c.idPrefix != "" {
		return badArgument("-i and -I argument cannot be used together.")
	}
	return nil
}

func (c *clientConfig) setPort(s string) error {
	n := leadingInt(s)
	if n < 0 || n > 65535 {
		return badUsage("Invalid port given: %d", n)
	}
	c.port = n
	return nil
}

func (c *clientConfig) setVersion(s string) error {
	switch s {
	case "mqttv31", "31":
		c.version = mqtt.V31
	case "mqttv311", "311":
		c.version = mqtt.V311
	case "mqttv5", "5":
		c.version = mqtt.V5
	default:
		return badArgument("Invalid protocol version argument given.")
	}
	return nil
}

func (c *clientConfig) setExpiry(s string) error {
	const never = 1<<32 - 1
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case s == "∞" || err == nil && n == -1:
		n = never
	case errors.Is(err, strconv.ErrRange), err == nil && (n < -1 || n > never):
		return badArgument("session-expiry-interval out of range.")
	case err != nil:
		return badArgument("session-expiry-interval not a number.")
	}
	seconds := uint32(n)
	c.expiry = &seconds
	return nil
}

// leadingInt reads the number that a text begins with, 0 if there is none, as atoi(3)
// does, which Mosquitto's tools use.
func leadingInt(s string) int {
	return int(max(min(leadingInt64(s), math.MaxInt32), math.MinInt32))
}

// leadingFloat reads a number, 0 if there is none.
func leadingFloat(s string) float64 {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || f != f { // not a number
		return 0
	}
	return f
}
