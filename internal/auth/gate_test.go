package auth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// from is a client at an address.
func from(address, user string) *broker.Client {
	c := named(user)
	c.RemoteAddr = &net.TCPAddr{IP: net.ParseIP(address), Port: 1}
	return c
}

func TestARefusedPairIsNotHashedAgain(t *testing.T) {
	t.Parallel()
	g := NewGate()
	a := New(Options{Listener: Listener{Passwords: passwords(t, "joe", "ann")}, Gate: g})
	try := func(user, password string, want error, hashes int64) {
		t.Helper()
		before := g.computed.Load()
		for range 100 {
			if err := a.Authenticate(t.Context(), from("192.0.2.1", user), []byte(password)); !errors.Is(err, want) {
				t.Fatalf("%s with %s: %v", user, password, err)
			}
		}
		if n := g.computed.Load() - before; n != hashes {
			t.Errorf("%s with %s, 100 times: %d hashes, want %d", user, password, n, hashes)
		}
	}
	try("joe", "wrong", mqtt.NotAuthorized, 1)
	try("ann", "wrong", mqtt.NotAuthorized, 1)
	try("nobody", "wrong", mqtt.NotAuthorized, 1) // or the first time would tell that there is none
	try("nobody", "NOBODY", mqtt.NotAuthorized, 1)
	try("joe", "JOE", nil, 100)
	a.Set(Options{Listener: Listener{Passwords: passwords(t, "joe", "ann", "nobody")}, Gate: g})
	try("nobody", "NOBODY", nil, 100)
	for i := range 2 * maxRefused {
		g.refused.put(tag(fmt.Sprint(i)), Answer{}, time.Now())
	}
	if n := len(g.refused.entries); n != maxRefused {
		t.Errorf("%d pairs are remembered", n)
	}
	hash := cheap(t, "right").String()
	for _, known := range []bool{true, false} { // of a database, whose decoys are made each time
		var d Decoy
		before := g.computed.Load()
		for range 10 {
			r := &Request{named("sql"), []byte("x")}
			var err error
			if known {
				_, err = d.Check(t.Context(), g, r, hash)
			} else {
				_, err = d.Unknown(t.Context(), g, r)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := g.computed.Load() - before; n != 1 {
			t.Errorf("a user of a database, known %v: %d hashes", known, n)
		}
	}
}

// queued waits until so many wait at a gate.
func queued(t *testing.T, g *Gate, n int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		g.turns.mu.Lock()
		waiting := 0
		for e := g.turns.order.Front(); e != nil; e = e.Next() {
			waiting += e.Value.(*line).who.Len()
		}
		g.turns.mu.Unlock()
		if waiting == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait, want %d", waiting, n)
		}
	}
}

// occupy takes all room of a gate, and returns what gives it back.
func occupy(t *testing.T, g *Gate) (leave func()) {
	t.Helper()
	leave, err := g.enter(t.Context(), named("all"), maxMemory)
	if err != nil {
		t.Fatal(err)
	}
	return leave
}

// TestAddressesTakeTurns: who comes behind the hundred guesses of an address waits for one of them.
func TestAddressesTakeTurns(t *testing.T) {
	t.Parallel()
	g := NewGate()
	g.least = gateMemory // one at a time
	leave := occupy(t, g)
	var mu sync.Mutex
	var order []string
	var done sync.WaitGroup
	waiting := 0
	come := func(c *broker.Client) {
		done.Go(func() {
			leave, err := g.enter(context.Background(), c, 0)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, c.Username)
			mu.Unlock()
			leave()
		})
		waiting++
		queued(t, g, waiting)
	}
	for i := range 100 {
		come(from(fmt.Sprintf("2001:db8::%x", i), "guesser")) // of one network
	}
	come(from("192.0.2.1", "joe"))
	come(from("192.0.2.1", "jim"))
	come(from("192.0.2.2", "ann"))
	leave()
	done.Wait()
	if want := []string{"guesser", "joe", "ann", "guesser", "jim", "guesser"}; !slices.Equal(order[:len(want)], want) || len(order) != waiting {
		t.Errorf("order %q of %d", order[:len(want)], len(order))
	}
	if len(g.turns.waiting) > 0 || g.turns.free != gateMemory {
		t.Errorf("left behind: %v, %d free", g.turns.waiting, g.turns.free)
	}
}

func TestWhoWaitsNoLongerTakesNothing(t *testing.T) {
	t.Parallel()
	g := NewGate()
	leave := occupy(t, g)
	var done sync.WaitGroup
	for i := range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		done.Go(func() {
			if _, err := g.Matches(ctx, &Request{from("192.0.2.1", "joe"), []byte("x")}, &Hash{}); !errors.Is(err, mqtt.ServerBusy) {
				t.Errorf("%v", err)
			}
		})
		queued(t, g, 1)
		if i%2 == 0 {
			cancel()
			queued(t, g, 0)
			continue
		}
		go leave() // at the same time: one of both comes first
		cancel()
		done.Wait()
		leave = occupy(t, g)
	}
	leave()
	done.Wait()
	if len(g.turns.waiting) > 0 || g.turns.free != gateMemory {
		t.Errorf("left behind: %v, %d free", g.turns.waiting, g.turns.free)
	}
}

