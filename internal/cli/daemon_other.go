//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package cli

import "errors"

func isDaemon() bool { return false }

func startDaemon() error {
	return complain(StatusInvalid, errors.New("-d: this system has no daemons; start unio as a service"))
}

func detachDaemon() error { return nil }
