//go:build unix

package audit

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNobodyWaitsForAnOpen has the log opened anew at a pipe, which takes until somebody reads that.
func TestNobodyWaitsForAnOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	l := open(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reopened := make(chan error, 1)
	go func() { reopened <- l.Reopen() }()
	for l.mu.TryLock() {
		l.mu.Unlock()
		runtime.Gosched()
	}
	written := make(chan struct{})
	go func() { l.Write("meanwhile"); close(written) }()
	select {
	case <-written:
	case <-time.After(10 * time.Second):
		t.Error("Write waits for the file")
	}
	pipe, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if err := <-reopened; err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(pipe).ReadString('\n'); err != nil || !strings.Contains(line, "meanwhile") {
		t.Errorf("read %q, %v", line, err)
	}
}
