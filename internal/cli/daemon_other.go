//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package cli

import (
	"errors"

	"github.com/uniomq/unio/internal/cli/exit"
)

func isDaemon() bool { return false }

func startDaemon() error {
	return complain(exit.Invalid, errors.New("-d: this system has no daemons; start unio as a service"))
}

func detachDaemon() error { return nil }
