package cli

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// signals are those that a running broker acts on, besides those that end it. They wait
// from the beginning, when by default they would end the process.
type signals struct{ received chan os.Signal }

// noSignal stands for a signal that a system does not have.
const noSignal = syscall.Signal(0)

// awaitSignals begins to collect signals.
func awaitSignals() *signals {
	s := &signals{make(chan os.Signal, 16)}
	names := make([]os.Signal, 0, len(actions))
	for name := range actions {
		if name != noSignal {
			names = append(names, name)
		}
	}
	if len(names) > 0 { // of none Notify makes all
		signal.Notify(s.received, names...)
	}
	ignoreRotate()
	return s
}

// handle acts on the signals that came and come, until the returned function is called.
func (s *signals) handle(p *process) (stop func()) {
	var done sync.WaitGroup
	done.Go(func() {
		for name := range s.received {
			actions[name](p)
		}
	})
	return func() {
		signal.Stop(s.received)
		close(s.received)
		done.Wait()
	}
}
