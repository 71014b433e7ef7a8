//go:build unix

package cli

import (
	"os"
	"syscall"
)

// laterSignals are those that Mosquitto acts on and Unio does not yet. By default
// they would end the process.
var laterSignals = []os.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}
