package metrics

import (
	"runtime/metrics"
	"sync/atomic"

	"github.com/uniomq/unio/broker"
)

// sample is all numbers as they were at one refresh.
type sample struct {
	broker.Stats
	heap    int64 // bytes
	heapMax int64 // the highest at any refresh

	peak   *atomic.Int64 // heapMax of all samples
	source func() broker.Stats
	memory []metrics.Sample
}

// heapObjects is the memory of live objects and of dead ones that are not swept yet. Reading it stops nothing.
const heapObjects = "/memory/classes/heap/objects:bytes"

func newSample(b *broker.Broker, peak *atomic.Int64) sample {
	return sample{peak: peak, source: b.Stats, memory: []metrics.Sample{{Name: heapObjects}}}
}

// take reads the numbers anew.
func (s *sample) take() {
	s.Stats = s.source()
	metrics.Read(s.memory)
	if v := s.memory[0].Value; v.Kind() == metrics.KindUint64 {
		s.heap = int64(v.Uint64())
	}
	for s.heapMax = s.peak.Load(); s.heap > s.heapMax; s.heapMax = s.peak.Load() {
		s.peak.CompareAndSwap(s.heapMax, s.heap)
	}
}
