package mosqlog

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
)

// tellsDenials returns the events of an observer, and what it logs.
func tellsDenials(types config.LogType) (broker.Events, *bytes.Buffer) {
	var out bytes.Buffer
	o := NewObserver(slog.New(New(&out, config.Log{Types: types})), true)
	o.TellDenials(func(broker.Access) string { return "acl:7: topic deny #" })
	return o.Events(false), &out
}

func TestDenialsAreLoggedWithTheRule(t *testing.T) {
	t.Parallel()
	for action, want := range map[broker.Action]string{
		broker.ActionPublish:     "Denied publish of client sensor to 'a/b' (q1, r1): acl:7: topic deny #",
		broker.ActionWill:        "Denied will of client sensor to 'a/b' (q1, r1): acl:7: topic deny #",
		broker.ActionReceive:     "Denied delivery to client sensor of 'a/b' (q1, r1): acl:7: topic deny #",
		broker.ActionSubscribe:   "Denied subscribe of client sensor to 'a/b' (q1): acl:7: topic deny #",
		broker.ActionUnsubscribe: "Denied unsubscribe of client sensor from 'a/b': acl:7: topic deny #",
		broker.ActionConnect:     "Denied connect of client sensor: acl:7: topic deny #",
	} {
		e, out := tellsDenials(config.LogNotice)
		a := broker.Access{Client: sensor, Action: action, Topic: []byte("a/b"), QoS: 1, Retain: true}
		e.Denied(a)
		if got := strings.TrimSuffix(out.String(), "\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	e, out := tellsDenials(config.LogNotice)
	e.Denied(broker.Access{Client: sensor, Action: broker.ActionPublish, Topic: []byte("a"), Source: true})
	if want := "Denied delivery of the retained message 'a', which client sensor may not publish: acl:7: topic deny #\n"; out.String() != want {
		t.Errorf("%q, want %q", out, want)
	}
	e, out = tellsDenials(config.LogError)
	e.Denied(broker.Access{Client: sensor, Action: broker.ActionConnect})
	if out.Len() > 0 {
		t.Errorf("without notices: %q", out)
	}
	if NewObserver(slog.New(slog.DiscardHandler), true).Events(false).Denied != nil {
		t.Error("denials are told to who cannot explain them")
	}
}

func TestDenialsDoNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, out := tellsDenials(config.LogNotice)
		lines := func(want int) {
			t.Helper()
			if n := strings.Count(out.String(), "\n"); n != want {
				t.Errorf("%d lines, want %d", n, want)
			}
			out.Reset()
		}
		for i := range 1000 {
			e.Denied(broker.Access{Client: sensor, Action: broker.ActionReceive, Topic: fmt.Append(nil, i)})
			e.Denied(broker.Access{Client: old, Action: broker.ActionPublish, Topic: []byte("same")})
		}
		lines(2)
		for i := range 1000 {
			e.Denied(broker.Access{Client: old, Action: broker.ActionPublish, Topic: fmt.Append(nil, i)})
		}
		lines(deniedEach - 1 + 1)
		e.Denied(broker.Access{Client: sensor, Action: broker.ActionPublish, Topic: []byte("of another one")})
		e.Denied(broker.Access{Client: old, Action: broker.ActionSubscribe, Topic: []byte("of another kind")})
		lines(3)
		e.Denied(broker.Access{Client: old, Action: broker.ActionPublish, Topic: []byte("y")})
		lines(0)
		time.Sleep(time.Minute)
		e.Denied(broker.Access{Client: sensor, Action: broker.ActionReceive, Topic: []byte("x")})
		if !strings.HasPrefix(out.String(), "1 more denials are not listed.\n") {
			t.Errorf("got %q", out)
		}
		lines(2)
	})
}

// TestLongTopicsAreNotKept: a topic has up to 64 KiB.
func TestLongTopicsAreNotKept(t *testing.T) {
	const topics, size = 500, 64 << 10
	d := newDenials()
	now := time.Now()
	long := strings.Repeat("x", size)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range topics {
		what := denial{client: fmt.Sprint(i), action: broker.ActionPublish, topic: long + fmt.Sprint(i)}
		if ok, _ := d.enter(now, what); !ok {
			t.Fatalf("denial %d is not told", i)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > topics*size/10 {
		t.Errorf("%d topics of %d bytes keep %d bytes", topics, size, kept)
	}
	runtime.KeepAlive(&d)
}
