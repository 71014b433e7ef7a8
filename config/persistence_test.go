package config_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/config"
)

func TestPersistence(t *testing.T) {
	for text, want := range map[string]config.Config{
		"":                            {},
		"persistence_sync always":     {},
		"persistence_sync never":      {PersistenceSync: config.SyncNever},
		"persistence_sync interval 5": {PersistenceSync: config.SyncInterval, SyncInterval: 5 * time.Millisecond},
	} {
		cfg, err := config.Parse("t.conf", strings.NewReader(text+"\n"))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if cfg.PersistenceSync != want.PersistenceSync || cfg.SyncInterval != want.SyncInterval {
			t.Errorf("%q gives %v, %v", text, cfg.PersistenceSync, cfg.SyncInterval)
		}
	}
	for _, text := range []string{"persistence_sync", "persistence_sync sometimes", "persistence_sync interval", "persistence_sync interval 0", "persistence_sync never ever"} {
		if _, err := config.Parse("t.conf", strings.NewReader(text+"\n")); err == nil || !strings.Contains(err.Error(), "t.conf:1: persistence_sync: expected") {
			t.Errorf("%q gives %v", text, err)
		}
	}
	cfg, err := config.Parse("t.conf", strings.NewReader("persistence_location /data/\npersistence_file home.db\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.FromSlash("/data/home.db.unio"); cfg.StorePath() != want {
		t.Errorf("the store is %s, want %s", cfg.StorePath(), want)
	}
}
