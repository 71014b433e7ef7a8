//go:build unix

package cli

import (
	"os"
	"syscall"
)

// actions are what Mosquitto does on signals.
var actions = map[os.Signal]func(*process){
	syscall.SIGHUP:  (*process).reload,
	syscall.SIGUSR1: (*process).save,
	syscall.SIGUSR2: (*process).printTree,
	rotateSignal:    (*process).rotate,
}
