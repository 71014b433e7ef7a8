//go:build unix

package clitest

import (
	"os"
	"syscall"
	"testing"
)

// Owner returns whose a file is, or a process's folder in /proc.
func Owner(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}