// dial connects to a broker with an Authenticator, and sends CONNECT.
func dial(t *testing.T, a broker.Authenticator) (connect func(user, password string) net.Conn) {
	t.Helper()
	b, err := broker.New(broker.Options{Authenticator: a})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(b.Shutdown(context.Background()), <-served); !errors.Is(err, broker.ErrClosed) {
			t.Error(err)
		}
	})
	return func(user, password string) net.Conn {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		c := mqtt.Connect{Version: mqtt.V311, ClientID: "c", CleanStart: true, Username: user, HasUsername: true, HasPassword: true, Password: []byte(password)}
		if _, err := nc.Write(c.Append(nil, mqtt.V311)); err != nil {
			t.Fatal(err)
		}
		return nc
	}
}

func TestNothingIsHashedForWhoHungUp(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" { // whose sockets do not tell
		return
	}
	g := NewGate()
	decided := make(chan *Decision, 20)
	a := New(Options{
		Listener: Listener{Passwords: passwords(t, "joe")}, Gate: g,
		Decided: func(_ *broker.Client, d *Decision) { decided <- d },
	})
	connect := dial(t, a)
	leave := occupy(t, g)
	var gone []net.Conn
	for i := range 10 {
		gone = append(gone, connect("joe", fmt.Sprint(i)))
	}
	queued(t, g, len(gone))
	for _, nc := range gone {
		_ = nc.Close()
	}
	stays := connect("joe", "JOE")
	queued(t, g, len(gone)+1)
	leave()
	allowed := 0
	for range len(gone) + 1 {
		if d := <-decided; d.Allowed {
			allowed++
		} else if !strings.Contains(d.String(), ErrGone.Error()) {
			t.Errorf("decided: %v", d)
		}
	}
	if n := g.computed.Load(); n != 1 || allowed != 1 {
		t.Errorf("%d hashes, %d clients let in, want one", n, allowed)
	}
	_ = stays.Close()
}

// TestHangingUpIsNoWayAroundTheGuard: a wrong password counts each time if its client does not wait for the answer.
func TestHangingUpIsNoWayAroundTheGuard(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return
	}
	asked, hungUp := make(chan struct{}), make(chan struct{})
	guard := &recorder{delay: time.Hour}
	decided := make(chan struct{})
	a := New(Options{
		Listener: Listener{Chain: []Backend{slow(func() { asked <- struct{}{}; <-hungUp })}}, Guard: guard,
		Decided: func(*broker.Client, *Decision) { decided <- struct{}{} },
	})
	connect := dial(t, a)
	for range 3 {
		nc := connect("joe", "wrong")
		<-asked
		_ = nc.Close()
		hungUp <- struct{}{}
		<-decided
	}
	seen := map[uint64]bool{}
	for _, l := range guard.logins {
		seen[l.Credential] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d attempts, want 3", len(seen))
	}
}

// slow is a Backend that denies when it is told to.
type slow func()

func (slow) Name() string { return "slow" }

func (s slow) Check(context.Context, *Request) (Answer, error) {
	s()
	return Denied("no"), nil
}

// bounded is a slow Backend with one connection.
type bounded struct{ slow }

func (bounded) Connections() int { return 1 }

// TestAddressesTakeTurnsAtARemoteBackend asks for somebody behind a hundred guesses of another address.
func TestAddressesTakeTurnsAtARemoteBackend(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}), make(chan struct{})
	b := Remote(bounded{func() { asked <- struct{}{}; <-answer }}, RemoteOptions{CacheSize: 1000, CacheTimeFailed: time.Hour}).(*remote)
	var done sync.WaitGroup
	joe := make(chan struct{})
	check := func(c *broker.Client, password string) {
		if a, err := b.Check(context.Background(), &Request{c, []byte(password)}); err != nil || a.Verdict != Deny {
			t.Errorf("%+v, %v", a, err)
		}
	}
	g := &Gate{turns: b.turns}
	for i := range 100 {
		done.Go(func() { check(from("192.0.2.1", "guesser"), fmt.Sprint(i/2)) }) // each password twice
		if i == 0 {
			<-asked
		} else {
			queued(t, g, i)
		}
	}
	done.Go(func() { check(from("192.0.2.2", "joe"), "x"); close(joe) })
	queued(t, g, 100)
	calls := 1
	for waits := true; waits; calls++ {
		answer <- struct{}{}
		select {
		case <-asked:
		case <-joe:
			waits = false
		}
		if calls > 10 {
			t.Error("joe waits behind the guesser")
			break
		}
	}
	close(answer)
	ended := make(chan struct{})
	go func() { done.Wait(); close(ended) }()
	for more := true; more; {
		select {
		case <-asked:
			calls++
		case <-ended:
			more = false
		}
	}
	if calls > 55 {
		t.Errorf("%d calls for 51 passwords", calls)
	}
}
