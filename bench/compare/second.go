package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/uniomq/unio/internal/bench"
)

// A second opinion: what tools that nobody of this project wrote say, mosquitto_pub and mosquitto_sub of Debian's mosquitto-clients, and tsung.

// trial is a load by such a tool. It returns how many messages, or connections, the broker has served.
type trial struct {
	name, unit string
	goal       float64
	run        func(ctx context.Context, l *lab, port string) (served int, err error)
}

func trials(quick bool) []trial {
	lines, users := 20_000, 2000
	if quick {
		lines, users = 2000, 200
	}
	return []trial{
		{"mosquitto_pub -l to mosquitto_sub, 10 pairs, QoS 0", "message", 11, pipes(10, 1, lines, 0)},
		{"mosquitto_pub -l to mosquitto_sub, 10 pairs, QoS 1", "message", 11, pipes(10, 1, lines, 1)},
		{"mosquitto_pub -l to mosquitto_sub, 10 pairs, QoS 2", "message", 13, pipes(10, 1, lines/2, 2)},
		{"one mosquitto_pub -l to 100 mosquitto_sub, QoS 0", "message", 8, pipes(1, 100, lines/5, 0)},
		{"one mosquitto_pub -l to 100 mosquitto_sub, QoS 1", "message", 5.5, pipes(1, 100, lines/10, 1)},
		{"tsung: connect and disconnect", "connection", 1.18, storm(users, "", "")},
		{"tsung: each client publishes 20 times at QoS 1, then leaves", "message", 1.4, storm(users, `<for from="1" to="20" var="i"><request>`+
			`<mqtt type="publish" topic="second" qos="1" retained="false">sixteen bytes of.</mqtt></request></for>`, "mqtt_published")},
	}
}

// pipes has each of some publishers write lines to its subscribers as fast as they are taken.
func pipes(publishers, subscribers, lines int, qos int) func(context.Context, *lab, string) (int, error) {
	return func(ctx context.Context, l *lab, port string) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, runTimeout)
		defer cancel()
		tool := func(name string, more ...string) *exec.Cmd {
			return exec.CommandContext(ctx, "taskset", append([]string{"-c", strconv.Itoa(l.loadCore), name, "-h", "127.0.0.1", "-p", port, "-q", strconv.Itoa(qos)}, more...)...)
		}
		var receivers, senders []*exec.Cmd
		for i := range publishers {
			for range subscribers {
				receivers = append(receivers, tool("mosquitto_sub", "-t", fmt.Sprint("second/", i), "-C", strconv.Itoa(lines)))
			}
		}
		for _, r := range receivers {
			if err := r.Start(); err != nil {
				return 0, err
			}
			defer func() { _ = r.Process.Kill() }()
		}
		time.Sleep(time.Second) // they do not tell when they have subscribed; messages that came before would be missed, and end in the timeout
		text := bytes.Repeat([]byte(strings.Repeat("x", 63)+"\n"), lines)
		for i := range publishers {
			s := tool("mosquitto_pub", "-t", fmt.Sprint("second/", i), "-l")
			s.Stdin = bytes.NewReader(text)
			if err := s.Start(); err != nil {
				return 0, err
			}
			senders = append(senders, s)
		}
		for _, c := range append(senders, receivers...) {
			if err := c.Wait(); err != nil {
				return 0, fmt.Errorf("%s: %w", filepath.Base(c.Args[3]), errors.Join(err, ctx.Err()))
			}
		}
		return len(receivers) * lines, nil
	}
}

// tsungFile is a load for tsung: clients that come 200 in a second, connect, do something and leave.
const tsungFile = `<?xml version="1.0"?>
<!DOCTYPE tsung SYSTEM "/usr/share/tsung/tsung-1.0.dtd">
<tsung loglevel="warning" version="1.0">
  <clients><client host="localhost" use_controller_vm="true" maxusers="20000"/></clients>
  <servers><server host="127.0.0.1" port="%s" type="tcp"/></servers>
  <load><arrivalphase phase="1" duration="5" unit="minute"><users maxnumber="%d" arrivalrate="200" unit="second"/></arrivalphase></load>
  <sessions>
    <session name="second" probability="100" type="ts_mqtt">
      <request><mqtt type="connect" clean_start="true" keepalive="60"/></request>
      %s
      <request><mqtt type="disconnect"/></request>
    </session>
  </sessions>
</tsung>
`

