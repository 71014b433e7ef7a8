package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uniomq/unio/internal/bench"
)

// metric is one figure of a scenario, and one line of the table. Less is always better.
type metric struct {
	name  string
	unit  string
	chart string  // the chart that shows it
	goal  float64 // how many times as much mosquitto is to need; 0: there is no goal
	at    float64 // the same as a figure, on the machine on which the goals were set
	of    func(r *bench.Report) float64
}

// scenario is a run of unio bench.
type scenario struct {
	name    string
	args    []string
	timed   bool // takes the time of a run
	stored  bool // Unio stores it on the disk, and syncs
	metrics []metric
}

// The charts.
const (
	chartCPU     = "cpu"
	chartLatency = "latency"
	chartMemory  = "memory"
)

func phaseOf(r *bench.Report, name string) *bench.Phase {
	for i := range r.Phases {
		if r.Phases[i].Name == name {
			return &r.Phases[i]
		}
	}
	return &bench.Phase{}
}

func cpu(name, phase string) metric {
	return metric{name: name, unit: "CPU us", chart: chartCPU, of: func(r *bench.Report) float64 { return phaseOf(r, phase).BrokerMicrosEach }}
}

func memory(name, phase string) metric {
	return metric{name: name, unit: "bytes", chart: chartMemory, of: func(r *bench.Report) float64 { return phaseOf(r, phase).MemoryEach }}
}

func latency(name, phase string) metric {
	return metric{name: name, unit: "us", chart: chartLatency, of: func(r *bench.Report) float64 {
		if l := phaseOf(r, phase).Latency; l != nil {
			return l.P99
		}
		return 0
	}}
}

// to sets the goal.
func (m metric) to(times, at float64) metric {
	m.goal, m.at = times, at
	return m
}

func args(text string) []string { return strings.Fields(text) }

// scenarios are those of the comparison. many is how many filters, retained messages and queued messages there are.
func scenarios(quick bool) []scenario {
	many, idle := 100_000, 5000
	if quick {
		many, idle = 5000, 1000
	}
	return []scenario{
		{"one-to-one QoS 0, 16 bytes, windows of 20", args("one-to-one --size 16"), true, false, []metric{cpu("per message", "publish").to(11, 1.05)}},
		{"one-to-one QoS 1, 64 bytes, windows of 20", args("one-to-one -q 1"), true, false, []metric{cpu("per message", "publish").to(11, 1.97)}},
		{"one-to-one QoS 2, 64 bytes, windows of 20", args("one-to-one -q 2"), true, false, []metric{cpu("per message", "publish").to(13, 3.34)}},
		{"sparse: 200 pairs, one message in flight each", args("one-to-one --pairs 200 --window 1"), true, false, []metric{cpu("per message", "publish").to(1.4, 12)}},
		{
			"5000 messages a second over 1000 pairs, mostly asleep", args("one-to-one --pairs 1000 --rate 5000"), true, false,
			[]metric{cpu("per message", "publish").to(1, 24.6), latency("99th percentile of latency", "publish")},
		},
		{
			"1000 messages a second QoS 1 over 100 pairs", args("one-to-one -q 1 --rate 1000"), true, false,
			[]metric{latency("99th percentile of latency", "publish")},
		},
		{"fan-out 1 to 1000, QoS 0", args("fan-out"), true, false, []metric{cpu("per message", "publish").to(8, 1.43)}},
		{"fan-out 1 to 1000, QoS 1", args("fan-out -q 1"), true, false, []metric{cpu("per message", "publish").to(5.5, 1.93)}},
		{"1000 publishers to a shared group of one, QoS 0", args("shared --subscribers 1"), true, false, []metric{cpu("per message", "publish").to(4, 2.95)}},
		{"1000 publishers to a shared group of one, QoS 1", args("shared --subscribers 1 -q 1"), true, false, []metric{cpu("per message", "publish").to(3.8, 6.58)}},
		{
			grouped(many) + " filters, exact and wildcard", args("wildcards --settle 12s --filters " + strconv.Itoa(many)), true, false,
			[]metric{cpu("per message", "publish").to(3, 4.8), cpu("per subscription", "subscribe").to(1.4, 4), memory("per filter, after 12 seconds", "subscribe").to(3, 250)},
		},
		{
			grouped(idle) + " idle connections with a subscription each", args("idle --for 12s --connections " + strconv.Itoa(idle)), false, false,
			[]metric{memory("per connection, after 12 seconds", "hold").to(1.77, 1000), cpu("to connect and subscribe", "connect")},
		},
		{
			"connect and disconnect", args("connect"), true, false,
			[]metric{cpu("per connection", "connect").to(1.18, 38), latency("99th percentile of the time to CONNACK", "connect")},
		},
		{
			grouped(many) + " retained messages", args("retained --settle 12s -n " + strconv.Itoa(many)), false, false,
			[]metric{cpu("to store", "store").to(3.9, 5), cpu("to send", "send").to(15.9, 0.7), memory("per message, after 12 seconds", "store").to(3.1, 400)},
		},
		{
			"offline queues, " + grouped(many) + " messages QoS 1", args("offline -q 1 -n " + strconv.Itoa(many)), false, false,
			[]metric{cpu("to queue", "queue"), cpu("to drain", "drain")},
		},
		{
			"the same, synced on the disk by Unio, in memory by others", args("offline -q 1 -n " + strconv.Itoa(many)), false, true,
			[]metric{cpu("to queue", "queue").to(2.8, 5), cpu("to drain", "drain").to(2.67, 3)},
		},
	}
}

// grouped writes a number with commas.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// outcome is the result of one run.
type outcome struct {
	report *bench.Report
	err    error
}

// measure starts a broker and runs a scenario against it.
func (l *lab) measure(ctx context.Context, p *peer, s *scenario) outcome {
	if s.stored && p.name == "unio" {
		p = persistent(p, "always")
	}
	r, err := l.start(ctx, p)
	if err != nil {
		return outcome{err: err}
	}
	defer r.halt()
	a := slices.Clone(s.args)
	if s.timed {
		a = append(a, "--for", l.duration().String(), "--warmup", (l.duration() / 4).String())
	}
	report, err := l.load(ctx, r, a)
	return outcome{report, err}
}

// duration is how long a timed run measures.
func (l *lab) duration() time.Duration {
	if l.quick {
		return 400 * time.Millisecond
	}
	return 1500 * time.Millisecond
}

// runTimeout bounds a run.
const runTimeout = 90 * time.Second

// load runs unio bench on the load's core against a broker that runs.
func (l *lab) load(ctx context.Context, r *running, a []string) (*bench.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	a = append([]string{"-c", strconv.Itoa(l.loadCore), l.unio, "bench"}, a...)
	a = append(a, "--broker", r.addr, "--pid", strconv.Itoa(r.pid), "--json", "--quiet", "--patience", "5s")
	out, err := exec.CommandContext(ctx, "taskset", a...).Output()
	var report bench.Report
	if len(out) > 0 {
		if jsonErr := json.Unmarshal(out, &report); jsonErr != nil {
			return nil, jsonErr
		}
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = errors.New(strings.TrimPrefix(strings.TrimSpace(string(exit.Stderr)), "Error: "))
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("not finished after %v", runTimeout)
	}
	return &report, err
}
