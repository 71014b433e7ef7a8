package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine describes where it was measured, as lines of Markdown.
func (l *lab) machine() string {
	var b strings.Builder
	model := "unknown"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // "" will be seen
	fmt.Fprintf(&b, "- %s, %s, %d cores; Linux %s; built with %s\n",
		model, runtime.GOARCH, runtime.NumCPU(), strings.TrimSpace(string(kernel)), runtime.Version())
	fmt.Fprintf(&b, "- broker on core %d, load on core %d, over the loopback interface\n", l.brokerCore, l.loadCore)
	rounds := fmt.Sprintf("%d rounds", l.rounds)
	if l.rounds == 1 {
		rounds = "one round"
	}
	if l.quick {
		rounds += " of short runs (`-quick`): good to see that everything works, not to compare by"
	}
	fmt.Fprintf(&b, "- %s, on %s\n", rounds, time.Now().UTC().Format("2 January 2006"))
	return b.String()
}

// cast lists the brokers with version and configuration, and those that are missing.
func (l *lab) cast() string {
	var b strings.Builder
	b.WriteString("| broker | version | configuration |\n|---|---|---|\n")
	for _, p := range l.peers {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", p.name, p.version, p.setup)
	}
	for _, gone := range l.gone {
		fmt.Fprintf(&b, "\nMissing: %s\n", gone)
	}
	return b.String()
}
