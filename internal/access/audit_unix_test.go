//go:build unix

package access

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/uniomq/unio/internal/audit"
)

// TestNobodyWaitsForTheEndOfAnAuditLog replaces one that goes to a pipe, which is full.
func TestNobodyWaitsForTheEndOfAnAuditLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := AuditLog{l: l}
	for i := range 500 {
		a.Write("event", slog.Int("client", i), slog.String("long", strings.Repeat("x", 250)))
	}
	replaced := make(chan error, 1)
	go func() { replaced <- a.replace(nil) }()
	for a.On() {
	}
	select {
	case err := <-replaced:
		t.Errorf("who asks for the log had to wait for the end of the old one: %v", err)
		replaced <- err
	default:
	}
	go func() { _, _ = io.Copy(io.Discard, pipe) }()
	if err := <-replaced; err != nil {
		t.Error(err)
	}
	_ = pipe.Close()
}
