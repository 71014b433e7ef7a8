package mosqlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/mqtt"
)

var (
	remote  = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5555}
	remote6 = &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 5555}
	local   = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1883}
	sensor  = &broker.Client{
		ID: "sensor", Username: "bob", HasUsername: true, Version: mqtt.V5, KeepAlive: 42, RemoteAddr: remote, LocalAddr: local,
	}
	old    = &broker.Client{ID: "old", Version: mqtt.V311, CleanStart: true, KeepAlive: 60, RemoteAddr: remote, LocalAddr: local}
	nobody = &broker.Client{RemoteAddr: remote}
)

// logged returns the lines that a call of some event makes.
func logged(types config.LogType, call func(broker.Events)) string {
	var out bytes.Buffer
	call(NewObserver(slog.New(New(&out, config.Log{Types: types})), true).Events(false))
	return out.String()
}

func TestConnectionLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		want string
		call func(broker.Events)
	}{
		{
			"New connection from 127.0.0.1:5555 on port 1883.",
			func(e broker.Events) { e.Opened(remote, local) },
		},
		{
			"New connection on /run/unio.sock.",
			func(e broker.Events) { e.Opened(&net.UnixAddr{}, &net.UnixAddr{Name: "/run/unio.sock"}) },
		},
		{
			"New client connected from 127.0.0.1:5555 as sensor (p5, c0, k42, u'bob').",
			func(e broker.Events) { e.Connected(sensor) },
		},
		{
			"New client connected from 127.0.0.1:5555 as old (p4, c1, k60).", // 2.1; 2.0 has p2
			func(e broker.Events) { e.Connected(old) },
		},
		{
			"Client sensor disconnected.",
			func(e broker.Events) { e.Disconnected(sensor, nil) },
		},
		{
			"Client sensor closed its connection.",
			func(e broker.Events) { e.Disconnected(sensor, io.EOF) },
		},
		{
			"Client old closed its connection.",
			func(e broker.Events) { e.Disconnected(old, fmt.Errorf("read: %w", syscall.ECONNRESET)) },
		},
		{
			"Client sensor has exceeded timeout, disconnecting.",
			func(e broker.Events) { e.Disconnected(sensor, mqtt.KeepAliveTimeout) },
		},
		{
			"Client sensor already connected, closing old connection.",
			func(e broker.Events) { e.Disconnected(sensor, mqtt.SessionTakenOver) },
		},
		{
			"Client sensor disconnected due to malformed packet.",
			func(e broker.Events) { e.Disconnected(sensor, &mqtt.Error{Reason: mqtt.MalformedPacket}) },
		},
		{
			"Client sensor disconnected due to protocol error.",
			func(e broker.Events) { e.Disconnected(sensor, fmt.Errorf("x: %w", mqtt.ProtocolError)) },
		},
		{
			"Client sensor disconnected due to oversize packet.",
			func(e broker.Events) { e.Disconnected(sensor, mqtt.PacketTooLarge) },
		},
		{
			"Client sensor been disconnected by administrative action.",
			func(e broker.Events) { e.Disconnected(sensor, mqtt.AdministrativeAction) },
		},
		{
			"Client old disconnected, not authorised.",
			func(e broker.Events) { e.Refused(old, mqtt.NotAuthorized) },
		},
		{
			"Client <unknown> disconnected: slow (127.0.0.1).",
			func(e broker.Events) { e.Refused(nobody, errors.New("slow")) },
		},
		{
			"Client <unknown> closed its connection.",
			func(e broker.Events) { e.Refused(nil, io.EOF) },
		},
		{
			"Client <unknown> disconnected due to protocol error (127.0.0.1: why: protocol error (0x82)).",
			func(e broker.Events) { e.Refused(nobody, fmt.Errorf("why: %w", mqtt.ProtocolError)) },
		},
		{
			"Client connection from 127.0.0.1 denied: max_connections exceeded.",
			func(e broker.Events) { e.Refused(old, broker.ErrMaxConnections) },
		},
		{
			"Client sensor disconnected: " + mqtt.ReceiveMaximumExceeded.Error() + ".",
			func(e broker.Events) { e.Disconnected(sensor, mqtt.ReceiveMaximumExceeded) },
		},
		{
			"Error: Internal fault; only this connection was closed. client=\"old\" fault=\"5\" packet=\"c0 00\" stack=\"a\\nb\"",
			func(e broker.Events) { e.Panicked(old, 5, []byte{0xC0, 0}, []byte("a\nb")) },
		},
	} {
		if got := logged(config.LogAll, test.call); got != test.want+"\n" {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestLinesOfOldProtocolsAndOfIPv6(t *testing.T) {
	t.Parallel()
	older := &broker.Client{ID: "older", Version: mqtt.V31, RemoteAddr: remote6}
	got := logged(config.LogAll, func(e broker.Events) { e.Opened(remote6, local); e.Connected(older) })
	want := `New connection from 2001:db8::7:5555 on port 1883.
New client connected from 2001:db8::7:5555 as older (p3, c0, k0).
` // 2.1; 2.0 has p1
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestShutdownDoesNotLogEachClient(t *testing.T) {
	t.Parallel()
	if got := logged(config.LogAll, func(e broker.Events) { e.Disconnected(sensor, mqtt.ServerShuttingDown) }); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestSubscriptionLines(t *testing.T) {
	t.Parallel()
	if got := logged(config.LogSubscribe, func(e broker.Events) { e.Subscribed(sensor, "a/#", 1) }); got != "sensor 1 a/#\n" {
		t.Errorf("got %q", got)
	}
	if got := logged(config.LogUnsubscribe, func(e broker.Events) { e.Unsubscribed(sensor, "a/#") }); got != "sensor a/#\n" {
		t.Errorf("got %q", got)
	}
}

func TestPacketLines(t *testing.T) {
	t.Parallel()
	publish := &mqtt.Publish{QoS: 1, Retain: true, PacketID: 7, Topic: []byte("a/b"), Payload: []byte("hello")}
	for _, test := range []struct {
		client *broker.Client
		packet mqtt.Packet
		in     string
		out    string
	}{
		{sensor, &mqtt.Connack{SessionPresent: true}, "", "Sending CONNACK to sensor (1, 0)"},
		{sensor, &mqtt.Connack{Reason: mqtt.NotAuthorized}, "", "Sending CONNACK to sensor (0, 135)"},
		{old, &mqtt.Connack{Reason: mqtt.NotAuthorized}, "", "Sending CONNACK to old (0, 5)"},
		{
			sensor, publish, "Received PUBLISH from sensor (d0, q1, r1, m7, 'a/b', ... (5 bytes))",
			"Sending PUBLISH to sensor (d0, q1, r1, m7, 'a/b', ... (5 bytes))",
		},
		{
			sensor, &mqtt.Ack{Kind: mqtt.PUBACK, PacketID: 7, Reason: mqtt.NoMatchingSubscribers},
			"Received PUBACK from sensor (Mid: 7, RC:16)", "Sending PUBACK to sensor (m7, rc16)",
		},
		{sensor, &mqtt.Ack{Kind: mqtt.PUBREC, PacketID: 7}, "Received PUBREC from sensor (Mid: 7)", "Sending PUBREC to sensor (m7, rc0)"},
		{sensor, &mqtt.Ack{Kind: mqtt.PUBREL, PacketID: 7}, "Received PUBREL from sensor (Mid: 7)", "Sending PUBREL to sensor (m7)"},
		{sensor, &mqtt.Ack{Kind: mqtt.PUBCOMP, PacketID: 7}, "Received PUBCOMP from sensor (Mid: 7, RC:0)", "Sending PUBCOMP to sensor (m7)"},
		{
			sensor, &mqtt.Subscribe{Subscriptions: []mqtt.Subscription{{Filter: "a/#", Options: 0x2D}, {Filter: "b"}}},
			"Received SUBSCRIBE from sensor\n\ta/# (QoS 1)\n\tb (QoS 0)", "",
		},
		{sensor, &mqtt.Suback{}, "", "Sending SUBACK to sensor"},
		{sensor, &mqtt.Unsubscribe{Filters: []string{"a"}}, "Received UNSUBSCRIBE from sensor\n\ta", ""},
		{sensor, &mqtt.Unsuback{}, "", "Sending UNSUBACK to sensor"},
		{sensor, &mqtt.Pingreq{}, "Received PINGREQ from sensor", ""},
		{sensor, &mqtt.Pingresp{}, "", "Sending PINGRESP to sensor"},
		{sensor, &mqtt.Disconnect{Reason: mqtt.SessionTakenOver}, "Received DISCONNECT from sensor", "Sending DISCONNECT to sensor (rc142)"},
		{sensor, &mqtt.Auth{Reason: mqtt.ContinueAuthentication}, "Received AUTH from sensor", "Sending AUTH to sensor (rc24)"},
	} {
		if test.in != "" {
			got := logged(config.LogDebug, func(e broker.Events) { e.Received(test.client, test.packet) })
			if got != test.in+"\n" {
				t.Errorf("got %q, want %q", got, test.in)
			}
		}
		if test.out != "" {
			got := logged(config.LogDebug, func(e broker.Events) { e.Sent(test.client, test.packet) })
			if got != test.out+"\n" {
				t.Errorf("got %q, want %q", got, test.out)
			}
		}
	}
}

func TestADropNamesClientTopicAndCause(t *testing.T) {
	t.Parallel()
	got := logged(config.LogDebug, func(e broker.Events) { e.Dropped("sensor", broker.DropQueueFull, "a/b") })
	if want := "Dropped message for sensor ('a/b'): queue full\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestPacketsAreNotObservedWithoutDebug checks that the events of packets are nil, and so
// cost nothing.
func TestPacketsAreNotObservedWithoutDebug(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		types config.LogType
		soon  bool
		want  string
	}{
		{config.LogNotice, false, "Opened Connected Refused Disconnected Subscribed Unsubscribed Limited Panicked"},
		{config.LogDebug, false, "Opened Connected Refused Disconnected Subscribed Unsubscribed Received Sent Dropped Limited Panicked"},
		{config.LogNotice, true, "Opened Connected Refused Disconnected Subscribed Unsubscribed Received Sent Dropped Limited Panicked"},
	} {
		o := NewObserver(slog.New(New(io.Discard, config.Log{Types: test.types})), true)
		e := reflect.ValueOf(o.Events(test.soon))
		var names []string
		for i := range e.NumField() {
			if !e.Field(i).IsNil() {
				names = append(names, e.Type().Field(i).Name)
			}
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("types %b: got %q, want %q", test.types, got, test.want)
		}
	}
}

func TestWhatIsLoggedCanChangeWhileItRuns(t *testing.T) {
	t.Parallel()
	var first, second bytes.Buffer
	h := New(&first, config.Log{Types: config.LogAll})
	o := NewObserver(slog.New(h), true)
	all := func() {
		e := o.Events(true)
		e.Connected(old)
		e.Subscribed(old, "a", 0)
		e.Unsubscribed(old, "a")
		e.Sent(old, &mqtt.Pingresp{})
	}
	all()
	if n := strings.Count(first.String(), "\n"); n != 4 {
		t.Errorf("%d lines:\n%s", n, &first)
	}
	first.Reset()
	h.Set(config.Log{Types: config.LogSubscribe}, Lines(&second))
	all()
	if first.Len() > 0 || second.String() != "old 0 a\n" {
		t.Errorf("got %q and %q", &first, &second)
	}
	second.Reset()
	h.Set(config.Log{Types: config.LogNotice}, Lines(&second))
	o.SetConnectionMessages(false)
	all()
	h.Set(config.Log{Types: config.LogAll})
	all()
	if second.Len() > 0 {
		t.Errorf("got %q", &second)
	}
}

// TestLogWatchersFindTheirLines has patterns as fail2ban and the like use them.
func TestLogWatchersFindTheirLines(t *testing.T) {
	t.Parallel()
	logged := logged(config.LogAll, func(e broker.Events) {
		e.Opened(remote, local)
		e.Sent(old, &mqtt.Connack{Reason: mqtt.NotAuthorized})
		e.Refused(old, mqtt.NotAuthorized)
		e.Connected(sensor)
		e.Disconnected(sensor, mqtt.KeepAliveTimeout)
		e.Disconnected(sensor, io.EOF)
	})
	for _, pattern := range []string{
		`New connection from (?P<host>[0-9.]+):\d+ on port \d+\.\n(?:.*\n)*?Client \S+ disconnected, not authorised\.`,
		`^Client \S+ disconnected, not authorised\.$`,
		`^Sending CONNACK to \S+ \(0, 5\)$`,
		`^New client connected from (\S+):(\d+) as (\S+) \(p(\d), c([01]), k(\d+)(?:, u'(.*)')?\)\.$`,
		`^Client (\S+) has exceeded timeout, disconnecting\.$`,
		`^Client (\S+) closed its connection\.$`,
	} {
		if !regexp.MustCompile("(?m)" + pattern).MatchString(logged) {
			t.Errorf("nothing matches %s in:\n%s", pattern, logged)
		}
	}
}

func TestTheWillStandsBehindTheNewClient(t *testing.T) {
	t.Parallel()
	got := logged(config.LogAll, func(e broker.Events) {
		e.Received(old, &mqtt.Connect{})
		e.Received(sensor, &mqtt.Connect{Will: &mqtt.Will{Topic: "w", Payload: []byte("xy"), QoS: 2}})
		e.Connected(sensor)
		e.Connected(old)
		e.Received(nobody, &mqtt.Connect{})
		e.Refused(nobody, mqtt.NotAuthorized)
		e.Connected(nobody)
	})
	want := `New client connected from 127.0.0.1:5555 as sensor (p5, c0, k42, u'bob').
Will message specified (2 bytes) (r0, q2).
	w
New client connected from 127.0.0.1:5555 as old (p4, c1, k60).
No will message specified.
Client <unknown> disconnected, not authorised (127.0.0.1).
New client connected from 127.0.0.1:5555 as  (p0, c0, k0).
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestRefusedConnectionsAreNotLoggedWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := logged(config.LogAll, func(e broker.Events) {
			for range 3 * refusedLines {
				e.Refused(nobody, broker.ErrConnectionRate)
			}
			time.Sleep(time.Second) // of virtual time
			e.Refused(nobody, io.EOF)
		})
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if len(lines) != refusedLines+2 {
			t.Errorf("%d lines for %d refusals", len(lines), 3*refusedLines+1)
		}
		if want := fmt.Sprintf("%d more connections were refused", 2*refusedLines); !strings.Contains(out, want) {
			t.Errorf("no line says %q", want)
		}
	})
}

func TestRefusedSubscriptionsAreLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		e := NewObserver(slog.New(New(&out, config.Log{Types: config.LogWarning})), true).Events(false)
		for range 3 {
			for i := range 1000 {
				e.Limited(sensor, fmt.Sprint("t/", i), errors.New("max_subscriptions exceeded"))
			}
			want := "Warning: Denied subscribe of client sensor to 't/0': max_subscriptions exceeded.\n"
			if got := out.String(); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			out.Reset()
			time.Sleep(time.Minute)
		}
	})
}
