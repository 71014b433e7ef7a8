package mqttscript

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// until calls try each time that something arrives, until it reports that it is
// done or the timeout passes; then it fails with what was expected.
func (x *run) until(expected string, try func() (done bool, err error)) error {
	limit := time.NewTimer(x.Timeout)
	defer limit.Stop()
	for {
		if done, err := try(); done || err != nil {
			return err
		}
		select {
		case <-x.arrived:
		case <-limit.C:
			return fmt.Errorf("%s within %v, but nothing came", expected, x.Timeout)
		case <-x.ctx.Done():
			return x.ctx.Err()
		}
	}
}

// connected fails unless all the named clients have a connection.
func (x *run) connected(names []string) error {
	for _, name := range names {
		if x.client(name).conn == nil {
			return fmt.Errorf("%s is not connected", name)
		}
	}
	return nil
}

// receive waits for a packet that the line describes. If the line names several
// clients, any of them may get it.
func (x *run) receive(st *step) error {
	if st.kind == stepReceive && !x.applies(st) {
		return nil
	}
	if err := x.connected(st.clients); err != nil {
		return err
	}
	return x.until("expected", func() (bool, error) {
		var wrong []string
		for _, name := range st.clients {
			c := x.client(name)
			frame, err := c.conn.peek()
			if frame == nil {
				if err != nil && x.SilentClose && st.kind == stepReceive && isFarewell(st.packet) {
					return true, nil
				}
				if err != nil {
					wrong = append(wrong, name+"'s connection was closed: "+endText(err))
				}
				continue
			}
			diff := x.compareStep(st, c, frame)
			if diff == "" {
				x.take(c, st.line)
				return true, nil
			}
			wrong = append(wrong, fmt.Sprintf("%s got %s", name, diff))
		}
		if len(wrong) == len(st.clients) {
			return false, errors.New(strings.Join(wrong, ", and "))
		}
		return false, nil
	})
}

// isFarewell reports whether the line's packet only says why the broker closes: a
// DISCONNECT, or a CONNACK that does not accept.
func isFarewell(line *packetLine) bool {
	if line.spec.name == "CONNACK" && line.named("rc") {
		vars := map[string]value{}
		return !slices.ContainsFunc(line.fields, func(f fieldLine) bool {
			return f.spec.name == "rc" && f.pattern.match(numberValue(0), vars)
		})
	}
	return line.spec.name == "DISCONNECT"
}

// applies reports whether the line's packet exists for its client. Before 5.0 a
// broker sends no DISCONNECT: it just closes.
func (x *run) applies(st *step) bool {
	return st.packet.spec.name != "DISCONNECT" || x.client(st.clients[0]).version >= mqtt.V5
}

// compareStep returns how a packet differs from the line's.
func (x *run) compareStep(st *step, c *client, frame []byte) string {
	if st.kind == stepReceiveRaw {
		if bytes.Equal(frame, st.raw) {
			return ""
		}
		return fmt.Sprintf("other bytes: %x", frame)
	}
	return compare(st.packet, newReceived(c.version, frame), c.version, x.vars)
}

// take removes the client's oldest packet, which a line has received.
func (x *run) take(c *client, line int) {
	frame, _ := c.conn.peek()
	c.conn.pop()
	got := newReceived(c.version, frame)
	if got.err == nil && got.spec.name == "CONNACK" {
		rc := valuesOf(got.fields, "rc")
		c.accepted = len(rc) == 1 && rc[0].num == 0
	}
	x.came[line] = append(x.came[line], c.name+" < "+got.String())
}

// unordered waits until each client of the block has as many packets as the block
// has lines for it, and looks for an assignment of packets to lines.
func (x *run) unordered(block *step) error {
	perClient := map[string][]*step{}
	var names []string
	for i := range block.group {
		st := &block.group[i]
		name := st.clients[0]
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if x.applies(st) {
			perClient[name] = append(perClient[name], st)
		}
	}
	if err := x.connected(names); err != nil {
		return err
	}
	for _, name := range names {
		if err := x.unorderedClient(x.client(name), perClient[name]); err != nil {
			return err
		}
	}
	return nil
}

