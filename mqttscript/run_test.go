package mqttscript_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"flag"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/mqttscript"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestRunPassesInEveryVersion(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, p *peer) {
		for _, v := range []mqtt.Version{mqtt.V31, mqtt.V311, mqtt.V5} {
			passes(t, p, v, `
a > CONNECT id=a
a < CONNACK session=0 ...
a > SUBSCRIBE pid=1 a/b q0 "#" q1
a < SUBACK pid=1 rc=0 rc=0
a > PUBLISH q1 pid=7 topic=t payload=300*"x"
a < PUBACK pid=7 rc=0
a < PUBLISH q1 pid=7 topic=t payload=300*"x"
a > UNSUBSCRIBE pid=2 a/b
a < UNSUBACK pid=2 rc=0
a > PINGREQ
a < RAW d0 00
a > RAW c0 00
a < PINGRESP
a quiet
a > DISCONNECT
a < EOF
`)
		}
	})
}

func TestRunCapturesAndChoices(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, p *peer) {
		passes(t, p, mqtt.V5, `
versions 5
a > CONNECT id=a
a < CONNACK alias-max=$max ...
a > PUBLISH q1 pid=$max topic=t payload="x" expiry=5 prop="a=1" prop="b=2"
a < PUBACK pid=$max
a < PUBLISH q1 pid=$p topic="u"|"t" payload=* expiry=1..3|5 prop="a=1" prop=*
a > PUBACK pid=$p
a > PUBLISH q0 topic=1 payload="y" alias=$p
a < PUBLISH alias=10 ...
`)
	})
}

func TestRunUnordered(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, p *peer) {
		passes(t, p, mqtt.V311, `
a > CONNECT id=a
a < CONNACK
b > CONNECT id=b
b < CONNACK
a > PUBLISH q1 pid=1 topic=t payload="1"
a > PUBLISH q1 pid=2 topic=t payload="2"
b > PUBLISH q0 topic=t payload="3"
unordered {
  a < PUBLISH q1 pid=* topic=t payload=*    # the second PUBLISH: the next line needs the first
  b < PUBLISH topic=t payload="3"
  a < PUBLISH q1 pid=$p topic=t payload="1"
  a < PUBACK pid=2
  a < PUBACK pid=$p
}
`)
	})
}

func TestRunEitherClient(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, p *peer) {
		passes(t, p, mqtt.V311, `
a > CONNECT id=a
b > CONNECT id=b
a < CONNACK
b < CONNACK
b > PUBLISH topic=t payload="1"
a|b < PUBLISH topic=t payload="1"
a|b quiet
`)
	})
}

func TestRunReconnects(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, p *peer) {
		passes(t, p, mqtt.V311, `
a > CONNECT id=one
a < CONNACK
a close
a > CONNECT id=two
a < CONNACK
a > DISCONNECT
a > CONNECT id=three version=5          # no EOF line: the runner waits for the close
a < CONNACK alias-max=10
a > PUBLISH topic=quit
a < EOF
a > CONNECT id=four
a < CONNACK
`)
		want := []string{"CONNECT one", "CONNECT two", "CONNECT three", "CONNECT four"}
		if got := p.notes(); !slices.Equal(got, want) {
			t.Errorf("the peer saw %v, want %v", got, want)
		}
	})
}

func TestRunDisconnectOfTheBrokerIsForVersion5(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, p *peer) {
		src := "a > CONNECT id=a\na < CONNACK ...\na > PUBLISH topic=%\na < DISCONNECT rc=0x8e\na < EOF\n"
		passes(t, p, mqtt.V5, strings.ReplaceAll(src, "%", "goodbye"))
		passes(t, p, mqtt.V311, strings.ReplaceAll(src, "%", "quit"))

		silent := parse(t, strings.ReplaceAll(src, "%", "quit"))
		if r := mqttscript.Run(t.Context(), silent, mqtt.V5, p); r.Status != mqttscript.Failed || r.Line != 4 {
			t.Errorf("a close without DISCONNECT: %v", r)
		}
		lenient := mqttscript.Runner{SilentClose: true}
		if r := lenient.Run(t.Context(), silent, mqtt.V5, p); r.Status != mqttscript.Passed {
			t.Errorf("SilentClose: %v", r)
		}
		refusal := parse(t, "a > PUBLISH topic=x\na < CONNACK rc=0x87\na < EOF\n")
		hasty := mqttscript.TCP{Address: "127.0.0.1:1"}
		if r := lenient.Run(t.Context(), refusal, mqtt.V5, &hasty); r.Status != mqttscript.Failed {
			t.Errorf("nobody listens: %v", r)
		}
	})
}

func TestRunWaitsInVirtualTime(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, p *peer) {
		start := time.Now()
		passes(t, p, mqtt.V311, "wait 3h\na > CONNECT id=a\na < CONNACK\n")
		if waited := time.Since(start); waited < 3*time.Hour || waited > 3*time.Hour+minute {
			t.Errorf("it took %v", waited)
		}
		start = time.Now()
		r := mqttscript.Runner{Timeout: 7 * time.Second}.Run(t.Context(), parse(t, "a > CONNECT id=a\na < CONNACK\na < PINGRESP\n"), mqtt.V311, p)
		if waited := time.Since(start); r.Status != mqttscript.Failed || waited < 7*time.Second || waited > 8*time.Second {
			t.Errorf("%v after %v", r, waited)
		}
	})
}

