package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
)

// line is one line of the table: a metric of a scenario with its medians by broker.
type line struct {
	scenario string
	metric   metric
	medians  map[string]float64
}

// compare runs all scenarios and writes the report.
func (l *lab) compare(ctx context.Context) error {
	all := slices.DeleteFunc(scenarios(l.quick), func(s scenario) bool { return !strings.Contains(s.name, l.only) })
	if len(all) == 0 {
		return fmt.Errorf("no scenario has %q in its name", l.only)
	}
	outcomes := make([]map[string][]outcome, len(all))
	for round := range l.rounds {
		for i := range all {
			if outcomes[i] == nil {
				outcomes[i] = map[string][]outcome{}
			}
			for _, p := range l.peers {
				if p.kept && round > 0 {
					continue // what takes long to start takes long at everything
				}
				o := l.measure(ctx, p, &all[i])
				if ctx.Err() != nil {
					return ctx.Err()
				}
				outcomes[i][p.name] = append(outcomes[i][p.name], o)
				l.tell(round, &all[i], p, o)
			}
		}
	}
	var lines []line
	var trouble []string
	for i := range all {
		for _, p := range l.peers {
			if t := troubleOf(outcomes[i][p.name]); t != "" {
				trouble = append(trouble, fmt.Sprintf("%s, %s: %s", p.name, all[i].name, t))
			}
		}
		for _, m := range all[i].metrics {
			ln := line{all[i].name, m, map[string]float64{}}
			for _, p := range l.peers {
				if v, ok := median(outcomes[i][p.name], m); ok {
					ln.medians[p.name] = v
				}
			}
			lines = append(lines, ln)
		}
	}
	for _, c := range []struct{ name, title string }{
		{chartCPU, "The broker's CPU time in microseconds: less is better"},
		{chartLatency, "Latency in microseconds: less is better"},
		{chartMemory, "The broker's memory in bytes: less is better"},
	} {
		if err := l.write(c.name+".svg", barChart(c.title, l.names(), chosen(lines, c.name))); err != nil {
			return err
		}
	}
	return l.write("README.md", l.markdown(lines, trouble))
}

// tell writes a line of progress.
func (l *lab) tell(round int, s *scenario, p *peer, o outcome) {
	fmt.Fprintf(l.log, "round %d  %-55s %-10s", round+1, s.name, p.name)
	if o.err != nil {
		fmt.Fprintf(l.log, "  %s\n", firstLine(o.err.Error()))
		return
	}
	for _, m := range s.metrics {
		fmt.Fprintf(l.log, "  %s %s %s", m.name, figure(m.of(o.report)), m.unit)
	}
	fmt.Fprintln(l.log)
}

func firstLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return first
}

