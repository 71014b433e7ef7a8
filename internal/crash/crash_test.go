package main

import (
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

// TestNothingAcknowledgedIsLost is a short run; `make crash` makes long ones.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	t.Run("kill", func(t *testing.T) { play(t, options{rounds: 4, unio: build(t), sync: "always"}) })
	t.Run("kill without syncs", func(t *testing.T) { play(t, options{rounds: 2, unio: build(t), sync: "never"}) })
	t.Run("power cut", func(t *testing.T) { play(t, options{rounds: 5, power: true, sync: "always"}) })
}

func play(t *testing.T, o options) {
	t.Parallel()
	o.round = 300 * time.Millisecond
	r, err := run(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	for _, f := range r.faults {
		t.Error(f)
	}
	if r.acked == 0 || r.received == 0 || r.checks == 0 {
		t.Error("nothing happened")
	}
}

// TestLossIsSeen has a broker lose what it has acknowledged.
func TestLossIsSeen(t *testing.T) {
	r, err := run(options{rounds: 6, power: true, sync: "never", round: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.faults) == 0 {
		t.Errorf("a broker that syncs nothing survived all power cuts: %v", r)
	}
}

func build(t *testing.T) string {
	t.Helper()
	path, err := testenv.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return path
}