// storm has tsung send clients. What was served is what it has counted; "" are its users.
func storm(users int, requests, counter string) func(context.Context, *lab, string) (int, error) {
	if counter == "" {
		counter = "finish_users_count"
	}
	return func(ctx context.Context, l *lab, port string) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, runTimeout)
		defer cancel()
		dir, err := os.MkdirTemp(l.work, "tsung")
		if err != nil {
			return 0, err
		}
		file, err := configFile(dir, "tsung.xml", fmt.Sprintf(tsungFile, port, users, requests))
		if err != nil {
			return 0, err
		}
		cmd := exec.CommandContext(ctx, "taskset", "-c", strconv.Itoa(l.loadCore), "tsung", "-f", file, "-l", filepath.Join(dir, "log"), "-n", "start")
		cmd.Env = append(os.Environ(), "HOME="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("tsung: %w: %s", err, bytes.TrimSpace(out))
		}
		return tsungCount(filepath.Join(dir, "log"), counter)
	}
}

// tsungCount finds the last total of a counter in tsung's log.
func tsungCount(folder, counter string) (int, error) {
	logs, err := filepath.Glob(filepath.Join(folder, "*", "tsung.log"))
	if err != nil {
		return 0, err
	}
	if len(logs) == 0 {
		return 0, errors.New("tsung has left no log")
	}
	text, err := os.ReadFile(logs[0])
	if err != nil {
		return 0, err
	}
	all := regexp.MustCompile(`(?m)^stats: `+counter+` \d+ (\d+)$`).FindAllSubmatch(text, -1)
	if len(all) == 0 {
		return 0, fmt.Errorf("tsung's log has no %s:\n%s", counter, text)
	}
	return strconv.Atoi(string(all[len(all)-1][1]))
}

// secondReport measures all trials and writes second.md.
func (l *lab) secondReport(ctx context.Context) error {
	var b strings.Builder
	b.WriteString("# A second opinion\n\nWritten by `make second`: the broker's CPU microseconds under loads by tools that are not this project's, mosquitto_pub and " +
		"mosquitto_sub, and tsung.\nThey are slower than `unio bench`: the broker sleeps and wakes more often, which levels differences. Medians.\n\n" + l.machine() + "\n" + l.cast() +
		"\n| load | for each | " + strings.Join(l.names(), " | ") + " | mosquitto / Unio | goal |\n|---|---|" + strings.Repeat("--:|", len(l.peers)+2) + "\n")
	for _, t := range trials(l.quick) {
		found := map[string][]float64{}
		var trouble strings.Builder
		for round := range l.rounds {
			for _, p := range l.peers {
				v, err := l.try(ctx, p, &t)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				fmt.Fprintf(l.log, "round %d  %-65s %-10s %s us  %v\n", round+1, t.name, p.name, figure(v), err)
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
			fmt.Fprintf(&b, " %.2f | %.3g |\n", medians["mosquitto"]/medians["unio"], t.goal)
		} else {
			fmt.Fprintf(&b, " - | %.3g |\n", t.goal)
		}
		fmt.Fprint(l.log, trouble.String())
	}
	return l.write("second.md", b.String())
}

// try starts a broker, runs one trial and returns the broker's CPU microseconds for each thing served.
func (l *lab) try(ctx context.Context, p *peer, t *trial) (float64, error) {
	r, err := l.start(ctx, p)
	if err != nil {
		return 0, err
	}
	defer r.halt()
	before, err := bench.CPUTime(r.pid)
	if err != nil {
		return 0, err
	}
	_, port, _ := strings.Cut(r.addr, ":")
	served, err := t.run(ctx, l, port)
	if err != nil {
		return 0, err
	}
	after, err := bench.CPUTime(r.pid)
	if err != nil {
		return 0, err
	}
	if served == 0 {
		return 0, errors.New("nothing was served")
	}
	return float64((after - before).Nanoseconds()) / 1000 / float64(served), nil
}
