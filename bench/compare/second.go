package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/uniomq/unio/internal/bench"
)

// A second opinion: what tools that nobody of this project wrote say, mosquitto_pub and mosquitto_sub of Debian's mosquitto-clients, and tsung.

// trial is a load by such a tool.
type trial struct {
	name, unit string
	goal       float64 // how many times as much mosquitto is to need; 0: there is no goal
	memory     bool    // the broker's memory is measured, not its CPU time
	stored     bool    // Unio stores it on the disk, and syncs
	// run returns how many messages, connections or whatever the broker has served since it called begin. What it has started may go
	// on until c ends.
	run act
}

func trials(quick bool) []trial {
	lines, users, many, idle := 20_000, 2000, 100_000, 5000
	if quick {
		lines, users, many, idle = 2000, 200, 2000, 500
	}
	const publishes = `<for from="1" to="%d" var="i"><request subst="true"><mqtt type="publish" topic="second/%%%%_tsung_userid%%%%%s" qos="%d" retained="%v">` +
		`sixteen bytes of.</mqtt></request>%s</for>`
	publish := func(times int, level string, qos int, retain bool, behind string) string {
		return fmt.Sprintf(publishes, times, level, qos, retain, behind)
	}
	retain := storm(20, 200, publish(many/20, "/%%_i%%", 0, true, ""), "mqtt_published")
	return []trial{
		{name: "mosquitto_pub -l to mosquitto_sub, 10 pairs, QoS 0", unit: "message", goal: 11, run: pipes(10, 1, lines, 0)},
		{name: "mosquitto_pub -l to mosquitto_sub, 10 pairs, QoS 1", unit: "message", goal: 11, run: pipes(10, 1, lines, 1)},
		{name: "mosquitto_pub -l to mosquitto_sub, 10 pairs, QoS 2", unit: "message", goal: 13, run: pipes(10, 1, lines/2, 2)},
		{
			name: "tsung: each client publishes 20 times at QoS 1, then leaves", unit: "message", goal: 1.4,
			run: storm(users, 200, publish(20, "", 1, false, ""), "mqtt_published"),
		},
		{
			name: "tsung: 500 clients publish 10 times a second each, to one mosquitto_sub", unit: "message", goal: 1,
			run: asleep(500, publish(30, "", 0, false, `<thinktime value="0.1"/>`)),
		},
		{name: "one mosquitto_pub -l to 100 mosquitto_sub, QoS 0", unit: "message", goal: 8, run: pipes(1, 100, lines/5, 0)},
		{name: "one mosquitto_pub -l to 100 mosquitto_sub, QoS 1", unit: "message", goal: 5.5, run: pipes(1, 100, lines/10, 1)},
		{name: "30 mosquitto_pub -l to a shared group of one mosquitto_sub, QoS 0", unit: "message", goal: 4, run: shared(30, lines/3, 0)},
		{name: "30 mosquitto_pub -l to a shared group of one mosquitto_sub, QoS 1", unit: "message", goal: 3.8, run: shared(30, lines/6, 1)},
		{name: grouped(many) + " filters by mosquitto_sub -E -c: to subscribe", unit: "filter", goal: 1.4, run: filters(many)},
		{name: grouped(many) + " filters by mosquitto_sub -E -c: memory", unit: "filter, bytes", goal: 3, memory: true, run: filters(many)},
		{name: "mosquitto_pub -l beside " + grouped(many) + " filters, 10 pairs, QoS 0", unit: "message", goal: 3, run: beside(filters(many), pipes(10, 1, lines, 0))},
		{name: grouped(idle) + " clients of tsung, idle with a subscription each", unit: "connection, bytes", goal: 1.77, memory: true, run: waiting(idle)},
		{name: "tsung: connect and disconnect", unit: "connection", goal: 1.18, run: storm(users, 200, "", usersDone)},
		{name: "tsung: 20 clients store " + grouped(many) + " retained messages", unit: "message", goal: 3.9, run: retain},
		{name: "the same: memory", unit: "message, bytes", goal: 3.1, memory: true, run: retain},
		{
			name: "the same, sent to one mosquitto_sub", unit: "message", goal: 15.9,
			run: beside(retain, readers(1, many/20*20, "-t", "second/#")),
		},
		{name: "mosquitto_pub -l to 10 sessions without connection, QoS 1, synced by Unio", unit: "message", goal: 2.8, stored: true, run: offline(10, lines/2, false)},
		{name: "the same: drained by mosquitto_sub", unit: "message", goal: 2.67, stored: true, run: offline(10, lines/2, true)},
	}
}

