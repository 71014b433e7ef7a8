package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A histogram counts durations in buckets that are linear within a power of two: of each the 128 parts. A value read back is too
// high by at most 1/128. Unlike the usual libraries' it has one size and is safe for concurrent use, so that a thousand readers
// share one of 37 kB.
const (
	subBits      = 7
	subBuckets   = 1 << subBits
	maxMagnitude = 43 // 2^43 ns are 2.4 hours; what takes longer counts as that
	buckets      = (maxMagnitude - subBits + 1) * subBuckets
)

type histogram struct {
	counts [buckets]atomic.Uint64
	max    atomic.Int64
}

// bucketOf returns the bucket of v, which is not negative.
func bucketOf(v int64) int {
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(uint64(v)) - subBits - 1 // v>>shift has subBits+1 bits
	return min((shift+1)<<subBits+int(v>>shift)-subBuckets, buckets-1)
}

// upperBound returns the largest value in bucket i.
func upperBound(i int) int64 {
	if i < subBuckets {
		return int64(i)
	}
	shift := i>>subBits - 1
	return int64(i&(subBuckets-1)+subBuckets+1)<<shift - 1
}

// add counts a duration n times. Negative ones count as 0.
func (h *histogram) add(d time.Duration, n uint64) {
	v := max(int64(d), 0)
	h.counts[bucketOf(v)].Add(n)
	for old := h.max.Load(); v > old && !h.max.CompareAndSwap(old, v); old = h.max.Load() {
	}
}

func (h *histogram) reset() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
	h.max.Store(0)
}

// Latency is the distribution of a time, in microseconds.
type Latency struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// latency returns the distribution, nil if nothing was counted.
func (h *histogram) latency() *Latency {
	var l Latency
	var sum float64
	for i := range h.counts {
		n := h.counts[i].Load()
		l.Count += n
		sum += float64(n) * float64(upperBound(i))
	}
	if l.Count == 0 {
		return nil
	}
	l.Mean, l.Max = micros(int64(sum/float64(l.Count))), micros(h.max.Load())
	l.P50, l.P90, l.P99, l.P999 = h.quantile(l.Count, 0.5), h.quantile(l.Count, 0.9), h.quantile(l.Count, 0.99), h.quantile(l.Count, 0.999)
	return &l
}

// quantile returns the microseconds that a share q of the counted did not exceed.
func (h *histogram) quantile(count uint64, q float64) float64 {
	rank := max(uint64(q*float64(count)+0.5), 1)
	var seen uint64
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen >= rank {
			return micros(min(upperBound(i), h.max.Load()))
		}
	}
	return micros(h.max.Load())
}

func micros(nanos int64) float64 { return float64(nanos) / 1000 }
