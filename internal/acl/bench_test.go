package acl

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/uniomq/unio/broker"
)

// manyRules returns a file with 100 rules of the user joe, among them wildcards and
// denials, and patterns behind them.
func manyRules(users, patterns int) string {
	var b strings.Builder
	for u := range users {
		name := "joe"
		if u > 0 {
			name = fmt.Sprintf("user%d", u)
		}
		fmt.Fprintf(&b, "user %s\n", name)
		for i := range 20 {
			fmt.Fprintf(&b, "topic read site/%d/room/%d/temperature\n", i%5, i)
			fmt.Fprintf(&b, "topic write site/%d/room/+/light%d\n", i%5, i)
			fmt.Fprintf(&b, "topic deny site/+/room/%d/secret/#\n", i)
			fmt.Fprintf(&b, "topic readwrite plant/%d/#\n", i)
			fmt.Fprintf(&b, "topic read +/%d/+/state\n", i)
		}
	}
	for i := range patterns {
		fmt.Fprintf(&b, "pattern readwrite device%d/%%u/%%c/#\n", i)
	}
	return b.String()
}

// questions are what the benchmarks ask, by name.
var questions = []struct {
	name, topic string
	action      broker.Action
	want        bool
}{
	{"exact", "site/3/room/3/temperature", broker.ActionReceive, true},
	{"plus", "site/4/room/livingroom/light19", broker.ActionPublish, true},
	{"hash", "plant/19/hall/machine/7/speed", broker.ActionPublish, true},
	{"denied", "site/4/room/19/secret/door", broker.ActionReceive, false},
	{"pattern", "device9/joe/sensor-0001/temperature", broker.ActionReceive, true},
	{"nothing", "elsewhere/4/room/19/secret/door", broker.ActionReceive, false},
}

func BenchmarkAuthorize(b *testing.B) {
	z := New(Options{Rules: []*Rules{mustParse(b, manyRules(1000, 10)).Compile()}})
	c := client("joe", "sensor-0001")
	for _, q := range questions {
		b.Run("1k-users/100-rules-each/"+q.name, func(b *testing.B) {
			b.ReportAllocs()
			a := broker.Access{Client: c, Action: q.action, Topic: []byte(q.topic)}
			for b.Loop() {
				if z.Authorize(a) != q.want {
					b.Fatal("wrong decision")
				}
			}
		})
	}
}

func TestAuthorizeDoesNotAllocate(t *testing.T) {
	z := New(Options{Rules: []*Rules{mustParse(t, manyRules(2, 10)).Compile()}, Listeners: map[string][]*Rules{"x": nil}})
	c := client("joe", "sensor-0001")
	for _, q := range questions {
		a := broker.Access{Client: c, Action: q.action, Topic: []byte(q.topic)}
		if got := z.Authorize(a); got != q.want {
			t.Errorf("%s: %v", q.name, got)
		}
		if n := testing.AllocsPerRun(100, func() { z.Authorize(a) }); n != 0 {
			t.Errorf("%s: %v allocations", q.name, n)
		}
	}
}

// manyRuleLines returns a rules file with 100 rules that are for the client of the benchmark, and ten times as many that are not.
func manyRuleLines(users int) string {
	var b strings.Builder
	b.WriteString("combine deny\ngroup dev client=sensor-*\n")
	for u := range users {
		name := "joe"
		if u > 0 {
			name = fmt.Sprintf("user%d", u)
		}
		for i := range 20 {
			fmt.Fprintf(&b, "allow receive user=%s topic=site/%d/room/%d/temperature qos=0..1\n", name, i%5, i)
			fmt.Fprintf(&b, "allow publish user=%s topic=site/%d/room/+/light%d retain=no size=..1000\n", name, i%5, i)
			fmt.Fprintf(&b, "deny read,write user=%s topic=site/+/room/%d/secret/#\n", name, i)
			fmt.Fprintf(&b, "allow read,write user=%s topic=plant/%d/# address=10.0.0.0/8\n", name, i)
			fmt.Fprintf(&b, "allow read,write user=%s topic=device%d/%%u/%%c/# group=dev\n", name, i)
		}
	}
	return b.String()
}

func BenchmarkAuthorizeRulesFile(b *testing.B) {
	z := New(Options{Rules: []*Rules{mustParseRules(b, manyRuleLines(11)).Compile()}})
	c := benchClient()
	for _, q := range questions {
		b.Run("100-rules-of-1100/"+q.name, func(b *testing.B) {
			b.ReportAllocs()
			a := broker.Access{Client: c, Action: q.action, Topic: []byte(q.topic)}
			for b.Loop() {
				if z.Authorize(a) != q.want {
					b.Fatal("wrong decision")
				}
			}
		})
	}
}

// BenchmarkConnect is what a client costs when it connects.
func BenchmarkConnect(b *testing.B) {
	z := New(Options{Rules: []*Rules{mustParseRules(b, manyRuleLines(11)).Compile()}})
	b.ReportAllocs()
	for b.Loop() {
		if !z.Authorize(broker.Access{Client: benchClient(), Action: broker.ActionConnect}) {
			b.Fatal("wrong decision")
		}
	}
}

func benchClient() *broker.Client {
	c := client("joe", "sensor-0001")
	c.RemoteAddr = &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1}
	return c
}

func TestAuthorizeByARulesFileDoesNotAllocate(t *testing.T) {
	z := New(Options{Rules: []*Rules{mustParseRules(t, manyRuleLines(2)).Compile(), mustParse(t, manyRules(2, 10)).Compile()}})
	c := benchClient()
	for _, q := range questions {
		a := broker.Access{Client: c, Action: q.action, Topic: []byte(q.topic), Size: 10}
		if got := z.Authorize(a); got != q.want {
			t.Errorf("%s: %v", q.name, got)
		}
		if n := testing.AllocsPerRun(100, func() { z.Authorize(a) }); n != 0 {
			t.Errorf("%s: %v allocations", q.name, n)
		}
	}
}