// secondReport measures all trials and writes second.md.
func (l *lab) secondReport(ctx context.Context) error {
	var b strings.Builder
	b.WriteString("# A second opinion\n\nWritten by `make second`: the broker's CPU microseconds, or its memory, under loads by tools that are not this project's, mosquitto_pub and " +
		"mosquitto_sub, and tsung.\nThey are slower than `unio bench`: the broker sleeps and wakes more often, which levels differences. Medians. The last columns say\n" +
		"how many times as much mosquitto needs, and how many it is to need.\n\n" + l.machine() + "\n" + l.cast() +
		"\n| load | for each | " + strings.Join(l.names(), " | ") + " | mosquitto / Unio | goal |\n|---|---|" + strings.Repeat("--:|", len(l.peers)+2) + "\n")
	for _, t := range trials(l.quick) {
		if !strings.Contains(t.name, l.only) {
			continue
		}
		found := map[string][]float64{}
		var trouble strings.Builder
		for round := range l.rounds {
			for _, p := range l.peers {
				v, err := l.try(ctx, p, &t)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				fmt.Fprintf(l.log, "round %d  %-80s %-10s %s  %v\n", round+1, t.name, p.name, figure(v), err)
				if err != nil {
					fmt.Fprintf(&trouble, "\n%s: %s\n", p.name, firstLine(err.Error()))
					continue
				}
				found[p.name] = append(found[p.name], v)
			}
		}
		fmt.Fprintf(&b, "| %s | %s |", t.name, t.unit)
		medians := map[string]float64{}
		for _, p := range l.peers {
			v, ok := medianOf(found[p.name])
			if medians[p.name] = v; ok {
				fmt.Fprintf(&b, " %s |", figure(v))
			} else {
				b.WriteString(" - |")
			}
		}
		if medians["unio"] > 0 && medians["mosquitto"] > 0 {
			fmt.Fprintf(&b, " %.2f |", medians["mosquitto"]/medians["unio"])
		} else {
			b.WriteString(" - |")
		}
		fmt.Fprintf(&b, " %.3g |\n", t.goal)
		fmt.Fprint(l.log, trouble.String())
	}
	return l.write("second.md", b.String())
}

// try starts a broker, runs one trial and returns the broker's CPU microseconds, or bytes, for each thing served.
func (l *lab) try(ctx context.Context, p *peer, t *trial) (float64, error) {
	if t.stored && p.name == "unio" {
		p = persistent(p, "always")
	}
	r, err := l.start(ctx, p)
	if err != nil {
		return 0, err
	}
	defer r.halt()
	used := func() (float64, error) {
		if t.memory {
			n, err := bench.ResidentBytes(r.pid)
			return float64(n), err
		}
		d, err := bench.CPUTime(r.pid)
		return float64(d.Nanoseconds()) / 1000, err
	}
	_, port, _ := strings.Cut(r.addr, ":")
	c := newCrowd(ctx, l, port)
	defer c.disperse()
	var before float64
	served, err := t.run(c, func() (err error) {
		before, err = used()
		return err
	})
	if err != nil {
		return 0, errors.Join(err, c.Err())
	}
	after, err := used()
	if err != nil {
		return 0, err
	}
	if served == 0 {
		return 0, errors.New("nothing was served")
	}
	return (after - before) / float64(served), nil
}
