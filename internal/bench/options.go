package bench

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// The scenarios.
const (
	OneToOne  = "one-to-one" // each publisher has one subscriber
	FanOut    = "fan-out"    // every subscriber receives every message; few publishers
	FanIn     = "fan-in"     // the same with many publishers
	Shared    = "shared"     // subscribers form one shared group
	Wildcards = "wildcards"  // a large table of filters; each message matches one
	Retained  = "retained"   // a set of retained messages is stored, then sent
	Offline   = "offline"    // messages queue for absent clients, who then come back
	Connect   = "connect"    // connect and disconnect, again and again
	Idle      = "idle"       // connections that do nothing
	Slow      = "slow"       // subscribers that do not read
)

// Scenarios lists the scenarios in the order of the documentation.
func Scenarios() []string {
	return []string{OneToOne, FanOut, FanIn, Shared, Wildcards, Retained, Offline, Connect, Idle, Slow}
}

// The mixes of filters for the scenario wildcards.
const (
	MixExact = "exact"
	MixPlus  = "plus"
	MixHash  = "hash"
	MixMixed = "mixed" // half exact, a quarter with +, a quarter with #
)

// Defaults and limits.
const (
	DefaultSize     = 64
	DefaultWindow   = 20
	DefaultFor      = 10 * time.Second
	DefaultWarmUp   = time.Second
	DefaultPatience = 10 * time.Second
	DefaultMessages = 100_000 // of retained and offline, which count messages, not time

	maxWindow  = 65_535  // packet identifiers
	maxSize    = 1 << 27 // half of what MQTT can express, which leaves room for the topic
	maxClients = 10_000_000
	maxFilters = 10_000_000 // a topic has room for seven digits
)

// Options say what to do. The zero value of a field means its default, unless said otherwise.
type Options struct {
	Scenario string
	// Broker is HOST:PORT, or a URL whose scheme is mqtt, mqtts, ws or wss. The port may be left out: 1883, 8883, 80, 443.
	Broker             string
	TLS                *tls.Config // for mqtts and wss; nil: the system's authorities
	Username, Password string
	Bind               []string // local addresses, used in turn
	Version            mqtt.Version

	QoS    int
	Size   int // bytes of a payload; 0 is the default, so nobody sends empty ones
	Window int // messages that a publisher has in flight
	// Rate is messages per second over all publishers, or connects per second. 0: flat out.
	Rate     float64
	Messages int           // how many to publish; 0: as long as For says
	For      time.Duration // how long to measure
	WarmUp   time.Duration // traffic that does not count, before; negative: none
	Patience time.Duration // a standstill of this time ends the run
	Settle   time.Duration // between subscribing, storing or queueing and the look at the broker's memory
	Stored   bool          // subscribers have sessions that outlive their connections

	Pairs       int // of one-to-one and offline
	Publishers  int
	Subscribers int
	Connections int // of idle; of connect: how many at a time
	Filters     int // of wildcards
	Mix         string

	PID int // of the broker, on this machine; 0: its CPU time and memory are not measured
}

// OptionError says what is wrong with Options.
type OptionError struct{ Err error }

// Error returns the cause.
func (e *OptionError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *OptionError) Unwrap() error { return e.Err }

// need says which counts a scenario has, with their defaults; 0: it does not have it.
type need struct{ pairs, publishers, subscribers, connections, filters, window int }

func needs(scenario string) (need, bool) {
	n, ok := map[string]need{
		OneToOne:  {pairs: 100, window: DefaultWindow},
		FanOut:    {publishers: 1, subscribers: 1000, window: DefaultWindow},
		FanIn:     {publishers: 1000, subscribers: 1, window: 1},
		Shared:    {publishers: 1000, subscribers: 10, window: 1},
		Wildcards: {publishers: 10, subscribers: 10, filters: 100_000, window: DefaultWindow},
		Retained:  {publishers: 1, subscribers: 1, window: DefaultWindow},
		Offline:   {pairs: 10, window: DefaultWindow},
		Connect:   {connections: 50},
		Idle:      {connections: 1000},
		Slow:      {publishers: 1, subscribers: 1, window: DefaultWindow},
	}[scenario]
	return n, ok
}

