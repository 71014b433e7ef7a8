// Command compare measures Unio beside other brokers on this machine and writes what it found to docs/benchmarks: tables, and
// charts as SVG.
//
//	go run ./bench/compare [-quick] [-peers LIST]      # the comparison: README.md; -only TEXT measures a part of it
//	go run ./bench/compare -growth [-quick]            # how costs grow, and who disturbs whom: growth.md
//	go run ./bench/compare -durable [-quick]           # what durability costs: durable.md
//	go run ./bench/compare -second [-quick]            # what load tools of others say: second.md
//
// Every broker is started afresh for every measurement, pinned to one core, and the load, unio bench, to another. The brokers take
// turns, and the whole is repeated: A B C A B C. A figure is the median. How each broker is configured is in peers.go and is printed
// with the results. What is missing on the machine is named as missing.
//
// It needs Linux, taskset, and for the peers what peers.go says. It installs nothing but aedes, by npm, beside its package.json.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are what the flags say.
type settings struct {
	quick, growth, durable, second bool
	peers, only                    string
	out                            string
	rounds                         int
	brokerCore, loadCore           int
	log                            io.Writer
}

// lab has what a measurement needs.
type lab struct {
	settings
	work  string // a temporary folder
	unio  string // the binary: broker and load
	peers []*peer
	gone  []string // why peers are missing
}

func main() {
	var s settings
	flag.BoolVar(&s.quick, "quick", false, "one round of short runs, to see that everything works")
	flag.BoolVar(&s.growth, "growth", false, "measure growth and fairness instead")
	flag.BoolVar(&s.durable, "durable", false, "measure what durability costs instead")
	flag.BoolVar(&s.second, "second", false, "have other people's load tools measure instead")
	flag.StringVar(&s.peers, "peers", "", "only these, with commas between; unio is always one")
	flag.StringVar(&s.only, "only", "", "only scenarios whose names contain `TEXT`")
	flag.StringVar(&s.out, "out", "docs/benchmarks", "write to `FOLDER`")
	flag.IntVar(&s.rounds, "rounds", 3, "how often to repeat everything")
	flag.IntVar(&s.brokerCore, "broker-core", 0, "pin brokers to this `CORE`")
	flag.IntVar(&s.loadCore, "load-core", 1, "pin the load to this `CORE`")
	flag.Parse()
	s.log = os.Stderr
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	if s.quick {
		s.rounds = 1
	}
	if s.peers == "" && (s.growth || s.durable || s.second) {
		s.peers = "mosquitto" // one beside ours is enough
	}
	l := &lab{settings: s}
	var err error
	if l.work, err = os.MkdirTemp("", "compare"); err != nil {
		return err
	}
	defer os.RemoveAll(l.work)
	if err := raiseFileLimit(); err != nil {
		return err
	}
	l.unio = filepath.Join(l.work, "unio")
	if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", l.unio, "./cmd/unio").CombinedOutput(); err != nil {
		return fmt.Errorf("build unio: %w\n%s", err, out)
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	l.findPeers(ctx)
	defer func() {
		for _, p := range l.peers {
			p.end()
		}
	}()
	started := time.Now()
	switch {
	case s.growth:
		err = l.growthReport(ctx)
	case s.durable:
		err = l.durableReport(ctx)
	case s.second:
		err = l.secondReport(ctx)
	default:
		err = l.compare(ctx)
	}
	fmt.Fprintf(s.log, "took %v\n", time.Since(started).Round(time.Second))
	return err
}

// findPeers prepares the brokers that are wanted and there.
func (l *lab) findPeers(ctx context.Context) {
	wanted := strings.Split(l.settings.peers, ",")
	for _, p := range allPeers() {
		if p.name != "unio" && l.settings.peers != "" && !slices.Contains(wanted, p.name) {
			continue
		}
		if err := p.prepare(ctx, l, p); err != nil {
			l.gone = append(l.gone, fmt.Sprintf("%s: %v", p.name, err))
			fmt.Fprintf(l.log, "missing: %s: %v\n", p.name, err)
			continue
		}
		fmt.Fprintf(l.log, "%s %s\n", p.name, p.version)
		l.peers = append(l.peers, p)
	}
}

// write writes a file of the report.
func (l *lab) write(name, text string) error {
	path := filepath.Join(l.out, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	fmt.Fprintln(l.log, "wrote", path)
	return nil
}

var errMissing = errors.New("not installed")
