package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/listener/websocket"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// serve starts a broker in this process, on a listener that wrap may wrap, and returns it and its address.
func serve(t *testing.T, o broker.Options, wrap func(net.Listener) net.Listener) (*broker.Broker, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if wrap != nil {
		l = wrap(l)
	}
	b, err := broker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := b.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, broker.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return b, addr
}

// unlimited has room for the queues that the scenarios fill.
var unlimited = broker.Options{Limits: broker.Limits{MaxQueuedMessages: -1}}

// mustRun runs a scenario in which nothing goes wrong.
func mustRun(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), o, nil)
	if err != nil {
		t.Fatalf("%s at QoS %d, MQTT %v: %v", o.Scenario, o.QoS, o.Version, err)
	}
	if f := r.Failure(); f != "" || !r.Verified && o.Connections == 0 {
		t.Fatalf("%s at QoS %d, MQTT %v: %q, verified: %v", o.Scenario, o.QoS, o.Version, f, r.Verified)
	}
	return r
}

func TestEveryMessageOfEveryScenarioIsCounted(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, unlimited, nil)
	scenarios := []struct {
		o         Options
		phase     string
		delivered int
	}{
		{Options{Scenario: OneToOne, Pairs: 5}, phasePublish, 403},
		{Options{Scenario: FanOut, Subscribers: 7}, phasePublish, 7 * 403},
		{Options{Scenario: FanIn, Publishers: 30}, phasePublish, 403},
		{Options{Scenario: FanIn, Publishers: 3, Subscribers: 2, Window: 20}, phasePublish, 806},
		{Options{Scenario: Shared, Publishers: 10, Subscribers: 3}, phasePublish, 403},
		{Options{Scenario: Wildcards, Filters: 200, Subscribers: 3}, phasePublish, 403},
		{Options{Scenario: Wildcards, Filters: 100, Mix: MixHash}, phasePublish, 403},
		{Options{Scenario: Retained, Publishers: 4, Subscribers: 2}, phaseSend, 806},
	}
	for _, s := range scenarios {
		for qos := range 3 {
			for _, version := range []mqtt.Version{mqtt.V311, mqtt.V5} {
				o := s.o
				o.Broker, o.QoS, o.Version, o.Messages, o.WarmUp = addr, qos, version, 403, -1
				r := mustRun(t, o)
				if p := r.last(); p.Name != s.phase || p.Delivered != s.delivered || p.Seconds <= 0 {
					t.Errorf("%s at QoS %d: %+v, expected %d delivered by %s", o.Scenario, qos, *p, s.delivered, s.phase)
				}
			}
		}
	}
}

func TestOfflineQueuesAreDrained(t *testing.T) {
	t.Parallel()
	b, addr := serve(t, unlimited, nil)
	for _, version := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		for _, qos := range []int{1, 2} {
			r := mustRun(t, Options{Scenario: Offline, Broker: addr, Pairs: 3, QoS: qos, Version: version, Messages: 500})
			if len(r.Phases) != 2 || r.Phases[0].Published != 500 || r.Phases[1].Delivered != 500 {
				t.Errorf("%+v", r.Phases)
			}
		}
	}
	look := time.NewTicker(time.Millisecond) // the broker still handles the last DISCONNECT
	defer look.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-look.C {
		s := b.Stats()
		if s.Sessions == 0 && s.Subscriptions == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d sessions and %d subscriptions were left behind", s.Sessions, s.Subscriptions)
		}
	}
}

func TestRetainedMessagesAreRemoved(t *testing.T) {
	t.Parallel()
	b, addr := serve(t, broker.Options{}, nil)
	mustRun(t, Options{Scenario: Retained, Broker: addr, Messages: 1200})
	if n := b.Stats().Retained; n != 0 {
		t.Errorf("%d retained messages were left behind", n)
	}
}

func TestLargePayloadsDoNotBlockEachOther(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, broker.Options{}, nil)
	r := mustRun(t, Options{Scenario: FanIn, Broker: addr, Publishers: 4, Window: 5, Size: 300_000, Messages: 60, QoS: 1, WarmUp: -1})
	if d := r.last().Delivered; d != 60 {
		t.Errorf("%d delivered, expected 60", d)
	}
}

