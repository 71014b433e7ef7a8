package broker_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// FuzzClients plays a program of steps, two bytes each, with several clients at once against a broker in memory, and asks
// the oracle whether every message arrived as its QoS promises. At the end everything is taken down, and nothing is left.
func FuzzClients(f *testing.F) {
	for _, seed := range programs {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, program []byte) { play(t, program) })
}

// programs are seeds: each letter stands for a step, see (*world).step.
var programs = []string{
	"",
	"\x01c\x03c\x05c\x07c",
	"\x00\x0c\x01\x0c\x04\x02\x08\x08\x09\x05\x0c\x00\x10\x00\x14\x01",
	strings.Repeat("\x00\x01\x04\x00\x08\x08\x0c\x02", 6) + strings.Repeat("\x01\x06\x05\x01\x09\x09\x1c\x00\x0d\x03", 8),
	"\x00\x05\x01\x05\x02\x05\x03\x05\x04\x06\x05\x06\x06\x06\x08\x14\x09\x15\x0a\x14\x0c\x00\x00\x05\x10\x01\x10\x02\x18\x01\x01\x05",
}

const maxSteps = 150

func play(t *testing.T, program []byte) {
	if len(program) < 1 {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, program[0]&1 == 1)
		steps := slices.Collect(slices.Chunk(program[1:], 2))
		for _, s := range steps[:min(len(steps), maxSteps)] {
			if len(s) == 2 {
				w.step(s[0], s[1])
			}
		}
		w.drain()
		w.mu.Lock()
		faults := w.history.check()
		w.mu.Unlock()
		for _, fault := range faults {
			t.Error(fault)
		}
		w.end()
	})
}

// step does what two bytes say: the lowest two bits of the first choose the player, the others what it does, and the second
// how. Most steps do not wait for their effect, so that several are under way at once.
func (w *world) step(what, how byte) {
	p := w.players[what%players]
	switch what / players % 10 {
	case 0, 1:
		p.connect(kindOf(how))
	case 2, 3:
		p.subscribe(filters[int(how)%len(filters)], how>>6%3)
	case 4, 5, 6:
		p.publish([]string{"a", "b", "s"}[how%3], how>>2%3, how>>4&1 == 1)
	case 7:
		p.acknowledge(int(how))
		p.w.mu.Lock()
		p.auto = how>>7 == 1
		p.w.mu.Unlock()
	case 8:
		if how&1 == 0 {
			p.unsubscribe(filters[int(how>>1)%len(filters)])
			return
		}
		p.drop(how&2 == 0)
	case 9:
		switch how % 4 {
		case 0:
			time.Sleep(long)
		case 1:
			time.Sleep(breath)
		default:
			synctest.Wait()
		}
	}
}

// filters are those that a program knows. Topics below s are for the group alone.
var filters = []string{"p0/a", "p0/+", "+/a", "p1/#", "p2/b", "p3/+/#", "$share/g/s/#", "p3/a", "+/w"}

func kindOf(how byte) kind {
	k := kind{version: mqtt.V311, window: window}
	if how&1 == 1 {
		k.version, k.window, k.aliases = mqtt.V5, []uint16{1, 2, 5, 100}[how>>1&3], uint16(how>>3&3)
	}
	k.keep = how>>5&3 != 0
	k.clean = !k.keep || k.version == mqtt.V5 && how>>5&3 == 1
	k.will = how>>7 == 1
	return k
}

// drain lets every client take and acknowledge all that waits for it, and looks at the retained messages.
func (w *world) drain() {
	for _, p := range w.players {
		w.mu.Lock()
		p.auto = true
		kept := p.saved && (p.link != nil || p.until.IsZero() || time.Now().Before(p.until))
		if !kept {
			p.forget()
		}
		w.mu.Unlock()
		if kept {
			p.connect(kind{version: mqtt.V5, keep: true, window: window})
		}
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	w.checkRetained()
}

// end ends all sessions and looks for what is left of them.
func (w *world) end() {
	for _, p := range w.players {
		p.connect(kind{version: mqtt.V5, clean: true, window: window})
		p.drop(true)
	}
	time.Sleep(breath)
	synctest.Wait()
	if n := w.b.Stats(); n.Connections != 0 || n.Sessions != 0 || n.Subscriptions != 0 || n.SharedSubscriptions != 0 || n.Panics != 0 {
		w.t.Errorf("left over: %+v", n)
	}
}

// checkRetained subscribes as somebody new: each topic's message is the last that was acknowledged, or a later one.
func (w *world) checkRetained() {
	c, _ := connect(w.t, w.l, clean("newcomer"))
	defer c.nc.Close()
	c.subscribe("#")
	c.send(&mqtt.Pingreq{})
	got := map[string]string{}
	for {
		m, ok := c.read().(*mqtt.Publish)
		if !ok {
			break
		}
		got[string(m.Topic)] = string(m.Payload)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last := map[string]*sent{}
	for _, m := range w.history.messages {
		if m.retain && m.acked && (last[m.topic] == nil || last[m.topic].n < m.n) {
			last[m.topic] = m
		}
	}
	for name, m := range last {
		if kept := w.history.messages[got[name]]; kept == nil || !kept.retain || kept.topic != name || kept.n < m.n && !kept.resent {
			w.history.fault("%s has %q retained, and message %d of client %d was acknowledged", name, got[name], m.n, m.from)
		}
	}
}

// TestClientsThatActByChanceAgreeWithTheOracle plays programs made up by chance; the fuzzer does so longer.
func TestClientsThatActByChanceAgreeWithTheOracle(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { play(t, randomProgram(seed)) })
	}
}

func randomProgram(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	program := make([]byte, 1+2*maxSteps)
	for i := range program {
		program[i] = byte(r.Uint32())
	}
	return program
}
