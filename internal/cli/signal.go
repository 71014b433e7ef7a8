package cli

import (
	"log/slog"
	"os"
	"os/signal"
	"sync"
)

// warnOnSignals logs a warning for each of laterSignals, until the returned function
// is called.
func warnOnSignals(log *slog.Logger) (stop func()) {
	if len(laterSignals) == 0 {
		return func() {}
	}
	received := make(chan os.Signal, 1)
	signal.Notify(received, laterSignals...)
	var done sync.WaitGroup
	done.Go(func() {
		for s := range received {
			log.Warn("signal " + s.String() + " is ignored: what it asks for is not available yet")
		}
	})
	return func() {
		signal.Stop(received)
		close(received)
		done.Wait()
	}
}
