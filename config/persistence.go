package config

import (
	"path/filepath"
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
