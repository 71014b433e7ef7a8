package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/uniomq/unio/internal/bench"
)

// sweep is a scenario with a number that grows.
type sweep struct {
	name, title, x string
	steps          []int
	args           func(n int) []string
	timed          bool
	// beside are connections that do nothing meanwhile, as many as the step says.
	beside  bool
	metrics []metric
}

func sweeps(quick bool) []sweep {
	steps := []int{1000, 10_000, 100_000, 1_000_000}
	clients := []int{1000, 2000, 5000, 10_000, 15_000}
	if quick {
		steps, clients = []int{1000, 10_000}, []int{500, 1000}
	}
	var all []sweep
	for _, mix := range []string{bench.MixExact, bench.MixPlus, bench.MixHash, bench.MixMixed} {
		all = append(all, sweep{
			name: "filters-" + mix, title: "Filters, " + mix, x: "filters", steps: steps, timed: true,
			args:    func(n int) []string { return args("wildcards --mix " + mix + " --filters " + strconv.Itoa(n)) },
			metrics: []metric{cpu("publish", "publish"), cpu("subscribe", "subscribe")},
		})
	}
	return append(all,
		sweep{
			name: "connections", title: "Connections that do nothing, beside 100 pairs at QoS 0", x: "idle connections", steps: clients, timed: true,
			args: func(int) []string { return args("one-to-one") }, beside: true, metrics: []metric{cpu("message", "publish")},
		},
		sweep{
			name: "retained", title: "Retained messages", x: "retained messages", steps: steps,
			args:    func(n int) []string { return args("retained -n " + strconv.Itoa(n)) },
			metrics: []metric{cpu("store", "store"), cpu("send", "send")},
		},
		sweep{
			name: "offline", title: "Offline queues of 10 sessions, QoS 1", x: "messages in all", steps: steps,
			args:    func(n int) []string { return args("offline -q 1 -n " + strconv.Itoa(n)) },
			metrics: []metric{cpu("queue", "queue"), cpu("drain", "drain")},
		},
	)
}

// growthReport measures curves, and fairness, and writes growth.md.
func (l *lab) growthReport(ctx context.Context) error {
	var b strings.Builder
	b.WriteString("# How costs grow, and who disturbs whom\n\nWritten by `make growth`. CPU microseconds of the broker for each message or subscription; " +
		"see [README.md](README.md) for the comparison.\n\n" + l.machine() + "\n" + l.cast())
	for _, s := range sweeps(l.quick) {
		text, err := l.sweep(ctx, &s)
		if err != nil {
			return err
		}
		b.WriteString(text)
	}
	text, err := l.fairness(ctx)
	if err != nil {
		return err
	}
	b.WriteString(text)
	return l.write("growth.md", b.String())
}

// sweep measures one, draws its chart and returns its part of the page.
func (l *lab) sweep(ctx context.Context, s *sweep) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n![%s](growth-%s.svg)\n\n| %s |", s.title, s.title, s.name, s.x)
	for _, n := range s.steps {
		fmt.Fprintf(&b, " %s |", grouped(n))
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(s.steps)) + "\n")
	var curves []curve
	var trouble []string
	rows := map[string]string{}
	for _, p := range l.peers {
		found := make([]curve, len(s.metrics))
		for i, m := range s.metrics {
			found[i].name = p.name + ", " + m.name
		}
		for _, n := range s.steps {
			o := l.step(ctx, p, s, n)
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			l.tell(0, &scenario{name: s.name + " " + grouped(n), metrics: s.metrics}, p, o)
			if o.err != nil {
				trouble = append(trouble, fmt.Sprintf("%s with %s: %s", p.name, grouped(n), firstLine(o.err.Error())))
			}
			for i, m := range s.metrics {
				cell := " - |"
				if o.err == nil && m.of(o.report) > 0 {
					found[i].points = append(found[i].points, point{float64(n), m.of(o.report)})
					cell = " " + figure(m.of(o.report)) + " |"
				}
				rows[found[i].name] += cell
			}
		}
		curves = append(curves, found...)
	}
	for _, c := range curves {
		fmt.Fprintf(&b, "| %s |%s\n", c.name, rows[c.name])
	}
	for _, t := range trouble {
		fmt.Fprintf(&b, "\nDid not work: %s\n", t)
	}
	return b.String(), l.write("growth-"+s.name+".svg", lineChart(s.title, s.x, "CPU us", curves))
}

