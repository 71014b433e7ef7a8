package mqttscript

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// The times that a zero Runner uses.
const (
	DefaultTimeout = 5 * time.Second
	DefaultGrace   = 25 * time.Millisecond
)

// Runner runs scripts. The zero Runner works. A Runner may be used by several
// goroutines at once.
type Runner struct {
	// Timeout is how long an expected packet, or the broker's close, may take; 0
	// means DefaultTimeout.
	Timeout time.Duration
	// Grace is how long quiet listens after the broker has answered a PINGREQ; 0
	// means DefaultGrace.
	Grace time.Duration
	// MaxWait, if not 0, is the longest time that a script's wait lines may take in
	// all; a script that waits longer is skipped.
	MaxWait time.Duration
	// SilentClose accepts that a broker closes without the DISCONNECT, or without the
	// refusing CONNACK, that a script expects before: in many cases MQTT 5.0 asks for
	// the close alone.
	SilentClose bool
}

// Run runs a script with the zero Runner.
func Run(ctx context.Context, s *Script, v mqtt.Version, t Target) Result {
	return Runner{}.Run(ctx, s, v, t)
}

// Run runs a script once, as clients of version v. It returns when the script has
// passed or failed, and all its connections are closed.
func (r Runner) Run(ctx context.Context, s *Script, v mqtt.Version, t Target) Result {
	result := Result{Script: s, Version: v}
	if reason := r.skip(s, v, t); reason != "" {
		result.Status, result.Reason = Skipped, reason
		return result
	}
	if r.Timeout == 0 {
		r.Timeout = DefaultTimeout
	}
	if r.Grace == 0 {
		r.Grace = DefaultGrace
	}
	x := &run{
		Runner: r, ctx: ctx, script: s, version: v, target: t,
		clients: map[string]*client{}, vars: map[string]value{},
		arrived: make(chan struct{}, 1), came: map[int][]string{},
	}
	start := time.Now()
	err := x.steps()
	if err != nil {
		result.Status, result.Reason = Failed, err.Error()
		result.Line = x.line
		_ = x.sleep(x.Grace) // for what is on its way; a context that is done just ends it
		result.unread = x.unread()
	}
	result.Duration = time.Since(start)
	x.hangUp()
	x.clean()
	x.readers.Wait()
	result.came = x.came
	return result
}

func (r Runner) skip(s *Script, v mqtt.Version, t Target) string {
	if !s.For(v) {
		return "is for MQTT " + joinVersions(s.Versions)
	}
	if r.MaxWait > 0 && s.Waits() > r.MaxWait {
		return fmt.Sprintf("waits %v, the limit is %v", s.Waits(), r.MaxWait)
	}
	return missing(s, t)
}

// run is one run of a script. One goroutine executes the steps; each connection
// has another that reads.
type run struct {
	Runner
	ctx     context.Context
	script  *Script
	version mqtt.Version
	target  Target

	line    int // of the current step
	clients map[string]*client
	vars    map[string]value
	came    map[int][]string // what came, by the line that received it
	arrived chan struct{}
	readers sync.WaitGroup
	traces  traces
}

// steps executes the script. At its end nothing more may come.
func (x *run) steps() error {
	for i := range x.script.steps {
		st := &x.script.steps[i]
		x.line = st.line
		if err := x.step(st); err != nil {
			return err
		}
	}
	x.line = len(x.script.source)
	return x.end()
}

func (x *run) step(st *step) error {
	if err := x.ctx.Err(); err != nil {
		return err
	}
	switch st.kind {
	case stepSend:
		return x.send(st)
	case stepSendRaw:
		c, err := x.open(st.clients[0])
		if err != nil {
			return err
		}
		return x.write(c, st.raw)
	case stepReceive, stepReceiveRaw:
		return x.receive(st)
	case stepUnordered:
		return x.unordered(st)
	case stepEOF:
		return x.expectEOF(x.client(st.clients[0]))
	case stepClose:
		return x.close(x.client(st.clients[0]))
	case stepQuiet:
		return x.quiet(st.clients)
	case stepWait:
		return x.sleep(st.wait)
	case stepBroker:
		return x.control(st.words)
	}
	return fmt.Errorf("unknown step %d", st.kind)
}