func TestRunSkips(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, p *peer) {
		p.offers = "gold"
		for _, c := range []struct{ src, want string }{
			{"needs persistence", "needs persistence"},
			{"needs gold silver", "needs silver"},
			{"broker restart", "needs a broker under control (broker restart)"},
			{"broker kill", "needs a broker under control (broker kill)"},
			{"broker option a b", "needs a broker under control (broker option)"},
			{"versions 5", "is for MQTT 5"},
			{"wait 2m", "waits 2m0s, the limit is 1m0s"},
		} {
			r := mqttscript.Runner{MaxWait: minute}.Run(t.Context(), parse(t, c.src), mqtt.V311, p)
			if r.Status != mqttscript.Skipped || r.Reason != c.want {
				t.Errorf("%s: %v, want %q", c.src, r, c.want)
			}
		}
		passes(t, p, mqtt.V311, "needs gold")
		tcp := &mqttscript.TCP{Offered: []string{"gold"}}
		if !tcp.Offers("gold") || tcp.Offers("silver") {
			t.Error("TCP.Offers is wrong")
		}
	})
}

func TestRunControlsTheBroker(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, p *peer) {
		passes(t, controlled{p}, mqtt.V311, `
broker option max_keepalive "6 0"
a > CONNECT id=a
a < CONNACK
broker restart
a > CONNECT id=b
a < CONNACK
broker kill
`)
		want := []string{"option max_keepalive=6 0", "CONNECT a", "restart", "CONNECT b", "kill"}
		if got := p.notes(); !slices.Equal(got, want) {
			t.Errorf("the peer saw %v, want %v", got, want)
		}
	})
}

func TestRunCleansUpBehindItself(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, p *peer) {
		p.lasting = true
		passes(t, p, mqtt.V311, `
a > CONNECT id=kept clean=0 will-topic=w will-payload=x will-retain
a < CONNACK
b > CONNECT id=clean
b < CONNACK
b > PUBLISH retain topic=r payload=x
b < PUBLISH retain topic=r payload=x
`)
		want := []string{
			"CONNECT kept", "CONNECT clean", "retain r=x",
			"CONNECT kept", "CONNECT mqttscript-clean", "retain r=", "retain w=",
		}
		if got := p.notes(); !slices.Equal(got, want) {
			t.Errorf("the peer saw %v, want %v", got, want)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, p *peer) {
		for _, src := range []string{"wait 1h", "a > CONNECT id=a\na < CONNACK\na < PINGRESP", "a > CONNECT id=a\na < CONNACK\na quiet\nwait 1h"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			r := mqttscript.Run(ctx, parse(t, src), mqtt.V311, p)
			cancel()
			if r.Status != mqttscript.Failed || !strings.Contains(r.Reason, "deadline exceeded") {
				t.Errorf("%q: %v", src, r)
			}
		}
	})
}

func TestRunCannotConnect(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, p *peer) {
		p.dialable = false
		r := mqttscript.Run(t.Context(), parse(t, "a > PINGREQ"), mqtt.V311, p)
		if r.Status != mqttscript.Failed || !strings.Contains(r.Reason, "connect to the broker") {
			t.Errorf("%v", r)
		}
	})
}

func TestTCPTarget(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer()
	p.conns.Go(func() {
		conn, err := l.Accept()
		if err == nil {
			p.talk(conn)
			conn.Close()
		}
	})
	passes(t, &mqttscript.TCP{Address: l.Addr().String()}, mqtt.V5, "a > CONNECT id=a\na < CONNACK ...\na quiet\n")
	l.Close()
	p.conns.Wait()
}

// TestFailures compares what is printed when a script fails with golden files. Each
// script in testdata/failures must fail, in the first of its versions.
func TestFailures(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/failures/*.mqtt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := mqttscript.Parse(filepath.Base(file), src)
			if err != nil {
				t.Fatal(err)
			}
			inBubble(t, func(t *testing.T, p *peer) {
				r := mqttscript.Run(t.Context(), s, s.Versions[0], p)
				if r.Status != mqttscript.Failed {
					t.Errorf("it did not fail: %v", r)
				}
				golden(t, strings.TrimSuffix(file, ".mqtt")+".golden", r.Transcript())
			})
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s", file, got)
	}
}

func TestWriteJUnit(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, p *peer) {
		good := parse(t, "# nothing")
		bad := parse(t, "a > CONNECT id=a\na < CONNACK rc=5")
		results := []mqttscript.Result{
			mqttscript.Run(t.Context(), good, mqtt.V311, p),
			mqttscript.Run(t.Context(), bad, mqtt.V311, p),
			mqttscript.Run(t.Context(), parse(t, "needs x"), mqtt.V5, p),
		}
		var b bytes.Buffer
		if err := mqttscript.WriteJUnit(&b, "suite <1>", results); err != nil {
			t.Fatal(err)
		}
		var report struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Skipped  int `xml:"skipped,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure string `xml:"failure"`
			} `xml:"testcase"`
		}
		if err := xml.Unmarshal(b.Bytes(), &report); err != nil {
			t.Fatal(err)
		}
		if report.Tests != 3 || report.Failures != 1 || report.Skipped != 1 || len(report.Cases) != 3 {
			t.Errorf("report %+v", report)
		}
		if c := report.Cases[1]; c.Name != "test (MQTT 3.1.1)" || !strings.Contains(c.Failure, "rc: want 5, got 0") {
			t.Errorf("case %+v", c)
		}
	})
}
