package broker

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// wheelTime is when the wheels of these tests begin to turn.
var wheelTime = time.Unix(1_000_000, 0)

// heard returns a connection with a keep alive that was last heard of after that much time.
func heard(keepAlive, after time.Duration) *conn {
	c := &conn{keepAlive: keepAlive}
	c.hears(after)
	return c
}

func (c *conn) hears(after time.Duration) { c.lastSeen.Store(wheelTime.Add(after).UnixNano()) }

// turn ticks for some seconds, and returns the second at which each connection was late.
func (w *keepAliveWheel) turn(t *testing.T, seconds int, each func(second int)) map[*conn]int {
	t.Helper()
	late := map[*conn]int{}
	for s := 1; s <= seconds; s++ {
		if each != nil {
			each(s)
		}
		for _, c := range w.tick(wheelTime.Add(time.Duration(s)*time.Second), nil) {
			if _, again := late[c]; again || c.slot != (wheelSlot{}) {
				t.Fatalf("second %d: a connection is late again, or still in the wheel", s)
			}
			late[c] = s
		}
	}
	return late
}

func TestWheelFindsSilenceInItsSecond(t *testing.T) {
	t.Parallel()
	var w keepAliveWheel
	w.init()
	want := map[*conn]int{}
	for _, k := range []struct {
		keepAlive time.Duration
		second    int
	}{
		{0, 1},
		{time.Millisecond, 1},
		{time.Second, 1},
		{1500 * time.Millisecond, 2},
		{15 * time.Second, 15},
		{15 * time.Second, 15},
		{127 * time.Second, 127},
		{128 * time.Second, 128},
		{129 * time.Second, 129},
		{300 * time.Second, 300},
		{98302500 * time.Millisecond, 98303}, // one and a half times 65,535 s
	} {
		c := heard(k.keepAlive, 0)
		w.add(c, k.keepAlive)
		want[c] = k.second
	}
	got := w.turn(t, 100_000, nil)
	for c, second := range want {
		if got[c] != second {
			t.Errorf("a keep alive of %v: late in second %d, want %d", c.keepAlive, got[c], second)
		}
	}
	if !w.empty() {
		t.Error("the wheel is not empty")
	}
}

func TestWheelGoesByTheLastPacket(t *testing.T) {
	t.Parallel()
	var w keepAliveWheel
	w.init()
	c := heard(15*time.Second, 0)
	w.add(c, c.keepAlive)
	got := w.turn(t, 100, func(second int) {
		if second == 10 || second == 20 {
			c.hears(time.Duration(second)*time.Second - 500*time.Millisecond)
		}
	})
	if got[c] != 35 { // 19.5 and 15 seconds
		t.Errorf("late in second %d, want 35", got[c])
	}
}

// Connections come, are heard of and go at random; each is late in the first second that is a keep
// alive after its last packet.
func TestWheelOfConnectionsThatComeAndGo(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	var w keepAliveWheel
	w.init()
	in := map[*conn]bool{}
	last := map[*conn]time.Duration{}
	check := func(second int, late []*conn) {
		now := time.Duration(second) * time.Second
		for c := range in {
			if isLate := slices.Contains(late, c); isLate != (now-last[c] >= c.keepAlive) {
				t.Fatalf("second %d: silent for %v of %v, late is %v", second, now-last[c], c.keepAlive, isLate)
			} else if isLate {
				delete(in, c)
			}
		}
		if w.count != len(in) || w.empty() != (len(in) == 0) {
			t.Fatalf("second %d: %d connections in the wheel, want %d", second, w.count, len(in))
		}
	}
	for second := range 2000 {
		now := time.Duration(second) * time.Second
		for range random.IntN(4) {
			c := heard(time.Duration(1+random.IntN(300_000))*time.Millisecond, now)
			w.add(c, c.keepAlive)
			in[c], last[c] = true, now
		}
		for c := range in {
			switch random.IntN(100) {
			case 0:
				w.remove(c)
				w.remove(c) // it is no more in it
				delete(in, c)
			case 1, 2:
				last[c] = now + time.Duration(random.IntN(1000))*time.Millisecond
				c.hears(last[c])
			}
		}
		late := w.tick(wheelTime.Add(now+time.Second), nil)
		for _, c := range late {
			if !in[c] {
				t.Fatalf("second %d: one that has gone is late", second+1)
			}
		}
		check(second+1, late)
	}
}

func TestWheelLosesNoneWhenOneOfASlotGoes(t *testing.T) {
	t.Parallel()
	for gone := range 3 {
		var w keepAliveWheel
		w.init()
		conns := []*conn{heard(time.Second, 0), heard(time.Second, 0), heard(time.Second, 0)}
		for _, c := range conns {
			w.add(c, time.Second)
		}
		w.remove(conns[gone])
		got := w.turn(t, 1, nil)
		for i, c := range conns {
			if _, late := got[c]; late == (i == gone) {
				t.Errorf("without %d: %d late is %v", gone, i, late)
			}
		}
	}
}

func TestWheelTellsOfItsFirstConnectionAlone(t *testing.T) {
	t.Parallel()
	var w keepAliveWheel
	w.init()
	first, second := heard(time.Second, 0), heard(time.Second, 0)
	told := func() bool {
		select {
		case <-w.kick:
			return true
		default:
			return false
		}
	}
	for range 2 {
		w.add(first, time.Second)
		if !told() {
			t.Error("the first connection is not told of")
		}
		w.add(second, time.Second)
		if told() {
			t.Error("the second connection is told of")
		}
		w.remove(first)
		w.remove(second)
	}
	for range 2 { // nobody listens: it does not wait
		w.add(first, time.Second)
		w.remove(first)
	}
}

// The wheel's goroutine turns it each second while a connection is in it, and sleeps otherwise.
func TestWheelStandsStillWhileNobodyIsConnected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b Broker
		var stop context.CancelFunc
		b.ctx, stop = context.WithCancel(t.Context())
		b.wheel.init()
		b.wg.Add(1)
		go b.runKeepAlive()
		turned := func() int {
			synctest.Wait()
			b.wheel.mu.Lock()
			defer b.wheel.mu.Unlock()
			return b.wheel.now
		}
		time.Sleep(time.Minute)
		if n := turned(); n != 0 {
			t.Errorf("%d seconds of an empty wheel", n)
		}
		c := &conn{keepAlive: time.Hour}
		c.lastSeen.Store(time.Now().UnixNano())
		b.wheel.add(c, c.keepAlive)
		time.Sleep(10*time.Second + time.Second/2)
		if n := turned(); n != 10 {
			t.Errorf("turned %d times in 10.5 s, want 10", n)
		}
		b.wheel.remove(c)
		time.Sleep(time.Minute)
		if n := turned(); n > 11 {
			t.Errorf("turned on to %d without a connection, want 11 at most", n)
		}
		stop()
		b.wg.Wait()
	})
}

// A connection that lingers shows most simply what the wheel's goroutine does to a silent one.
func TestWheelEndsWhoIsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b Broker
		var stop context.CancelFunc
		b.ctx, stop = context.WithCancel(t.Context())
		b.wheel.init()
		b.wg.Add(1)
		go b.runKeepAlive()
		nc, peer := net.Pipe()
		defer peer.Close()
		c := &conn{keepAlive: 3 * time.Second, nc: nc, lingers: true}
		began := time.Now()
		c.lastSeen.Store(began.UnixNano())
		b.wheel.add(c, c.keepAlive)
		if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("the read ended after %v with %v; want 3s and its deadline", time.Since(began), err)
		}
		stop()
		b.wg.Wait()
	})
}
