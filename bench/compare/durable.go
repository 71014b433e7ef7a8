package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/uniomq/unio/internal/bench"
)

// durableReport measures what durability costs: QoS 1 to subscribers with stored sessions, with each persistence_sync, beside
// Mosquitto's persistence, which saves at intervals and syncs nothing. The data lies in the temporary folder, which should be on the
// disk that is of interest.
func (l *lab) durableReport(ctx context.Context) error {
	var kinds []*peer
	for _, p := range l.peers {
		switch p.name {
		case "mosquitto":
			kinds = append(kinds, persistent(p, ""))
		case "unio":
			for _, sync := range []string{"always", "interval 100", "never"} {
				kinds = append(kinds, persistent(p, sync))
			}
		}
	}
	var b strings.Builder
	b.WriteString("# What durability costs\n\nWritten by `make durable`: QoS 1 to subscribers with stored sessions, `persistence true`; mosquitto saves at intervals and syncs " +
		"nothing.\nAcknowledged: from the publish to the PUBACK, in milliseconds.\n\n" + l.machine() +
		"\n| broker | pairs | in flight | messages/s | CPU us per message | acknowledged p50 | p99 |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, window := range []int{1, 20} {
		for _, pairs := range []int{1, 10, 100} {
			sc := scenario{
				name: fmt.Sprintf("%d pairs, windows of %d", pairs, window), timed: true,
				args:    args(fmt.Sprintf("one-to-one --stored -q 1 --pairs %d --window %d", pairs, window)),
				metrics: []metric{cpu("message", "publish")},
			}
			for _, p := range kinds {
				row, err := l.durableRow(ctx, p, &sc)
				if err != nil {
					return err
				}
				fmt.Fprintf(&b, "| %s | %d | %d |%s\n", p.name, pairs, window, row)
			}
		}
	}
	return l.write("durable.md", b.String())
}

// durableRow measures one row and returns its figures.
func (l *lab) durableRow(ctx context.Context, p *peer, sc *scenario) (string, error) {
	var all []outcome
	for round := range l.rounds {
		o := l.measure(ctx, p, sc)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		l.tell(round, sc, p, o)
		if o.err != nil {
			return " " + firstLine(o.err.Error()) + " | | | |", nil
		}
		all = append(all, o)
	}
	acknowledged := func(of func(*bench.Latency) float64) metric {
		return metric{of: func(r *bench.Report) float64 { return of(phaseOf(r, "publish").Acknowledged) / 1000 }}
	}
	var row strings.Builder
	for _, m := range []metric{
		{of: func(r *bench.Report) float64 { return phaseOf(r, "publish").PerSecond }},
		cpu("", "publish"),
		acknowledged(func(l *bench.Latency) float64 { return l.P50 }),
		acknowledged(func(l *bench.Latency) float64 { return l.P99 }),
	} {
		v, _ := median(all, m)
		row.WriteString(" " + figure(v) + " |")
	}
	return row.String(), nil
}

// persistent is a broker that stores, in its own folder.
func persistent(p *peer, sync string) *peer {
	c := *p
	c.name = strings.TrimSpace(p.name + " " + sync)
	c.command = func(_ *lab, p *peer, dir string, port int) ([]string, []string, error) {
		more := []string{"persistence true", "persistence_location " + dir + "/"}
		if sync != "" {
			more = append(more, "persistence_sync "+sync)
		}
		file, err := conf(dir, port, more...)
		return slices.Concat([]string{p.binary, "-c", file}), nil, err
	}
	return &c
}
