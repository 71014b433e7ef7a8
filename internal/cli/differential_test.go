//go:build unix

package cli_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// TestClientsSeeWhatMosquittoShowsThem starts both brokers on the same generated
// configurations and lets the same clients say the same to both.
func TestClientsSeeWhatMosquittoShowsThem(t *testing.T) {
	t.Parallel()
	testenv.File(t, clitest.Mosquitto, "mosquitto")
	const configurations = 8
	for seed := range uint64(configurations) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			lines := generate(t, rand.New(rand.NewPCG(seed, 0)))
			var got [2]map[string][]string
			for i, program := range []string{clitest.Binary, clitest.Mosquitto} {
				port := testenv.FreePort(t)
				conf := clitest.File(t, append([]string{"user root", "log_type all", fmt.Sprintf("listener %d 127.0.0.1", port)}, lines...)...)
				p := clitest.Launch(t, exec.Command(program, "-c", conf))
				p.Await("running$")
				got[i] = interview(t, port)
				p.Terminate()
			}
			if d := difference(lines, got[0], got[1]); d != "" {
				t.Errorf("with\n%s\n%s", strings.Join(lines, "\n"), d)
			}
		})
	}
}

// exceptions are the differences that docs/unio.conf.md explains: those of the clients
// that the pattern matches if a line of the configuration begins with the option.
var exceptions = []struct {
	option  string
	clients *regexp.Regexp
}{
	{"", regexp.MustCompile(`v5 no keep alive`)},
	{"allow_zero_length_clientid", regexp.MustCompile(`v5 no id`)},
	{"use_username_as_clientid", regexp.MustCompile(`v[34] no id|no id, a session to keep`)},
	{"message_size_limit", regexp.MustCompile(`v5 bob's message [89]`)},
	{"max_packet_size", regexp.MustCompile(`v5 bob's message 9`)}, // a closed connection may take the DISCONNECT with it
	{"max_qos", regexp.MustCompile(`a will`)},
	{"retain_available", regexp.MustCompile(`a will`)},
	{"acl_file", regexp.MustCompile(`a will`)},
}

// difference shows the clients that heard different things, but for the exceptions.
func difference(lines []string, ours, theirs map[string][]string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		x, y := strings.Join(ours[name], "; "), strings.Join(theirs[name], "; ")
		if x != y && !excepted(lines, name) {
			fmt.Fprintf(&out, "%s\n\tunio:      %s\n\tmosquitto: %s\n", name, x, y)
		}
	}
	return out.String()
}

func excepted(lines []string, name string) bool {
	for _, e := range exceptions {
		asked := slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, e.option) })
		if asked && e.clients.MatchString(name) {
			return true
		}
	}
	return false
}

