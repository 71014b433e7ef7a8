package metrics

import (
	"bytes"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/store"
)

// qos is that of every message of the tree, as Mosquitto's. Subscribers get the lower one of it and of what they asked for.
const qos = 2

// Options configure a SysTree.
type Options struct {
	Broker   *broker.Broker // whose numbers they are, and who publishes them
	Interval time.Duration  // between two refreshes; 0 or less: off, until SetInterval
	Version  string         // for $SYS/broker/version, without the name: "0.1.0"
	Log      *slog.Logger   // for what could not be published; nil: nothing is logged
}

// SysTree publishes $SYS/broker and keeps it fresh.
type SysTree struct {
	publish func(*store.Message) error
	log     *slog.Logger

	started time.Time
	sample  sample
	version value
	uptime  value
	loads   []load
	counts  []count
	text    []byte // to format in
	failed  error  // the first of this refresh

	mu    sync.Mutex // guards asked
	asked sample     // of Values

	interval  time.Duration      // in force
	intervals chan time.Duration // from SetInterval
	stop      chan struct{}      // closed by Close
	closing   sync.Once
	running   sync.WaitGroup
}

// New returns a tree that is not published yet. The uptime counts from here.
func New(o Options) *SysTree {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	now, peak := time.Now(), new(atomic.Int64)
	s := &SysTree{
		publish: o.Broker.Publish, log: o.Log,
		started: now, sample: newSample(o.Broker, peak), asked: newSample(o.Broker, peak),
		version: newValue("version"), uptime: newValue("uptime"),
		loads: newLoads(now), counts: newCounts(),
		interval: o.Interval, intervals: make(chan time.Duration), stop: make(chan struct{}),
	}
	s.text = append(s.text, "unio version "+o.Version...)
	s.version.text = bytes.Clone(s.text)
	return s
}

// Start publishes the whole tree, unless it is off, and then keeps it fresh until Close. It is called once.
func (s *SysTree) Start() {
	if s.interval > 0 {
		s.refresh(time.Now())
	}
	s.running.Go(s.run)
}

// SetInterval changes the time between two refreshes; 0 or less stops them. The next one comes when the new interval has
// passed; if the tree was off, it comes at once. What was published stays. After Close it does nothing. It must not come
// before Start.
func (s *SysTree) SetInterval(d time.Duration) {
	select {
	case s.intervals <- d:
	case <-s.stop:
	}
}

// Close ends the refreshes and waits for the one that runs. It may be called again.
func (s *SysTree) Close() {
	s.closing.Do(func() { close(s.stop) })
	s.running.Wait()
}

// run owns the tree's state until Close.
func (s *SysTree) run() {
	t := time.NewTicker(max(s.interval, 1))
	defer t.Stop()
	if s.interval <= 0 {
		t.Stop()
	}
	for {
		select {
		case <-s.stop:
			return
		case now := <-t.C:
			s.refresh(now)
		case d := <-s.intervals:
			s.change(t, d)
		}
	}
}

func (s *SysTree) change(t *time.Ticker, d time.Duration) {
	off := s.interval <= 0
	s.interval = d
	if d <= 0 {
		t.Stop()
		return
	}
	t.Reset(d)
	if off {
		s.refresh(time.Now())
	}
}

// refresh publishes what changed since the last time. Nothing is allocated but for what is published.
func (s *SysTree) refresh(now time.Time) {
	s.failed = nil
	s.sample.take()
	if v := &s.version; !v.published {
		s.send(v, v.text)
	}
	s.text = strconv.AppendInt(s.text[:0], int64(now.Sub(s.started)/time.Second), 10)
	s.text = append(s.text, " seconds"...)
	s.show(&s.uptime)
	for i := range s.loads {
		l := &s.loads[i]
		l.step(&s.sample, now)
		for j := range l.averages {
			s.text = strconv.AppendFloat(s.text[:0], l.averages[j].rate, 'f', 2, 64)
			s.show(&l.averages[j].value)
		}
	}
	for i := range s.counts {
		c := &s.counts[i]
		s.text = strconv.AppendInt(s.text[:0], c.read(&s.sample), 10)
		s.show(&c.value)
	}
	if s.failed != nil {
		s.log.Error("Unable to publish $SYS.", slog.Any("error", s.failed))
	}
}

// show publishes s.text as the value of v, unless that is what stands there already.
func (s *SysTree) show(v *value) {
	if !v.published || !bytes.Equal(v.text, s.text) {
		s.send(v, bytes.Clone(s.text)) // the message is kept, by the broker as the retained one
	}
}

// send publishes text, which must not change any more. After a failure it is tried again at the next refresh.
func (s *SysTree) send(v *value, text []byte) {
	v.text, v.published = text, true
	for _, name := range v.topics {
		if err := s.publish(&store.Message{Topic: name, Payload: text, QoS: qos, Retain: true}); err != nil {
			v.published = false
			if s.failed == nil {
				s.failed = err
			}
		}
	}
}

// Values returns the numbers as they are now, whether the tree is published or not, under those topics that Mosquitto 2.1 tells over HTTP.
func (s *SysTree) Values() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked.take()
	values := map[string]int64{root + "uptime": int64(time.Since(s.started) / time.Second)}
	for _, c := range newCounts() {
		for _, topic := range c.topics {
			if mosquittos[topic] {
				values[topic] = c.read(&s.asked)
			}
		}
	}
	return values
}

// mosquittos are the topics that Values has. Not there are those that are older names for the same, and ours.
var mosquittos = map[string]bool{
	root + "clients/total": true, root + "clients/maximum": true, root + "clients/disconnected": true, root + "clients/connected": true,
	root + "clients/expired": true, root + "messages/stored": true, root + "store/messages/bytes": true, root + "subscriptions/count": true,
	root + "shared_subscriptions/count": true, root + "retained messages/count": true, root + "heap/current": true, root + "heap/maximum": true,
	root + "messages/received": true, root + "messages/sent": true, root + "bytes/received": true, root + "bytes/sent": true,
	root + "publish/bytes/received": true, root + "publish/bytes/sent": true, root + "connections/socket/count": true,
	root + "packet/out/count": true, root + "packet/out/bytes": true,
	root + "publish/messages/dropped": true, root + "publish/messages/received": true, root + "publish/messages/sent": true,
}