func TestRateIsKeptAndLatencyCountsFromTheSchedule(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, broker.Options{}, nil)
	for qos := range 3 {
		r := mustRun(t, Options{
			Scenario: OneToOne, Broker: addr, Pairs: 3, QoS: qos, Rate: 2000, For: 200 * time.Millisecond, WarmUp: 10 * time.Millisecond, Window: 2,
		})
		p := r.last()
		if p.Published != 400 || p.Latency == nil || p.Latency.Count != 400 || p.Lateness == nil || p.Lateness.Count != 400 {
			t.Errorf("QoS %d: %+v", qos, *p)
		}
		if p.Seconds < 0.199 {
			t.Errorf("QoS %d: 400 messages in %.3f s are more than 2000 a second", qos, p.Seconds)
		}
		if acked := p.Acknowledged != nil && p.Acknowledged.Count == 400; acked != (qos > 0) {
			t.Errorf("QoS %d: acknowledged %+v", qos, p.Acknowledged)
		}
	}
}

// stall makes the broker hold every message up for a time, once.
type stall struct {
	once sync.Once
	d    time.Duration
}

func (s *stall) Intercept(*broker.Client, *mqtt.Publish) error {
	s.once.Do(func() { <-time.After(s.d) })
	return nil
}

func TestCoordinatedOmissionIsHandled(t *testing.T) {
	t.Parallel()
	const hold = 300 * time.Millisecond
	_, addr := serve(t, broker.Options{Interceptors: []broker.Interceptor{&stall{d: hold}}}, nil)
	r := mustRun(t, Options{
		Scenario: OneToOne, Broker: addr, Pairs: 1, QoS: 1, Window: 1, Rate: 1000, Messages: 400, WarmUp: -1,
	})
	// One message is held up; with it are the 300 that were due meanwhile. Counted from when they were sent, one alone is late.
	if l := r.last().Latency; l.P50 < float64(hold.Microseconds())/6 {
		t.Errorf("median %v us: the wait of the messages that were due is not in it", l.P50)
	}
}

func TestConnectScenarioCountsEachConnection(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, broker.Options{}, nil)
	for _, rate := range []float64{0, 1000} {
		r := mustRun(t, Options{Scenario: Connect, Broker: addr, Connections: 4, Messages: 101, WarmUp: -1, Rate: rate})
		if p := r.last(); p.Count != 101 || p.Latency.Count != 101 {
			t.Errorf("%+v", *p)
		}
	}
	o := Options{Scenario: Idle, Broker: addr, Connections: 50, For: 10 * time.Millisecond}
	if _, err := os.Stat("/proc/self/status"); err == nil {
		o.PID = os.Getpid()
	}
	r := mustRun(t, o)
	if len(r.Phases) != 2 || r.Phases[0].Count != 50 || r.Dead != 0 {
		t.Errorf("%+v", *r)
	}
}

func TestSlowSubscribersDoNotEndTheRun(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, broker.Options{}, nil)
	r, err := Run(t.Context(), Options{Scenario: Slow, Broker: addr, Messages: 1000, WarmUp: -1}, nil)
	if err != nil || r.Failure() != "" || r.last().Published != 1000 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTLSAndWebSocket(t *testing.T) {
	t.Parallel()
	https := httptest.NewUnstartedServer(nil) // has a certificate
	https.StartTLS()
	certificates := https.TLS.Certificates
	roots := x509.NewCertPool()
	roots.AddCert(https.Certificate())
	https.Close()
	secure := func(l net.Listener) net.Listener { return tls.NewListener(l, &tls.Config{Certificates: certificates}) }
	upgrade := func(l net.Listener) net.Listener {
		w, err := websocket.New(l, websocket.Options{})
		if err != nil {
			t.Error(err)
		}
		return w
	}
	for scheme, wrap := range map[string]func(net.Listener) net.Listener{
		"mqtts": secure,
		"ws":    upgrade,
		"wss":   func(l net.Listener) net.Listener { return upgrade(secure(l)) },
	} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			_, addr := serve(t, broker.Options{}, wrap)
			for qos := range 3 {
				mustRun(t, Options{
					Scenario: OneToOne, Broker: scheme + "://" + addr + "/mqtt", TLS: &tls.Config{RootCAs: roots},
					QoS: qos, Pairs: 3, Messages: 200, WarmUp: -1,
				})
			}
		})
	}
	t.Run("untrusted", func(t *testing.T) {
		t.Parallel()
		_, addr := serve(t, broker.Options{}, secure)
		_, err := Run(t.Context(), Options{Scenario: OneToOne, Broker: "mqtts://" + addr, TLS: &tls.Config{RootCAs: x509.NewCertPool()}}, nil)
		if err == nil || !strings.Contains(err.Error(), "TLS handshake") {
			t.Errorf("error %v", err)
		}
	})
}