// step measures one point.
func (l *lab) step(ctx context.Context, p *peer, s *sweep, n int) outcome {
	sc := scenario{args: s.args(n), timed: s.timed}
	if !s.beside {
		return l.measure(ctx, p, &sc)
	}
	r, err := l.start(ctx, p)
	if err != nil {
		return outcome{err: err}
	}
	defer r.halt()
	end, err := l.background(ctx, r, fmt.Sprintf("idle --connections %d --for 1h", n), "hold")
	if err != nil {
		return outcome{err: err}
	}
	defer end()
	report, err := l.load(ctx, r, append(sc.args, "--for", l.duration().String(), "--warmup", "200ms"))
	return outcome{report, err}
}

// background starts another unio bench, waits until its progress speaks of a phase, and returns how to end it. It is less urgent than
// the load that is measured, which shares the core with it.
func (l *lab) background(ctx context.Context, r *running, text, phase string) (end func(), err error) {
	a := append([]string{"-n", "19", "taskset", "-c", strconv.Itoa(l.loadCore), l.unio, "bench"}, args(text)...)
	cmd := exec.CommandContext(ctx, "nice", append(a, "--broker", r.addr)...)
	progress, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	seen := make(chan error, 1)
	go func() {
		buffer, told := make([]byte, 4096), false
		for text := ""; ; {
			n, err := progress.Read(buffer)
			if text += string(buffer[:n]); !told && strings.Contains(text, phase) {
				told = true
				seen <- nil
			}
			if err != nil {
				if !told {
					seen <- fmt.Errorf("the load beside it ended: %s", strings.TrimSpace(text))
				}
				return
			}
		}
	}()
	select {
	case err = <-seen:
	case <-time.After(runTimeout):
		err = fmt.Errorf("the load beside it is not there after %v", runTimeout)
	}
	if err != nil {
		end()
		return nil, err
	}
	return end, nil
}

// fairness measures the latency of a few clients alone, beside a flood, and beside a subscriber that does not read.
func (l *lab) fairness(ctx context.Context) (string, error) {
	disturbances := []struct{ name, args, phase string }{
		{"alone", "", ""},
		{"beside one publisher that sends as fast as it can", "fan-out --subscribers 1 --for 1h --warmup 0", "publish"},
		{"beside one subscriber that reads nothing of 1 MB a second", "slow --size 1000 --rate 1000 --for 1h --warmup 0", "publish"},
		{"beside 30 subscribers that read nothing of 4 KiB messages, as fast as they can be sent", "slow --subscribers 30 -q 1 --size 4096 --for 1h --warmup 0", "publish"},
	}
	var b strings.Builder
	b.WriteString("\n## Fairness\n\nA bystander: 10 pairs, 500 messages a second at QoS 1. Its 99th percentile of latency in microseconds; more than twice that of " +
		"the first column\nwould be unfair. The disturbance's load runs on the same core as the bystander's, at the lowest priority (`nice -n 19`), and is a part of what " +
		"disturbs.\n\n| broker |")
	for _, d := range disturbances {
		fmt.Fprintf(&b, " %s |", d.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(disturbances)) + "\n")
	for _, p := range l.peers {
		fmt.Fprintf(&b, "| %s |", p.name)
		alone := 0.0
		for _, d := range disturbances {
			p99, err := l.bystander(ctx, p, d.args, d.phase)
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			fmt.Fprintf(l.log, "fairness  %-60s %-10s  p99 %s us  %v\n", d.name, p.name, figure(p99), err)
			switch {
			case err != nil:
				fmt.Fprintf(&b, " %s |", firstLine(err.Error()))
			case d.args == "":
				alone = p99
				fmt.Fprintf(&b, " %s |", figure(p99))
			default:
				fmt.Fprintf(&b, " %s (%.1f times) |", figure(p99), p99/alone)
			}
		}
		b.WriteString("\n")
	}
	return b.String(), nil
}

func (l *lab) bystander(ctx context.Context, p *peer, disturbance, phase string) (float64, error) {
	var all []float64
	for range l.rounds {
		r, err := l.start(ctx, p)
		if err != nil {
			return 0, err
		}
		end := func() {}
		if disturbance != "" {
			if end, err = l.background(ctx, r, disturbance, phase); err != nil {
				r.halt()
				return 0, err
			}
		}
		report, err := l.load(ctx, r, args("one-to-one --pairs 10 -q 1 --rate 500 --warmup 200ms --for "+(2*l.duration()).String()))
		end()
		r.halt()
		if err != nil {
			return 0, err
		}
		all = append(all, latency("", "publish").of(report))
	}
	v, _ := medianOf(all)
	return v, nil
}
