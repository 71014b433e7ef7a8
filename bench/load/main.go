// Command load puts load on an MQTT broker of this machine and reports what the broker paid for it: messages per
// second, messages per CPU second of the broker, CPU microseconds per delivered message, and memory per idle
// connection. It compares brokers; bench/compare.sh runs it against two in turn.
//
//	load -addr 127.0.0.1:1883 -pid PID -scenario one-to-one -qos 1 -pairs 100 -n 200000
//
// Scenarios: one-to-one (each publisher has one subscriber), fan-out (one publisher, many subscribers), fan-in (many
// publishers, one subscriber), idle (connections with one subscription each and no message; over TLS and WebSocket, too: bench/doors.sh). A publisher sends a window
// of messages in one write and waits until all of them are acknowledged and have reached their subscribers, as in
// request and response; so no broker needs to queue. Every message that is due is counted, and its place in its window
// checked: a broker that loses, repeats or reorders one makes the run fail.
//
// The program shares the machine with the broker, so it is built to cost little: windows are encoded once, reads and
// writes are batched, and nothing is allocated per message. Pin the two to different cores with taskset.
//
// Each publisher and each subscriber is driven by one goroutine; main waits for all of them.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// options say what to do.
type options struct {
	addr     string
	pid      int
	scenario string
	messages int // published, over all publishers, at least
	size     int
	pairs    int
	qos      int
	window   int
	version  mqtt.Version
	atLeast  time.Duration
	stored   bool
	tls      bool
	// websocket is MQTT over WebSocket, above TLS if both are asked for
	websocket bool
	settle    time.Duration // of an idle run: before the second look at memory
	label     string
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	r, err := measure(o)
	if err != nil {
		return fmt.Errorf("%s: %w", o.scenario, err)
	}
	_, err = io.WriteString(out, r.text(o))
	return err
}

func parse(args []string) (options, error) {
	var o options
	var version int
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	fs.StringVar(&o.addr, "addr", "127.0.0.1:1883", "the broker's `host:port`")
	fs.IntVar(&o.pid, "pid", 0, "the broker's process `id`; 0 leaves out CPU and memory")
	fs.StringVar(&o.scenario, "scenario", "one-to-one", "one-to-one, fan-out, fan-in or idle")
	fs.IntVar(&o.messages, "n", 100_000, "messages to publish, at least one window for each publisher")
	fs.DurationVar(&o.atLeast, "for", 0, "go on for at least this `time`, since CPU time is counted in steps of 10 ms")
	fs.IntVar(&o.size, "size", 64, "bytes of a payload")
	fs.IntVar(&o.pairs, "pairs", 100, "pairs; subscribers for fan-out, publishers for fan-in, connections for idle")
	fs.IntVar(&o.qos, "qos", 0, "quality of service of publishers and subscribers")
	fs.IntVar(&o.window, "window", 0, "messages that a publisher has in flight; 0 means 20, for fan-in 1")
	fs.BoolVar(&o.stored, "stored", false, "subscribers have stored sessions, and the report has the times of windows")
	fs.BoolVar(&o.tls, "tls", false, "connect over TLS; any certificate will do")
	fs.BoolVar(&o.websocket, "websocket", false, "connect over WebSocket")
	fs.DurationVar(&o.settle, "settle", 0, "let idle connections be idle for this `time` before memory is looked at")
	fs.IntVar(&version, "version", 4, "protocol level: 4 or 5")
	fs.StringVar(&o.label, "row", "", "print a row of a Markdown table that begins with `label`")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.version = mqtt.Version(version)
	if o.window == 0 {
		o.window = 20
		if o.scenario == "fan-in" {
			o.window = 1
		}
	}
	switch {
	case version != int(mqtt.V311) && version != int(mqtt.V5):
		return o, fmt.Errorf("-version %d: want 4 or 5", version)
	case o.qos < 0 || o.qos > 2:
		return o, fmt.Errorf("-qos %d: want 0, 1 or 2", o.qos)
	case o.pairs < 1 || o.size < 1 || o.messages < 1:
		return o, errors.New("-n, -size and -pairs want at least 1")
	case o.window < 1 || o.window > 255:
		return o, fmt.Errorf("-window %d: want 1 to 255", o.window)
	}
	return o, nil
}
