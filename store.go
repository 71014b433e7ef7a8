package unio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/listening"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/disk"
)

// openStore opens the store that the configuration asks for, nil for one in memory.
func (s *Server) openStore(cfg *config.Config) (store.Store, error) {
	if !cfg.Persistence {
		return nil, nil
	}
	path := cfg.StorePath()
	if _, err := os.Stat(path); os.IsNotExist(err) {
		if _, err := os.Stat(cfg.MosquittoDB()); err == nil {
			s.log.Warn(fmt.Sprintf("%s was written by Mosquitto and is not read; unio migrate takes over what is in it", cfg.MosquittoDB()))
		}
		if _, err := os.Stat(cfg.SQLiteFile); cfg.SQLiteFile != "" && err == nil {
			s.log.Warn(cfg.SQLiteFile + " was written by Mosquitto's plugin and cannot be read: its sessions and retained messages are not there")
		}
	}
	st, err := disk.Open(path, disk.Options{
		Sync: diskSync(cfg.PersistenceSync), Interval: cfg.SyncInterval, Log: s.log, Failed: s.fail,
	})
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w; the broker's user must be able to write in %s: chown -R %d %[2]s, or set persistence_location to another folder",
			err, path, os.Geteuid())
	}
	if err != nil {
		return nil, err // not a nil *disk.Store in an interface
	}
	s.store = st
	if err := st.ListenForBackups(); err != nil {
		s.log.Warn(err.Error() + "; unio db backup works only while the broker does not run")
	}
	return st, nil
}

// Save forces what is stored to the disk, and says where that is; empty for a server that keeps nothing.
func (s *Server) Save() (path string, err error) {
	if s.store == nil {
		return "", nil
	}
	return s.inForce.Load().StorePath(), s.store.Sync()
}

// Folders returns the folders that the broker writes in, and makes where they are missing. A process that changes
// its user gives them to that.
func (s *Server) Folders() []string {
	cfg := s.inForce.Load()
	var folders []string
	if cfg.Persistence {
		folders = append(folders, cfg.StorePath())
	}
	for _, l := range cfg.Listeners {
		if len(l.TLS.ACME.Domains) > 0 {
			folders = append(folders, listening.ACMECache(cfg, l))
		}
	}
	return folders
}

// StoreSync is when the store of a configuration is forced to the disk.
func StoreSync(cfg *config.Config) disk.Sync { return diskSync(cfg.PersistenceSync) }

func diskSync(s config.Sync) disk.Sync {
	switch s {
	case config.SyncInterval:
		return disk.SyncInterval
	case config.SyncNever:
		return disk.SyncNever
	case config.SyncAlways:
	}
	return disk.SyncAlways
}

// fail ends Wait with an error, unless something else has before.
func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}