// unfaithful is a broker's interceptor that does to a few messages what a broker should not.
type unfaithful struct {
	b    *broker.Broker
	what string
	held *store.Message
}

func (u *unfaithful) Intercept(_ *broker.Client, p *mqtt.Publish) error {
	_, seq := stamp(p.Payload)
	m := &store.Message{Topic: string(p.Topic), Payload: bytes.Clone(p.Payload), QoS: p.QoS}
	switch {
	case u.what == "lose" && seq == 150, u.what == "reorder" && seq == 150:
		u.held = m
		return mqtt.NotAuthorized
	case u.what == "repeat" && seq == 150:
		return u.b.Publish(m)
	case u.what == "reorder" && seq == 152:
		return u.b.Publish(u.held)
	}
	return nil
}

func TestWhatGoesWrongIsFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what                        string
		qos                         int
		lost, duplicates, reordered uint64
		failure                     string
	}{
		{"lose", 0, 1, 0, 0, "messages lost: 1"},
		{"repeat", 0, 0, 1, 0, "messages came twice at QoS 0: 1"},
		{"repeat", 1, 0, 1, 0, ""},
		{"repeat", 2, 0, 1, 0, "messages came twice at QoS 2: 1"},
		{"reorder", 0, 0, 0, 1, "messages out of order: 1"},
	} {
		u := &unfaithful{what: c.what}
		b, addr := serve(t, broker.Options{Interceptors: []broker.Interceptor{u}}, nil)
		u.b = b
		r, err := Run(t.Context(), Options{
			Scenario: OneToOne, Broker: addr, Pairs: 1, QoS: c.qos, Messages: 160, WarmUp: -1, Patience: time.Second,
		}, nil)
		if r == nil || r.Lost != c.lost || r.Duplicates != c.duplicates || r.Reordered != c.reordered || r.Failure() != c.failure {
			t.Errorf("%s at QoS %d: %+v, error %v", c.what, c.qos, r, err)
		}
		if stood := errors.Is(err, errStandstill); stood != (c.lost > 0) {
			t.Errorf("%s: error %v", c.what, err)
		}
	}
}

// closing disconnects everybody when the first message comes.
type closing struct {
	b    *broker.Broker
	once sync.Once
}

func (c *closing) Intercept(*broker.Client, *mqtt.Publish) error {
	c.once.Do(func() {
		go func() {
			for _, client := range c.b.Clients() {
				c.b.Disconnect(client.ID, mqtt.ServerShuttingDown)
			}
		}()
	})
	return nil
}

func TestBrokerThatClosesIsReported(t *testing.T) {
	t.Parallel()
	c := new(closing)
	b, addr := serve(t, broker.Options{Interceptors: []broker.Interceptor{c}}, nil)
	c.b = b
	_, err := Run(t.Context(), Options{Scenario: OneToOne, Broker: addr, Pairs: 3, Version: mqtt.V5}, nil)
	if err == nil || !strings.Contains(err.Error(), "subscriber") && !strings.Contains(err.Error(), "publisher") {
		t.Errorf("error %v", err)
	}
}

func TestInterruptEndsTheMeasurementAndReports(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, broker.Options{}, nil)
	for _, rate := range []float64{0, 500} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		r, err := Run(ctx, Options{Scenario: OneToOne, Broker: addr, Pairs: 2, QoS: 1, Rate: rate, For: time.Hour, WarmUp: -1}, nil)
		if err != nil || r.Failure() != "" || r.last().Delivered == 0 {
			t.Errorf("rate %v: %+v, error %v", rate, r, err)
		}
	}
}

// TestMemoryIsLookedAtWhenItHasSettled: later, and without that time in the figures.
func TestMemoryIsLookedAtWhenItHasSettled(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, broker.Options{}, nil)
	const settle = time.Second
	start := time.Now()
	r, err := Run(t.Context(), Options{Scenario: Retained, Broker: addr, Messages: 10, Settle: settle, PID: os.Getpid()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start).Seconds()
	if p := r.Phases[0]; p.Name != phaseStore || took < p.Seconds+settle.Seconds() {
		t.Errorf("phase %s took %v s, all %v s", p.Name, p.Seconds, took)
	}
}