// troubleOf says how often a scenario went wrong with a broker, "" if it never did.
func troubleOf(all []outcome) string {
	n, what := 0, ""
	for _, o := range all {
		if o.err != nil {
			n, what = n+1, firstLine(o.err.Error())
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%d of %d runs)", what, n, len(all))
}

// median returns the median of a metric over the runs that went well.
func median(all []outcome, m metric) (float64, bool) {
	var values []float64
	for _, o := range all {
		if o.err == nil {
			if v := m.of(o.report); v > 0 { // 0 is too short for the clock, or not measured
				values = append(values, v)
			}
		}
	}
	return medianOf(values)
}

func medianOf(values []float64) (float64, bool) {
	if len(values) == 0 {
		return 0, false
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2, true
}

func (l *lab) names() []string {
	names := make([]string, len(l.peers))
	for i, p := range l.peers {
		names[i] = p.name
	}
	return names
}

func chosen(lines []line, chart string) []line {
	return slices.DeleteFunc(slices.Clone(lines), func(ln line) bool { return ln.metric.chart != chart })
}

// figure writes a number with three digits.
func figure(v float64) string {
	switch {
	case v >= 1000:
		digits := math.Pow(10, math.Floor(math.Log10(v))-2)
		return grouped(int(math.Round(v/digits) * digits))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// markdown is the report.
func (l *lab) markdown(lines []line, trouble []string) string {
	var b strings.Builder
	b.WriteString("# Unio beside other brokers\n\nWritten by `make compare`, which anyone can repeat; [bench.md](../bench.md) says what the figures mean.\n\n")
	b.WriteString(l.machine())
	b.WriteString("\n" + l.cast() + "\n")
	b.WriteString("## Figures\n\nMedians; less is better everywhere. The last column is the best other broker's figure as a multiple of Unio's: " +
		"above 1 Unio is ahead.\nA dash: it did not work, see below, or the run was too short for the clock.\n\n")
	b.WriteString("| scenario | figure | " + strings.Join(l.names(), " | ") + " | best other / Unio |\n|---|---|" + strings.Repeat("--:|", len(l.peers)+1) + "\n")
	for _, ln := range lines {
		fmt.Fprintf(&b, "| %s | %s, %s |", ln.scenario, ln.metric.name, ln.metric.unit)
		for _, p := range l.peers {
			if v, ok := ln.medians[p.name]; ok {
				fmt.Fprintf(&b, " %s |", figure(v))
			} else {
				b.WriteString(" - |")
			}
		}
		if name, ratio, ok := ln.best(); ok {
			fmt.Fprintf(&b, " %.2f (%s) |\n", ratio, name)
		} else {
			b.WriteString(" |\n")
		}
	}
	b.WriteString("\n## The goals\n\n" + goals(lines))
	b.WriteString("\n![CPU time](cpu.svg)\n\n![Latency](latency.svg)\n\n![Memory](memory.svg)\n\n## Where Unio loses\n\n")
	b.WriteString(losses(lines))
	b.WriteString("\n## What did not work\n\n")
	if len(trouble) == 0 {
		b.WriteString("Everything did: no message was lost, repeated at QoS 0 or 2, or reordered.\n")
	}
	for _, t := range trouble {
		fmt.Fprintf(&b, "- %s\n", t)
	}
	return b.String()
}

// best returns the best other broker and its figure as a multiple of Unio's.
func (ln *line) best() (name string, ratio float64, ok bool) {
	ours, have := ln.medians["unio"]
	if !have {
		return "", 0, false
	}
	for other, v := range ln.medians {
		if other != "unio" && (!ok || v/ours < ratio || v/ours == ratio && other < name) {
			name, ratio, ok = other, v/ours, true
		}
	}
	return name, ratio, ok
}

// goals are the product's: ratios to mosquitto, and figures. Both were set by mosquitto 2.1 on another machine.
func goals(lines []line) string {
	var b strings.Builder
	b.WriteString("How many times as much mosquitto needs, and what Unio needs. Both goals were set beside mosquitto 2.1, which needs more than 2.0 in some rows and less in others,\n" +
		"on another machine: the figures are reached sooner on a fast one.\n\n" +
		"| scenario | figure | times: goal | measured | | figure: goal | measured | |\n|---|---|--:|--:|---|--:|--:|---|\n")
	for _, ln := range lines {
		m := ln.metric
		if m.goal == 0 {
			continue
		}
		ours, have := ln.medians["unio"]
		theirs, there := ln.medians["mosquitto"]
		if !have || !there {
			fmt.Fprintf(&b, "| %s | %s | %.3g | - | not measured | %s | - | not measured |\n", ln.scenario, m.name, m.goal, figure(m.at))
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %.3g | %.3g | %s | %s | %s | %s |\n", ln.scenario, m.name, m.goal, theirs/ours, verdict(theirs/ours/m.goal), figure(m.at), figure(ours),
			verdict(m.at/ours))
	}
	return b.String()
}

// verdict says how much of a goal is reached.
func verdict(of float64) string {
	if of >= 1 {
		return "reached"
	}
	return fmt.Sprintf("%.0f %% of it", 100*of)
}

// losses lists where another broker is better by more than the noise.
func losses(lines []line) string {
	const noise = 0.95
	var b strings.Builder
	for _, ln := range lines {
		if name, ratio, ok := ln.best(); ok && ratio < noise {
			fmt.Fprintf(&b, "- %s, %s: %s needs %s %s, Unio %s (%.2f times as much)\n", ln.scenario, ln.metric.name, name,
				figure(ln.medians[name]), ln.metric.unit, figure(ln.medians["unio"]), 1/ratio)
		}
	}
	if b.Len() == 0 {
		return "Nowhere, by more than 5 %.\n"
	}
	return b.String()
}
