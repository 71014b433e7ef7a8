//go:build unix && !linux

package cli

// rotateSignal is none: Go knows no SIGRTMIN on these systems, and SIGHUP rotates the log, too.
const rotateSignal = noSignal

func ignoreRotate() {}
