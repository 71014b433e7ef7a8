package config

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sync is when what is stored is forced to the disk.
type Sync uint8

// The values of persistence_sync.
const (
	SyncAlways Sync = iota
	SyncInterval
	SyncNever
)

// maxSyncInterval is the longest interval, in milliseconds.
const maxSyncInterval = 60000

// MosquittoDB is the path of the file that Mosquitto would use.
func (c *Config) MosquittoDB() string {
	return filepath.Join(c.PersistenceLocation, c.PersistenceFile)
}

// StorePath is the folder for what is stored.
func (c *Config) StorePath() string { return c.MosquittoDB() + ".unio" }

func setPersistenceSync(c *Config, text string) error {
	mode, rest := cutWord(text)
	switch {
	case mode == "always" && rest == "":
		c.PersistenceSync = SyncAlways
	case mode == "never" && rest == "":
		c.PersistenceSync = SyncNever
	case mode == "interval":
		ms, err := strconv.ParseUint(strings.TrimSpace(rest), 10, 32)
		if err != nil || ms < 1 || ms > maxSyncInterval {
			return expected("interval and a number of milliseconds from 1 to %d, not %q", maxSyncInterval, rest)
		}
		c.PersistenceSync, c.SyncInterval = SyncInterval, time.Duration(ms)*time.Millisecond
	default:
		return expected("always, interval MS or never, not %q", text)
	}
	return nil
}

// persist switches persistence on, as Mosquitto's plugin for SQLite does.
func (p *parser) persist(pl *plugin) {
	c, file := p.cfg, pl.options["db_file"]
	c.Persistence = true
	c.note(line{option: "persistence", text: "true", at: pl.at, section: broker})
	switch {
	case c.PersistenceLocation != "": // goes before the file, as in Mosquitto
		file = filepath.Join(c.PersistenceLocation, "mosquitto.sqlite3")
	case file != "":
		c.PersistenceLocation = filepath.Dir(file)
		c.note(line{option: "persistence_location", text: c.PersistenceLocation, at: pl.at, section: broker})
	}
	c.SQLiteFile = file
	if pl.options["sync"] == "off" && !p.seen["persistence_sync"] {
		c.PersistenceSync = SyncNever
		c.note(line{option: "persistence_sync", text: "never", at: pl.at, section: broker})
	}
}

// checkPersist checks an option of the plugin for SQLite.
func checkPersist(option, text string) error {
	n, err := strconv.ParseUint(text, 10, 31)
	switch levels := []string{"extra", "full", "normal", "off"}; {
	case option == "sync" && !slices.Contains(levels, text):
		return expected("%s, not %q", orList(levels), text)
	case option == "flush_period" && err != nil:
		return expected("a number of seconds, not %q", text)
	case option == "page_size" && (err != nil || n == 0):
		return expected("a number of bytes, not %q", text)
	}
	return nil
}