func (x *run) client(name string) *client {
	c, ok := x.clients[name]
	if !ok {
		c = &client{name: name, version: x.version}
		x.clients[name] = c
	}
	return c
}

// open returns the client with a connection, which it makes if there is none.
func (x *run) open(name string) (*client, error) {
	c := x.client(name)
	if c.conn != nil {
		return c, nil
	}
	ctx, cancel := context.WithTimeout(x.ctx, x.Timeout)
	defer cancel()
	conn, err := x.target.Dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the broker: %w", err)
	}
	c.conn = &connection{Conn: conn, arrived: x.arrived}
	c.accepted, c.disconnected, c.version = false, false, x.version
	x.readers.Go(c.conn.receive)
	return c, nil
}

func (x *run) send(st *step) error {
	c := x.client(st.clients[0])
	connect := st.packet.spec.name == "CONNECT"
	if connect && c.disconnected {
		// A new connection begins. The broker must have closed the old one, else it
		// might take the DISCONNECT for the later event.
		if err := x.expectEOF(c); err != nil {
			return fmt.Errorf("after %s's DISCONNECT: %w", c.name, err)
		}
	}
	c, err := x.open(c.name)
	if err != nil {
		return err
	}
	if connect {
		c.version = x.version
		for _, f := range st.packet.fields {
			if f.spec.name == "version" {
				c.version = mqtt.Version(f.pattern.choice[0].lo.num)
			}
		}
	}
	p, err := build(st.packet, x.vars, c.version)
	if err != nil {
		return err
	}
	x.traces.note(p)
	if err := x.write(c, p.Append(nil, c.version)); err != nil {
		return err
	}
	c.disconnected = c.disconnected || p.Type() == mqtt.DISCONNECT
	return nil
}

func (x *run) write(c *client, p []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(x.Timeout)); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if _, err := c.conn.Write(p); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// sleep waits for a while; packets that come meanwhile are kept.
func (x *run) sleep(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-x.ctx.Done():
		return x.ctx.Err()
	}
}

// control executes a broker line. After a restart all connections are gone.
func (x *run) control(words []string) error {
	switch words[0] {
	case "option":
		return x.target.(Configurer).Option(words[1], words[2])
	case "restart":
		if err := x.target.(Restarter).Restart(); err != nil {
			return err
		}
	case "kill":
		if err := x.target.(Killer).Kill(); err != nil {
			return err
		}
	}
	for _, c := range x.clients {
		x.drop(c)
	}
	return nil
}

// drop forgets the client's connection.
func (x *run) drop(c *client) {
	if c.conn != nil {
		_ = c.conn.Close() // already closed is as good
	}
	c.conn, c.accepted, c.disconnected = nil, false, false
}

// sorted returns the clients in the order of their names, so that two runs of a
// failing script fail alike.
func (x *run) sorted() []*client {
	var out []*client
	for _, name := range slices.Sorted(maps.Keys(x.clients)) {
		out = append(out, x.clients[name])
	}
	return out
}

// unread lists the packets that no line has received.
func (x *run) unread() []string {
	var out []string
	for _, c := range x.sorted() {
		if c.conn == nil {
			continue
		}
		for {
			frame, err := c.conn.peek()
			if frame == nil {
				if err != nil {
					out = append(out, c.name+" < "+endText(err))
				}
				break
			}
			c.conn.pop()
			out = append(out, c.name+" < "+newReceived(c.version, frame).String())
		}
	}
	return out
}

// endText says how a connection ended.
func endText(err error) string {
	if errors.Is(err, io.EOF) {
		return "EOF"
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return "EOF (" + network.Err.Error() + ")"
	}
	return "EOF (" + err.Error() + ")"
}