// generate returns the options of a listener. Two are left out because Mosquitto 2.0.11
// does not do with them what its manual says: max_connections, which it miscounts once a
// client was refused, and mount_point, which its clients see.
func generate(t *testing.T, r *rand.Rand) []string {
	dir := t.TempDir()
	passwords, rules := filepath.Join(dir, "passwd"), filepath.Join(dir, "acl")
	// The users ann and bob with the password "secret", of few iterations.
	const hash = "$7$10$c2FsdHNhbHRzYWx0$OdxDgWbUtQ3rYBqrOnceLeJsCWSJOaQkrqenov92XcKlDDbZKJpjESlXxTkg6+23m/QslJwUPE1cq2uoOJN1JQ=="
	rewrite(t, passwords, "ann:"+hash, "bob:"+hash)
	rewrite(t, rules, "topic read a/#", "user bob", "topic readwrite a/#", "topic deny a/secret", "pattern write own/%u/%c")
	var lines []string
	for _, choice := range [][]string{
		{"allow_anonymous true", "allow_anonymous true", "allow_anonymous true", "allow_anonymous false", ""},
		{"password_file " + passwords, "", ""},
		{"acl_file " + rules, "", ""},
		{"use_username_as_clientid true", "clientid_prefixes ok-", "", "", ""}, // not both, says the manual
		{"allow_zero_length_clientid false", "", ""},
		{"auto_id_prefix made-", ""},
		{"max_qos 0", "max_qos 1", "", ""},
		{"max_keepalive 100", "", ""},
		{"max_packet_size 100", "", ""},
		{"message_size_limit 50", "", ""},
		{"max_topic_alias 3", "max_topic_alias 0", "", ""},
		{"retain_available false", "", ""},
		{"upgrade_outgoing_qos true", "", ""},
		{"max_inflight_messages 1", "", ""},
	} {
		if line := choice[r.IntN(len(choice))]; line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// interview lets clients speak with the broker at a port and returns all that they
// hear, by client.
func interview(t *testing.T, port int) map[string][]string {
	i := &interviewer{t: t, port: port, heard: map[string][]string{}}
	for _, version := range []mqtt.Version{mqtt.V31, mqtt.V311, mqtt.V5} {
		i.version = version
		i.connects()
		i.messages()
	}
	return i.heard
}

type interviewer struct {
	t       *testing.T
	port    int
	version mqtt.Version
	heard   map[string][]string
}

// guest is one client of an interview.
type guest struct {
	*interviewer
	name string
	conn net.Conn
	gone bool
	open int // packets that are not acknowledged yet, by either side
}

// come connects a client and notes the answer to its CONNECT.
func (i *interviewer) come(name string, c mqtt.Connect) *guest {
	c.Version = i.version
	g := &guest{interviewer: i, name: fmt.Sprintf("v%d %s", i.version, name), conn: clitest.Dial(i.t, i.port)}
	g.say(&c)
	if !g.gone {
		g.hear(func(p mqtt.Packet) bool { _, ok := p.(*mqtt.Connack); return ok })
	}
	return g
}

func (g *guest) say(p mqtt.Packet) {
	if g.gone {
		return
	}
	switch p := p.(type) {
	case *mqtt.Publish:
		g.open += int(min(p.QoS, 1))
	case *mqtt.Subscribe:
		g.open++
	}
	if _, err := g.conn.Write(p.Append(nil, g.version)); err != nil {
		g.end(err)
	}
}

func (g *guest) note(text string) { g.heard[g.name] = append(g.heard[g.name], text) }

func (g *guest) end(err error) {
	g.gone = true
	if errors.Is(err, os.ErrDeadlineExceeded) {
		g.t.Errorf("%s: no answer", g.name)
	}
	g.note("closed")
	_ = g.conn.Close() // the broker has
}

// hear notes packets until one is the last, and answers them.
func (g *guest) hear(last func(mqtt.Packet) bool) {
	for !g.gone {
		p, err := readPacket(g.conn, g.version)
		if err != nil {
			g.end(err)
			return
		}
		if text := describe(p, g.version); text != "" {
			g.note(text)
		}
		switch p := p.(type) {
		case *mqtt.Publish:
			switch p.QoS {
			case 1:
				g.say(&mqtt.Ack{Kind: mqtt.PUBACK, PacketID: p.PacketID})
			case 2:
				g.open++
				g.say(&mqtt.Ack{Kind: mqtt.PUBREC, PacketID: p.PacketID})
			}
		case *mqtt.Ack:
			g.answer(p)
		case *mqtt.Suback:
			g.open--
		case *mqtt.Connack:
			if p.Reason != mqtt.Success {
				continue // until it is closed
			}
		}
		if last(p) {
			return
		}
	}
}

// answer goes on with the handshake of a message.
func (g *guest) answer(p *mqtt.Ack) {
	switch {
	case p.Kind == mqtt.PUBREC && p.Reason < 0x80:
		g.say(&mqtt.Ack{Kind: mqtt.PUBREL, PacketID: p.PacketID})
		return
	case p.Kind == mqtt.PUBREL:
		g.say(&mqtt.Ack{Kind: mqtt.PUBCOMP, PacketID: p.PacketID})
	}
	g.open--
}

// settle waits until the broker has answered all that the client said, and all
// handshakes are at their end. The answer to PINGREQ alone says less: it may overtake.
func (g *guest) settle() {
	for first := true; !g.gone && (first || g.open > 0); first = false {
		g.say(&mqtt.Pingreq{})
		g.hear(func(p mqtt.Packet) bool { _, ok := p.(*mqtt.Pingresp); return ok })
	}
}

func (g *guest) leave() {
	g.say(&mqtt.Disconnect{})
	if !g.gone {
		_, _ = io.Copy(io.Discard, g.conn) // until the broker knows
		_ = g.conn.Close()
	}
}

// describe shows a packet without what may differ: the rest of a made up client id, and
// properties that Debian's version does not send yet.
func describe(p mqtt.Packet, v mqtt.Version) string {
	switch p := p.(type) {
	case *mqtt.Connack:
		text := fmt.Sprintf("CONNACK %v present %v", p.Append(nil, v)[3], p.SessionPresent)
		if p.Reason != mqtt.Success {
			return text
		}
		if p.Properties.Has(mqtt.PropRetainAvailable) {
			text += fmt.Sprintf(" retain %v", p.Properties.RetainAvailable)
		}
		if p.Properties.Has(mqtt.PropMaximumQoS) {
			text += fmt.Sprintf(" qos %d", p.Properties.MaximumQoS)
		}
		if id := string(p.Properties.AssignedClientID); id != "" {
			text += " id " + id[:min(5, len(id))]
		}
		return text + fmt.Sprintf(" keep alive %d aliases %d", p.Properties.ServerKeepAlive, p.Properties.TopicAliasMaximum)
	case *mqtt.Publish:
		return fmt.Sprintf("PUBLISH %s q%d r%v d%v %d bytes", p.Topic, p.QoS, p.Retain, p.Dup, len(p.Payload))
	case *mqtt.Ack:
		return fmt.Sprintf("%v %d %#x", p.Kind, p.PacketID, byte(p.Reason))
	case *mqtt.Suback:
		return fmt.Sprintf("SUBACK %d %v", p.PacketID, p.Reasons)
	case *mqtt.Disconnect:
		return fmt.Sprintf("DISCONNECT %#x", byte(p.Reason))
	case *mqtt.Pingresp:
		return ""
	}
	return p.Type().String()
}

// readPacket reads one packet.
func readPacket(r io.Reader, v mqtt.Version) (mqtt.Packet, error) {
	frame := make([]byte, 1, 256)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	length, shift := 0, 0
	for {
		b := make([]byte, 1)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		frame = append(frame, b[0])
		length |= int(b[0]&0x7F) << shift
		if shift += 7; b[0] < 0x80 {
			break
		}
	}
	head := len(frame)
	frame = append(frame, make([]byte, length)...)
	if _, err := io.ReadFull(r, frame[head:]); err != nil {
		return nil, err
	}
	return mqtt.Decode(v, frame)
}

func user(name, password string) mqtt.Connect {
	return mqtt.Connect{
		CleanStart: true, ClientID: "ok-" + name, KeepAlive: 60,
		HasUsername: true, Username: name, HasPassword: true, Password: []byte(password),
	}
}

// connects tries who may connect.
func (i *interviewer) connects() {
	nobody := mqtt.Connect{CleanStart: true, ClientID: "ok-x", KeepAlive: 60}
	for _, try := range []struct {
		name string
		c    mqtt.Connect
	}{
		{"anonymous", nobody},
		{"bob", user("bob", "secret")},
		{"bob with a wrong password", user("bob", "wrong")},
		{"a stranger", user("eve", "secret")},
		{"another id", mqtt.Connect{CleanStart: true, ClientID: "other", KeepAlive: 60}},
		{"no id", mqtt.Connect{CleanStart: true, KeepAlive: 60}},
		{"no id, a session to keep", mqtt.Connect{KeepAlive: 60}},
		{"a long keep alive", mqtt.Connect{CleanStart: true, ClientID: "ok-x", KeepAlive: 1000}},
		{"no keep alive", mqtt.Connect{CleanStart: true, ClientID: "ok-x"}},
		{"a will", mqtt.Connect{CleanStart: true, ClientID: "ok-x", KeepAlive: 60, Will: &mqtt.Will{Topic: "a/w", Payload: []byte("w"), QoS: 1, Retain: true}}},
	} {
		i.come(try.name, try.c).leave()
	}
	guests := make([]*guest, 0, 3)
	for n := range 3 {
		guests = append(guests, i.come(fmt.Sprintf("one of three, %d", n), mqtt.Connect{CleanStart: true, ClientID: fmt.Sprintf("ok-%d", n), KeepAlive: 60}))
	}
	for _, g := range guests {
		g.leave()
	}
}

// messages lets bob publish and a reader read.
func (i *interviewer) messages() {
	reader := i.come("reader", user("ann", "secret"))
	for n, filter := range []string{"a/#", "own/#", "$SYS/broker/nothing"} {
		reader.say(&mqtt.Subscribe{PacketID: uint16(n + 1), Subscriptions: []mqtt.Subscription{{Filter: filter, Options: mqtt.SubscribeOptions(2 - n)}}})
	}
	reader.settle()
	for n, p := range []mqtt.Publish{
		{Topic: []byte("a/1"), Payload: []byte("0")},
		{Topic: []byte("a/2/x"), Payload: []byte("1"), QoS: 1},
		{Topic: []byte("a/2/x"), Payload: []byte("2"), QoS: 2},
		{Topic: []byte("a/secret"), Payload: []byte("1"), QoS: 1},
		{Topic: []byte("own/bob/ok-bob"), Payload: []byte("1"), QoS: 1},
		{Topic: []byte("own/ann/ok-bob"), Payload: []byte("1"), QoS: 1},
		{Topic: []byte("$SYS/broker/nothing"), Payload: []byte("1"), QoS: 1},
		{Topic: []byte("a/r"), Payload: []byte("kept"), Retain: true},
		{Topic: []byte("a/big"), Payload: make([]byte, 60), QoS: 1},
		{Topic: []byte("a/bigger"), Payload: make([]byte, 200), QoS: 1},
	} {
		p.PacketID = uint16(n + 1)
		if p.QoS == 0 {
			p.PacketID = 0
		}
		bob := i.come(fmt.Sprintf("bob's message %d", n), user("bob", "secret"))
		bob.say(&p)
		bob.settle()
		bob.leave()
		reader.settle()
	}
	late := i.come("late reader", user("bob", "secret"))
	late.say(&mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "#", Options: 1}}})
	late.settle()
	late.leave()
	reader.leave()
}

// TestBothRefuseTheConnectionOverTheLimit is for max_connections.
func TestBothRefuseTheConnectionOverTheLimit(t *testing.T) {
	t.Parallel()
	testenv.File(t, clitest.Mosquitto, "mosquitto")
	for _, program := range []string{clitest.Binary, clitest.Mosquitto} {
		port := testenv.FreePort(t)
		p := clitest.Launch(t, exec.Command(program, "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", port), "user root", "allow_anonymous true", "max_connections 2")))
		p.Await("running$")
		i := &interviewer{t: t, port: port, version: mqtt.V311, heard: map[string][]string{}}
		var guests []*guest
		for n := range 3 {
			c := mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: fmt.Sprint("x", n), KeepAlive: 60}
			guests = append(guests, i.come(fmt.Sprint(n), c))
		}
		if guests[0].gone || guests[1].gone || !guests[2].gone {
			t.Errorf("%s: %v", program, i.heard)
		}
		for _, g := range guests {
			g.leave()
		}
		p.Terminate()
	}
}
