package bench

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/topic"
)

func TestHistogramIsRightToOnePercent(t *testing.T) {
	t.Parallel()
	var h histogram
	random := rand.New(rand.NewPCG(1, 2))
	values := make([]int64, 100_000)
	for i := range values {
		values[i] = int64(1) << random.IntN(40)
		values[i] += random.Int64N(values[i])
		h.add(time.Duration(values[i]), 1)
	}
	slices.Sort(values)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := micros(values[int(q*float64(len(values)))-1])
		if got := h.quantile(uint64(len(values)), q); got < want || got > want*1.01 {
			t.Errorf("quantile %v: %v, expected %v", q, got, want)
		}
	}
	if l := h.latency(); l.Count != 100_000 || l.Max != micros(values[len(values)-1]) {
		t.Errorf("%+v", *l)
	}
	h.reset()
	if l := h.latency(); l != nil {
		t.Errorf("after reset: %+v", *l)
	}
}

func TestHistogramBucketsAreWithoutGaps(t *testing.T) {
	t.Parallel()
	for i := range buckets - 1 {
		top := upperBound(i)
		if bucketOf(top) != i || bucketOf(top+1) != i+1 {
			t.Fatalf("bucket %d ends at %d, which is in bucket %d, and the next value in %d", i, top, bucketOf(top), bucketOf(top+1))
		}
	}
	if bucketOf(1<<62) != buckets-1 {
		t.Error("what is too long belongs in the last bucket")
	}
}

func TestLedgerTellsLossRepetitionAndReordering(t *testing.T) {
	t.Parallel()
	const behindWrap = ^uint32(0)
	for _, c := range []struct {
		start   uint32
		arrive  []uint32
		verdict []verdict
		sent    uint32
		lost    int
	}{
		{0, []uint32{0, 1, 2}, []verdict{fresh, fresh, fresh}, 3, 0},
		{0, []uint32{0, 2, 2}, []verdict{fresh, fresh, duplicate}, 4, 2},
		{0, []uint32{0, 3, 1, 1, 2}, []verdict{fresh, fresh, late, duplicate, late}, 4, 0},
		{0, []uint32{0, 0}, []verdict{fresh, duplicate}, 1, 0},
		{behindWrap, []uint32{behindWrap, 1, 0}, []verdict{fresh, fresh, late}, 2, 0},
	} {
		l := ledger{next: c.start}
		for i, seq := range c.arrive {
			if v := l.arrive(seq); v != c.verdict[i] {
				t.Errorf("%v: arrival %d is %d, expected %d", c.arrive, i, v, c.verdict[i])
			}
		}
		if n := l.lost(c.sent); n != c.lost {
			t.Errorf("%v of %d: %d lost, expected %d", c.arrive, c.sent, n, c.lost)
		}
	}
}

func TestSharesAreAddedUp(t *testing.T) {
	t.Parallel()
	p := &pool{ledgers: make([]ledger, 1)}
	a := &shareBook{pool: p, first: true, next: make([]uint32, 1)}
	b := &shareBook{pool: p, next: make([]uint32, 1)}
	for i, c := range []struct {
		book *shareBook
		seq  uint32
		want verdict
	}{{a, 1, fresh}, {b, 0, fresh}, {a, 4, fresh}, {a, 3, late}, {b, 3, duplicate}} {
		if v := c.book.arrive(0, c.seq); v != c.want {
			t.Errorf("arrival %d is %d, expected %d", i, v, c.want)
		}
	}
	if lost := a.lost(0, 6) + b.lost(0, 6); lost != 2 { // 2 and 5
		t.Errorf("%d lost, expected 2", lost)
	}
}

func TestSetKnowsItsMembers(t *testing.T) {
	t.Parallel()
	b := newSetBook(3, 10)
	if b.arrive(2, 1) != fresh || b.arrive(0, 3) != fresh || b.arrive(2, 1) != duplicate {
		t.Error("wrong verdict")
	}
	if n := b.lost(2, 3); n != 2 {
		t.Errorf("%d lost, expected 2", n)
	}
}

func TestTableTopicsAndFilters(t *testing.T) {
	t.Parallel()
	for _, i := range []int{0, 7, 123, 1_234_567, 9_999_999} {
		want, digits := tableTopic("p", i)
		zero, _ := tableTopic("p", 0)
		patched := []byte(zero)
		putTableDigits(patched[digits:], i)
		if string(patched) != want {
			t.Errorf("topic %d is %s, expected %s", i, patched, want)
		}
		for _, mix := range []string{MixExact, MixPlus, MixHash, MixMixed} {
			f := tableFilter("p", i, mix)
			other, _ := tableTopic("p", i^1)
			if !topic.Match(f, want) || topic.Match(f, other) {
				t.Errorf("filter %s should match %s and not %s", f, want, other)
			}
		}
	}
	wild := 0
	for i := range 100 {
		if strings.ContainsAny(tableFilter("p", i, MixMixed), "+#") {
			wild++
		}
	}
	if wild != 50 {
		t.Errorf("%d of 100 mixed filters have wildcards, expected 50", wild)
	}
}

