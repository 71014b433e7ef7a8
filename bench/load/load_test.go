package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/uniomq/unio/broker"
)

// serve starts a broker in this process and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.New(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, broker.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

func TestScenariosDeliverEveryMessage(t *testing.T) {
	t.Parallel()
	addr := serve(t)
	delivered := map[string]int{"one-to-one": 400, "fan-out": 2000, "fan-in": 400}
	for scenario, want := range delivered {
		for qos := range 3 {
			for _, version := range []string{"4", "5"} {
				o, err := parse([]string{
					"-addr", addr, "-scenario", scenario, "-qos", strconv.Itoa(qos), "-version", version, "-pairs", "5", "-n", "400",
				})
				if err != nil {
					t.Fatal(err)
				}
				r, err := measure(o)
				if err != nil {
					t.Fatalf("%s at QoS %d, version %s: %v", scenario, qos, version, err)
				}
				if r.published != 400 || r.delivered != want || r.elapsed <= 0 {
					t.Errorf("%s at QoS %d: %+v, want 400 published and %d delivered", scenario, qos, *r, want)
				}
			}
		}
	}
}

func TestIdleConnectionsAreWeighed(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		if _, err := measure(options{scenario: "idle", addr: serve(t), pid: os.Getpid(), pairs: 1, version: 4}); err == nil {
			t.Error("without /proc there is nothing to weigh with")
		}
		return
	}
	var out strings.Builder
	err := run([]string{
		"-addr", serve(t), "-scenario", "idle", "-pairs", "50", "-pid", strconv.Itoa(os.Getpid()), "-row", "unio",
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "| unio | idle | 50 | | | | ") {
		t.Errorf("row %q", out.String())
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"-qos 3", "-version 3", "-size 0", "-window 256", "-pairs 0", "-n 0", "-nonsense"} {
		if _, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("parse(%s): no error", args)
		}
	}
	if err := run([]string{"-scenario", "unheard-of"}, &strings.Builder{}); err == nil {
		t.Error("an unknown scenario: no error")
	}
}
