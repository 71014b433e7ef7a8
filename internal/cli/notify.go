package cli

import (
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/uniomq/unio/store"
)

// notify tells the service manager that started this process, as of sd_notify(3), what
// state it is in: Debian's unit of Mosquitto waits for READY=1. Without a manager it
// does nothing.
func notify(state string) error {
	_, err := daemon.SdNotify(false, state)
	return err
}

// takeSockets gives the server what a service manager has opened, as of sd_listen_fds(3).
func (p *process) takeSockets() error {
	sockets, err := activation.Listeners()
	p.server.Sockets = sockets
	return err
}

// keepAlive tells a service manager that has WatchdogSec= that the broker is alive, twice in that time, until the returned function is called. It
// does so only as long as the engine answers: who waits for its locks for ever is as good as dead.
func (p *process) keepAlive() (stop func()) {
	within, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		p.log.Warn("the service manager's watchdog: " + err.Error())
	}
	if within <= 0 {
		return func() {}
	}
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		t := time.NewTicker(within / 2)
		defer t.Stop()
		for {
			p.server.Broker().WalkSubscriptions(func(string, store.Subscription) bool { return false })
			_ = notify(daemon.SdNotifyWatchdog) // without it the manager acts, which is what it is for
			select {
			case <-t.C:
			case <-quit:
				return
			}
		}
	})
	return func() {
		close(quit)
		done.Wait()
	}
}
