package unio

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/config"
)

// TestThePluginForSQLiteMeansPersistence: what Mosquitto's plugin keeps is kept, in a store of our
// own. That the plugin's data is not read is told once, when that store is made.
func TestThePluginForSQLiteMeansPersistence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "mosquitto.sqlite3"), "x")
	for run, told := range []bool{true, false} {
		cfg, err := config.Parse("f", strings.NewReader("persistence_location "+dir+"\nlistener 0 "+onSockets(t, "s").Listeners[0].Path+
			"\nplugin /usr/lib/mosquitto_persist_sqlite.so\nplugin_opt_flush_period 5\n"))
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		s, err := New(cfg, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		path, err := s.Save()
		if err != nil || path != filepath.Join(dir, "mosquitto.db.unio") {
			t.Errorf("run %d: stored in %q, %v", run, path, err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(log.String(), "mosquitto.sqlite3 was written by Mosquitto's plugin") != told {
			t.Errorf("run %d: the log says %s", run, log.String())
		}
	}
}