// unorderedClient receives one client's lines of a block. A packet that no line
// could take fails at once; lines that overlap, or share captures, are sorted out
// when all have come.
func (x *run) unorderedClient(c *client, lines []*step) error {
	var got []received
	for len(got) < len(lines) {
		err := x.until(fmt.Sprintf("expected %d more for %s", len(lines)-len(got), c.name), func() (bool, error) {
			frame, err := c.conn.peek()
			if frame == nil {
				if err != nil {
					return false, fmt.Errorf("%s's connection was closed: %s", c.name, endText(err))
				}
				return false, nil
			}
			r := newReceived(c.version, frame)
			if !slices.ContainsFunc(lines, func(st *step) bool {
				return compare(st.packet, r, c.version, maps.Clone(x.vars)) == ""
			}) {
				return false, fmt.Errorf("no line of the block expects what %s got", c.name)
			}
			got = append(got, r)
			x.take(c, lines[len(got)-1].line)
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	tries := 0
	vars, ok := assign(lines, got, c.version, x.vars, &tries)
	if !ok {
		return fmt.Errorf("the packets that %s got cannot be told off one to each line", c.name)
	}
	x.vars = vars
	return nil
}

// maxTries bounds the search of assign, which is exponential at worst.
const maxTries = 100_000

// assign finds for each packet a line of its own, by trying, and returns the
// captures of that assignment.
func assign(lines []*step, got []received, v mqtt.Version, vars map[string]value, tries *int) (map[string]value, bool) {
	if len(got) == 0 {
		return vars, true
	}
	for i, st := range lines {
		*tries++
		if *tries > maxTries {
			return nil, false
		}
		tried := maps.Clone(vars)
		if compare(st.packet, got[0], v, tried) != "" {
			continue
		}
		others := slices.Delete(slices.Clone(lines), i, i+1)
		if found, ok := assign(others, got[1:], v, tried, tries); ok {
			return found, true
		}
	}
	return nil, false
}

// expectEOF waits until the broker closes the connection. No packet may come
// before.
func (x *run) expectEOF(c *client) error {
	if c.conn == nil {
		return fmt.Errorf("%s is not connected", c.name)
	}
	err := x.until("the broker should close the connection", func() (bool, error) {
		frame, err := c.conn.peek()
		if frame != nil {
			return false, fmt.Errorf("%s got a packet; the broker should close the connection", c.name)
		}
		if err != nil && !isEnd(err) {
			return false, fmt.Errorf("%s's connection did not end in good order: %w", c.name, err)
		}
		return err != nil, nil
	})
	if err == nil {
		x.drop(c)
	}
	return err
}

// isEnd reports whether the broker ended the connection between two packets. A
// reset is an end, too: a broker that closes with bytes unread causes one.
func isEnd(err error) bool {
	return endText(err) == "EOF" || errors.Is(err, syscall.ECONNRESET)
}

// close ends the connection without DISCONNECT, and waits until the broker has
// seen that: later lines can rely on it.
func (x *run) close(c *client) error {
	if c.conn == nil {
		return fmt.Errorf("%s is not connected", c.name)
	}
	if err := c.conn.closeWrite(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	err := x.until("the broker should close its side, too,", func() (bool, error) {
		frame, err := c.conn.peek()
		if frame != nil {
			return false, fmt.Errorf("%s got a packet that no line expects", c.name)
		}
		return err != nil, nil
	})
	if err == nil {
		x.drop(c)
	}
	return err
}

// quiet checks that the clients get nothing: a PINGREQ comes back as the next
// packet, and for a short while after nothing follows it. A client that the broker
// has not accepted may send no PINGREQ, it listens only.
func (x *run) quiet(names []string) error {
	if err := x.connected(names); err != nil {
		return err
	}
	for _, name := range names {
		if c := x.client(name); c.accepted && !c.disconnected {
			if err := x.ping(c); err != nil {
				return err
			}
		}
	}
	if err := x.sleep(x.Grace); err != nil {
		return err
	}
	for _, name := range names {
		frame, err := x.client(name).conn.peek()
		if frame != nil {
			return fmt.Errorf("%s got a packet that no line expects", name)
		}
		if err != nil {
			return fmt.Errorf("%s's connection was closed: %s", name, endText(err))
		}
	}
	return nil
}

// ping makes a round trip: what the broker sent before comes before the PINGRESP.
func (x *run) ping(c *client) error {
	// A connection that cannot be written to any more has ended: see below.
	_ = x.write(c, (&mqtt.Pingreq{}).Append(nil, c.version))
	return x.until("PINGRESP expected", func() (bool, error) {
		frame, err := c.conn.peek()
		if frame == nil {
			if err != nil {
				return false, fmt.Errorf("%s's connection was closed: %s", c.name, endText(err))
			}
			return false, nil
		}
		if got := newReceived(c.version, frame); got.err != nil || got.spec.name != "PINGRESP" {
			return false, fmt.Errorf("%s got a packet that no line expects", c.name)
		}
		c.conn.pop()
		return true, nil
	})
}

// end checks after the last line that nothing more comes: every client that is
// still connected must be quiet, one that sent DISCONNECT must be closed.
func (x *run) end() error {
	var open []string
	for _, c := range x.sorted() {
		switch {
		case c.conn == nil:
		case c.disconnected:
			if err := x.expectEOF(c); err != nil {
				return fmt.Errorf("at the end: %w", err)
			}
		default:
			open = append(open, c.name)
		}
	}
	if len(open) == 0 {
		return nil
	}
	if err := x.quiet(open); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	return nil
}