// complete fills in defaults and refuses what does not fit.
func (o *Options) complete() error {
	n, ok := needs(o.Scenario)
	if !ok {
		return fmt.Errorf("scenario %q: expected %s", o.Scenario, strings.Join(Scenarios(), ", "))
	}
	for _, c := range []struct {
		name  string
		value *int
		def   int
	}{
		{"pairs", &o.Pairs, n.pairs},
		{"publishers", &o.Publishers, n.publishers},
		{"subscribers", &o.Subscribers, n.subscribers},
		{"connections", &o.Connections, n.connections},
		{"filters", &o.Filters, n.filters},
		{"window", &o.Window, n.window},
	} {
		switch {
		case *c.value < 0 || *c.value > maxClients:
			return fmt.Errorf("%s %d: expected 1 to %d", c.name, *c.value, maxClients)
		case *c.value != 0 && c.def == 0:
			return fmt.Errorf("scenario %s has no %s", o.Scenario, c.name)
		case *c.value == 0:
			*c.value = c.def
		}
	}
	if o.Scenario == Wildcards && o.Mix == "" {
		o.Mix = MixMixed
	}
	o.fill()
	return o.check()
}

func (o *Options) fill() {
	if o.Version == 0 {
		o.Version = mqtt.V311
	}
	if o.Size == 0 {
		o.Size = DefaultSize
	}
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	if o.WarmUp == 0 {
		o.WarmUp = DefaultWarmUp
	}
	if o.counts() && o.Messages == 0 {
		o.Messages = DefaultMessages
	}
	if o.Messages == 0 && o.For == 0 && o.Scenario != Idle {
		o.For = DefaultFor
	}
}

// counts reports whether the scenario is about a number of messages.
func (o *Options) counts() bool { return o.Scenario == Retained || o.Scenario == Offline }

func (o *Options) check() error {
	switch {
	case o.Version != mqtt.V311 && o.Version != mqtt.V5:
		return fmt.Errorf("MQTT version %v: expected 3.1.1 or 5.0", o.Version)
	case o.QoS < 0 || o.QoS > 2:
		return fmt.Errorf("QoS %d: expected 0, 1 or 2", o.QoS)
	case o.Size < 1 || o.Size > maxSize:
		return fmt.Errorf("payload of %d bytes: expected 1 to %d", o.Size, maxSize)
	case o.Window > maxWindow:
		return fmt.Errorf("window %d: expected 1 to %d", o.Window, maxWindow)
	case o.Rate < 0:
		return fmt.Errorf("rate %v: expected messages per second", o.Rate)
	case o.Messages < 0 || o.For < 0 || o.Patience < 0 || o.Settle < 0:
		return errors.New("a number or a time is negative")
	case o.counts() && o.For > 0:
		return fmt.Errorf("scenario %s takes a number of messages, no time", o.Scenario)
	case o.Messages > 0 && o.For > 0:
		return errors.New("both a number of messages and a time: expected one of them")
	case o.counts() && o.Rate > 0:
		return fmt.Errorf("scenario %s runs flat out: it takes no rate", o.Scenario)
	case o.Scenario == Idle && o.Messages > 0:
		return errors.New("scenario idle publishes nothing: it takes a time, no number of messages")
	case o.Scenario == Offline && o.QoS == 0:
		return errors.New("scenario offline needs QoS 1 or 2: brokers need not queue QoS 0")
	case o.Filters > maxFilters || o.counts() && o.Messages > maxFilters:
		return fmt.Errorf("expected at most %d topics", maxFilters)
	case o.Scenario == Wildcards && !slices.Contains([]string{MixExact, MixPlus, MixHash, MixMixed}, o.Mix):
		return fmt.Errorf("mix %q: expected exact, plus, hash or mixed", o.Mix)
	case o.Scenario != Wildcards && o.Mix != "":
		return fmt.Errorf("scenario %s has no mix of filters", o.Scenario)
	case o.Size < stampSize && !o.onePublisherEach():
		return fmt.Errorf("payload of %d bytes: expected %d or more, to tell several publishers' messages apart", o.Size, stampSize)
	}
	return nil
}

// onePublisherEach reports whether a subscriber hears one publisher only.
func (o *Options) onePublisherEach() bool {
	switch o.Scenario {
	case OneToOne, Connect, Idle, Slow:
		return true
	case FanOut, FanIn:
		return o.Publishers == 1
	}
	return false
}
