package unio

import (
	"fmt"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/disk"
)

// openStore opens the store that the configuration asks for, nil for one in memory.
func (s *Server) openStore() (store.Store, error) {
	cfg := s.inForce.Load()
	if !cfg.Persistence {
		return nil, nil
	}
	path := cfg.StorePath()
	if _, err := os.Stat(path); os.IsNotExist(err) {
		if _, err := os.Stat(cfg.MosquittoDB()); err == nil {
			s.log.Warn(fmt.Sprintf("%s was written by Mosquitto and is not read; unio migrate takes over what is in it", cfg.MosquittoDB()))
		}
	}
	st, err := disk.Open(path, disk.Options{
		Sync: diskSync(cfg.PersistenceSync), Interval: cfg.SyncInterval, Log: s.log, Failed: s.fail,
	})
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

// heapMetric is what memory_limit is compared with: objects in use, and those not collected yet.
const heapMetric = "/memory/classes/heap/objects:bytes"

// watchMemory compares the heap with memory_limit until Shutdown.
func (s *Server) watchMemory() {
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	sample := []metrics.Sample{{Name: heapMetric}}
	var limit int64
	short := false
	for {
		select {
		case <-t.C:
		case <-s.done:
			return
		}
		if now := s.memoryLimit.Load(); now != limit {
			limit = now
			setMemoryLimit(limit)
		}
		metrics.Read(sample)
		heap := sample[0].Value.Uint64()
		over := limit > 0 && heap > uint64(limit)
		if over == short {
			continue
		}
		short = over
		s.broker.SetShort(short)
		if short {
			s.log.Error(fmt.Sprintf("memory_limit of %d bytes is reached: new clients, and messages for stored sessions, are refused", limit))
		} else {
			s.log.Warn(fmt.Sprintf("memory_limit of %d bytes is no longer reached", limit))
		}
	}
}

// setMemoryLimit makes Go collect more often when the heap comes near the limit. Without one GOMEMLIMIT stays in force.
func setMemoryLimit(limit int64) {
	if limit > 0 {
		debug.SetMemoryLimit(limit)
	}
}
