//go:build !windows && !plan9 && !js && !wasip1

package logs

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/mosqlog"
)

// deadline bounds what a test waits for.
const deadline = 10 * time.Second

func TestSyslogGetsSeverityAndFacility(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "unio") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "log"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	if err := server.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	for facility, first := range map[int]int{config.NoFacility: 3 << 3, 5: 21 << 3} {
		sink, err := dialSyslog("unixgram", filepath.Join(dir, "log"), facility)
		if err != nil {
			t.Fatal(err)
		}
		log := slog.New(mosqlog.NewHandler(config.Log{Types: config.LogAll}, sink))
		for i, level := range []slog.Level{mosqlog.LevelError, mosqlog.LevelWarning, mosqlog.LevelNotice, mosqlog.LevelInformation, mosqlog.LevelDebug} {
			log.Log(t.Context(), level, "hello")
			packet := make([]byte, 1024)
			n, err := server.Read(packet)
			if err != nil {
				t.Fatal(err)
			}
			got := string(packet[:n])
			if want := "<" + strconv.Itoa(first+i+3) + ">"; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "hello\n") {
				t.Errorf("%v: got %q, want %s", level, got, want)
			}
		}
	}
	if _, err := dialSyslog("unixgram", filepath.Join(dir, "none"), 0); err == nil {
		t.Error("no error without a syslog")
	}
}