func TestBindRanges(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"127.0.0.1":                      "[127.0.0.1]",
		"127.0.0.254-127.0.1.1":          "[127.0.0.254 127.0.0.255 127.0.1.0 127.0.1.1]",
		"::1,10.0.0.1":                   "[::1 10.0.0.1]",
		"localhost":                      `local address "localhost": expected an IP address`,
		"127.0.0.2-127.0.0.1":            `local addresses "127.0.0.2-127.0.0.1": expected the lower one first`,
		"127.0.0.2-::1":                  `local addresses "127.0.0.2-::1": expected the lower one first`,
		"10.0.0.0-10.255.255.255":        `local addresses "10.0.0.0-10.255.255.255": expected at most 65536`,
		"127.0.0.1-127.0.0.2-127.0.0.3":  `local address "127.0.0.2-127.0.0.3": expected an IP address`,
		"127.0.0.1-127.0.0.2,127.0.0.50": "[127.0.0.1 127.0.0.2 127.0.0.50]",
	} {
		all, err := ParseBind(text)
		got := fmt.Sprint(all)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, expected %s", text, got, want)
		}
	}
}

func TestOptionsThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Scenario: "x"}, "expected one-to-one, fan-out"},
		{Options{Scenario: FanOut, Pairs: 3}, "scenario fan-out has no pairs"},
		{Options{Scenario: OneToOne, Filters: 3}, "has no filters"},
		{Options{Scenario: OneToOne, QoS: 3}, "expected 0, 1 or 2"},
		{Options{Scenario: OneToOne, Version: mqtt.V31}, "expected 3.1.1 or 5.0"},
		{Options{Scenario: OneToOne, Window: 65536}, "expected 1 to 65535"},
		{Options{Scenario: OneToOne, Size: -1}, "payload of -1 bytes"},
		{Options{Scenario: OneToOne, Messages: 3, For: time.Second}, "expected one of them"},
		{Options{Scenario: Offline}, "needs QoS 1 or 2"},
		{Options{Scenario: Offline, QoS: 1, For: time.Second}, "takes a number of messages"},
		{Options{Scenario: Retained, Rate: 1}, "takes no rate"},
		{Options{Scenario: Idle, Messages: 3}, "publishes nothing"},
		{Options{Scenario: Wildcards, Mix: "x"}, "expected exact, plus, hash or mixed"},
		{Options{Scenario: FanIn, Size: 7}, "expected 8 or more"},
		{Options{Scenario: OneToOne, Broker: "http://h"}, "expected a URL with mqtt, mqtts, ws or wss"},
		{Options{Scenario: OneToOne, Broker: ":1883"}, "with a host"},
		{Options{Scenario: OneToOne, Broker: "h", Bind: []string{"h"}}, "expected an IP address"},
		{Options{Scenario: OneToOne, Rate: -1}, "rate -1"},
	} {
		_, err := Run(t.Context(), c.o, nil)
		if _, ok := err.(*OptionError); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, expected %q", c.o, err, c.want)
		}
	}
}

func TestPortsHaveDefaults(t *testing.T) {
	t.Parallel()
	for broker, want := range map[string]string{
		"h": "h:1883", "h:1": "h:1", "mqtts://h": "h:8883", "ws://h/mqtt": "h:80", "wss://h": "h:443", "[::1]": "[::1]:1883",
	} {
		d, err := newDialer(&Options{Broker: broker})
		if err != nil || d.url.Host != want {
			t.Errorf("%s: %v, error %v, expected %s", broker, d, err, want)
		}
	}
}

func TestSendingAllocatesNothing(t *testing.T) {
	r := &runner{o: Options{Window: 20, Size: 64, Version: mqtt.V5}, epoch: time.Now()}
	p := &publisher{conn: &conn{Conn: discard{}, version: mqtt.V5}, r: r, fan: 1, quota: -1, topicDigits: -1}
	topic, digits := tableTopic("bench", 0)
	p.encode(topic, digits, 64, false)
	p.index = func(seq uint32) int { return int(seq) }
	r.publishers = []*publisher{p}
	s := &subscriber{conn: p.conn, r: r, book: &ownBook{ledgers: make([]ledger, 1)}}
	seq := uint32(0)
	frame := slices.Clone(p.packets[:p.stride])
	if n := testing.AllocsPerRun(100, func() {
		p.burst()
		for range 20 {
			p.patch(frame, seq, 0)
			if err := s.handle(frame); err != nil {
				t.Fatal(err)
			}
			seq++
		}
		if err := s.settle(); err != nil {
			t.Fatal(err)
		}
		r.stopped.Store(false)
		p.outstanding.Store(0)
		p.seq.Store(seq)
	}); n > 0 {
		t.Errorf("%v allocations per window", n)
	}
}

// discard is a connection that takes everything.
type discard struct{ net.Conn }

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func TestCPUTimeIsCounted(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		if _, err := CPUTime(os.Getpid()); err == nil {
			t.Error("without /proc there is no time")
		}
		return
	}
	before, err := CPUTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	x := uint64(1)
	for start := time.Now(); time.Since(start) < 100*time.Millisecond; {
		x *= 3
	}
	after, err := CPUTime(os.Getpid())
	if err != nil || after <= before || x == 0 {
		t.Errorf("from %v to %v, error %v", before, after, err)
	}
	if n, err := ResidentBytes(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("%d bytes of memory, error %v", n, err)
	}
}
