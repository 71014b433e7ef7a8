// Package heap holds memory_limit: it looks at the heap of the process, and has the engine refuse what
// would make it grow too far.
package heap

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/part"
)

// What is asked of Go's runtime, in the order of samples.
const (
	heapBytes      = iota // objects in use, and those not collected yet: what memory_limit is compared with
	liveBytes             // objects that were in use when garbage was last collected
	allocatedBytes        // ever
	freeBytes             // free, and not given back to the system
)

func memorySamples() []metrics.Sample {
	return []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
}

// tidier collects garbage when nothing goes on. Go itself waits until there is as much of it as memory in use, or for two minutes, and gives
// memory back to the system slowly: what the handshakes of clients leave behind would stand beside a broker that is idle.
type tidier struct {
	next      time.Time
	allocated uint64
}

const (
	tidyInterval = 5 * time.Second
	tidyQuiet    = 256 << 10 // bytes allocated in an interval in which nothing goes on
	tidyWorth    = 1 << 20   // bytes of garbage, and free ones, that are worth it
)

// wants reports whether this is the time.
func (y *tidier) wants(now time.Time, heap, live, free, allocated uint64) bool {
	if now.Before(y.next) {
		return false
	}
	quiet := allocated-y.allocated < tidyQuiet && !y.next.IsZero()
	y.next, y.allocated = now.Add(tidyInterval), allocated
	return quiet && heap+free > live+live/16+tidyWorth
}

// How often memory is looked at, without memory_limit and with it.
const (
	memoryInterval = time.Second
	limitInterval  = 100 * time.Millisecond
)

// Watch is the part of a server that holds memory_limit.
type Watch struct {
	// OwnsProcess has Go's runtime told of the limit, and garbage collected when nothing goes on. It is
	// set before Start.
	OwnsProcess bool

	log    *slog.Logger
	broker *broker.Broker

	limit   atomic.Int64
	done    chan struct{} // closed by Close
	running sync.WaitGroup
}

// New returns one of the heap of a process with the broker b.
func New(log *slog.Logger, b *broker.Broker) *Watch {
	return &Watch{log: log, broker: b, done: make(chan struct{})}
}

// Prepare implements part.Part.
func (m *Watch) Prepare(cfg *config.Config) (part.Prepared, error) {
	return part.Prepared{Use: func() { m.limit.Store(cfg.MemoryLimit) }}, nil
}

// Start implements part.Part.
func (m *Watch) Start() error {
	m.running.Go(m.watch)
	return nil
}

// Close implements part.Part.
func (m *Watch) Close(context.Context) error {
	close(m.done)
	m.running.Wait()
	return nil
}

// watch compares the heap with memory_limit, and tidies up, until Close.
func (m *Watch) watch() {
	t := time.NewTicker(limitInterval)
	defer t.Stop()
	sample := memorySamples()
	var tidy tidier
	limit := int64(-1) // not known yet
	short := false
	for {
		select {
		case <-t.C:
		case <-m.done:
			return
		}
		metrics.Read(sample)
		heap := sample[heapBytes].Value.Uint64()
		if m.OwnsProcess && tidy.wants(time.Now(), heap, sample[liveBytes].Value.Uint64(), sample[freeBytes].Value.Uint64(), sample[allocatedBytes].Value.Uint64()) {
			debug.FreeOSMemory() // heap is smaller the next time
		}
		if now := m.limit.Load(); now != limit {
			limit = now
			if m.OwnsProcess {
				setMemoryLimit(limit)
			}
			if limit > 0 {
				t.Reset(limitInterval)
			} else {
				t.Reset(memoryInterval)
			}
		}
		m.broker.SetRoom(room(limit, int64(heap)))
		over := limit > 0 && heap > uint64(limit)
		if over == short {
			continue
		}
		short = over
		m.broker.SetShort(short)
		if short {
			m.log.Error(fmt.Sprintf("memory_limit of %d bytes is reached: new clients, and messages that would have to be stored, are refused", limit))
		} else {
			m.log.Warn(fmt.Sprintf("memory_limit of %d bytes is no longer reached", limit))
		}
	}
}

// growthLimit is up to where queues and the like may grow: new clients find the rest.
func growthLimit(limit int64) int64 { return limit - limit/8 }

// room is how many bytes queues and the like may take until the heap is looked at again; negative:
// there is no limit. Much of a heap below growthLimit may be garbage, so that something is left to
// take in any case.
func room(limit, heap int64) int64 {
	left := growthLimit(limit) - heap
	switch {
	case limit <= 0:
		return -1
	case left < 0:
		return 0
	default:
		return max(left, limit/16)
	}
}

// setMemoryLimit makes Go collect more often when the heap comes near to where growth is refused, so
// that what is refused is not refused for garbage. Without a limit GOMEMLIMIT stays in force.
func setMemoryLimit(limit int64) {
	if limit > 0 {
		debug.SetMemoryLimit(growthLimit(limit))
	}
}
