package guard

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/internal/auth"
)

func options() Options {
	return Options{
		Attempts: 3, Window: time.Minute, Time: 10 * time.Minute, Delay: time.Second,
		Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
}

func login(address, user string, credential uint64) auth.Login {
	var a netip.Addr
	if address != "" {
		a = netip.MustParseAddr(address)
	}
	return auth.Login{Address: a, User: user, Credential: credential}
}

// fail lets n logins fail, each with another credential.
func fail(g *Guard, address, user string, n int) {
	for i := range n {
		g.Failed(login(address, user, uint64(1000+i)))
	}
}

func TestAddressThatGuessesIsBannedForATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options()
		var told []Ban
		o.Banned = func(b Ban) { told = append(told, b) }
		g := New(o)
		for i, user := range []string{"a", "b", "c"} { // of each name one
			if g.Banned(login("192.0.2.1", user, 0)) {
				t.Fatalf("banned after %d failures", i)
			}
			g.Failed(login("192.0.2.1", user, uint64(i)))
		}
		if !g.Banned(login("192.0.2.1", "d", 9)) || g.Banned(login("192.0.2.2", "d", 9)) {
			t.Error("the address is not banned, or another one is")
		}
		if len(told) != 1 || told[0].Kind != Address || told[0].Address.String() != "192.0.2.1/32" || told[0].Attempts != 3 {
			t.Errorf("told of %+v", told)
		}
		time.Sleep(10 * time.Minute)
		if g.Banned(login("192.0.2.1", "d", 9)) {
			t.Error("the ban does not end")
		}
		fail(g, "192.0.2.1", "x", 3)
		time.Sleep(20*time.Minute - time.Second)
		if !g.Banned(login("192.0.2.1", "d", 9)) {
			t.Error("the second ban is not longer")
		}
	})
}

func TestTheSameWrongPasswordIsNoGuess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(options())
		for range 100 {
			g.Failed(login("192.0.2.1", "device", 7))
			time.Sleep(time.Second)
		}
		if len(g.Bans()) > 0 {
			t.Errorf("banned: %+v", g.Bans())
		}
		for i := range 10 { // too slow
			g.Failed(login("192.0.2.2", "slow", uint64(i)))
			time.Sleep(31 * time.Second)
		}
		if len(g.Bans()) > 0 {
			t.Errorf("banned for failures outside of the window: %+v", g.Bans())
		}
	})
}

func TestUserIsBannedForWhoIsNotKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(options())
		g.Succeeded(login("198.51.100.1", "joe", 1))
		for i := range 3 { // from an address each
			g.Failed(login(fmt.Sprintf("192.0.2.%d", i), "joe", uint64(i)))
		}
		if !g.Banned(login("192.0.2.77", "joe", 9)) {
			t.Error("the name is not banned")
		}
		if g.Banned(login("192.0.2.77", "ann", 9)) {
			t.Error("another name is banned")
		}
		if g.Banned(login("198.51.100.1", "joe", 1)) {
			t.Error("joe is locked out of where he has logged in before")
		}
	})
}

func TestNeighboursOfAnAttackerGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(options())
		g.Succeeded(login("192.0.2.1", "joe", 1))
		fail(g, "192.0.2.1", "x", 3)
		if !g.Banned(login("192.0.2.1", "x", 9)) || g.Banned(login("192.0.2.1", "joe", 1)) {
			t.Error("the address is not banned, or its known user is")
		}
		fail(g, "192.0.2.1", "joe", 3) // who guesses the known user's password
		if !g.Banned(login("192.0.2.1", "joe", 1)) {
			t.Error("a known user's password can be guessed for ever")
		}
		if g.Banned(login("192.0.2.2", "joe", 1)) {
			t.Error("the user is banned everywhere for what happened at one address")
		}
	})
}

func TestAddressesThatManyShareAreNotBanned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(options())
		for i := range sharedUsers - 1 {
			g.Succeeded(login("192.0.2.1", fmt.Sprint("user", i), 1))
			g.Succeeded(login("192.0.2.1", fmt.Sprint("user", i), 1))
		}
		fail(g, "192.0.2.1", "x", 3)
		if !g.Banned(login("192.0.2.1", "new", 1)) {
			t.Error("an address of few users is not banned")
		}
		g.Succeeded(login("192.0.2.1", "last", 1))
		if g.Banned(login("192.0.2.1", "new", 1)) {
			t.Error("an address of many users is banned still")
		}
		fail(g, "192.0.2.1", "y", 30)
		if g.Banned(login("192.0.2.1", "new", 1)) || !g.Banned(login("192.0.2.1", "y", 1)) {
			t.Error("an address of many users is banned, or the name that is guessed at is not")
		}
	})
}

func TestLongNamesAreCut(t *testing.T) {
	t.Parallel()
	g := New(options())
	long := strings.Repeat("x", 60_000)
	fail(g, "192.0.2.1", long+"a", 3)
	g.Set(Options{Attempts: 3, Window: time.Minute, Time: time.Minute, Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.2/32")}})
	if !g.Banned(login("192.0.2.3", long+"a", 1)) || g.Banned(login("192.0.2.3", long+"b", 1)) {
		t.Error("the name is not banned, or another one is")
	}
	for _, b := range g.Bans() {
		if len(b.User) > maxName || !g.Lift(b) {
			t.Errorf("a ban has a name of %d bytes, or cannot be lifted", len(b.User))
		}
	}
}

func TestExemptAddressesAreNotCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(options())
		for range 100 {
			fail(g, "127.0.0.1", "joe", 5)
		}
		if d := g.Failed(login("127.0.0.1", "joe", 1)); d != 0 || len(g.Bans()) > 0 {
			t.Errorf("delay %v, bans %+v", d, g.Bans())
		}
		fail(g, "", "joe", 3) // a Unix socket
		if g.Banned(login("", "ann", 1)) || !g.Banned(login("", "joe", 1)) {
			t.Error("clients without address are banned together, or a name is not")
		}
		o := options()
		o.Attempts = 0
		g.Set(o)
		if g.Banned(login("192.0.2.1", "joe", 1)) {
			t.Error("banned where nobody is")
		}
	})
}

func TestAnAddressThatSomebodyElseTellsIsNotExempt(t *testing.T) {
	t.Parallel()
	g := New(options())
	for i := range 3 {
		l := login("127.0.0.1", "ann", uint64(i))
		l.Forwarded = true
		g.Failed(l)
	}
	l := login("127.0.0.1", "bob", 9)
	if g.Banned(l) {
		t.Error("who comes from there without a proxy is banned")
	}
	if l.Forwarded = true; !g.Banned(l) {
		t.Error("the address is not banned")
	}
}

func TestAnIPv6NetworkIsOneAddress(t *testing.T) {
	t.Parallel()
	g := New(options())
	for i := range 3 {
		g.Failed(login(fmt.Sprintf("2001:db8::%x", i+1), fmt.Sprint(i), uint64(i)))
	}
	if !g.Banned(login("2001:db8::ffff", "x", 1)) || g.Banned(login("2001:db8:0:1::1", "x", 1)) {
		t.Error("the /64 is not banned, or another one is")
	}
}

func TestAnswersAreKeptBackLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(options())
		var got []time.Duration
		for range 9 {
			got = append(got, g.Failed(login("192.0.2.1", "joe", 1)))
		}
		const ms = time.Millisecond
		want := []time.Duration{0, 0, 50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, time.Second, time.Second}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("delays %v, want %v", got, want)
		}
		time.Sleep(2 * time.Minute)
		if d := g.Failed(login("192.0.2.1", "joe", 1)); d != 0 {
			t.Errorf("after a time without failures %v", d)
		}
	})
}

func TestBansCanBeSeenAndLifted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(options())
		fail(g, "192.0.2.1", "joe", 3)
		g.Succeeded(login("192.0.2.2", "ann", 1))
		fail(g, "192.0.2.2", "ann", 3)
		bans := g.Bans()
		if len(bans) != 3 || bans[0].Kind != Address || bans[1].Kind != Pair || bans[2].Kind != User || bans[1].User != "ann" {
			t.Fatalf("bans %+v", bans)
		}
		for _, b := range bans {
			if !g.Lift(b) || g.Lift(b) {
				t.Errorf("%+v is lifted not at all, or twice", b)
			}
		}
		if len(g.Bans()) > 0 || g.Banned(login("192.0.2.1", "joe", 1)) || g.Banned(login("192.0.2.2", "ann", 1)) {
			t.Error("banned still")
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	g := New(options())
	for i := range maxSubjects + 100 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		l := auth.Login{Address: a, User: fmt.Sprint(i), Credential: uint64(i)}
		g.Failed(l)
		g.Succeeded(l)
	}
	for k, s := range g.subjects {
		if len(s.all) != maxSubjects || s.order.Len() != maxSubjects {
			t.Errorf("%s: %d subjects, want %d", k, len(s.all), maxSubjects)
		}
	}
}

// TestNamesThatADirectoryTakesForTheSameAreBannedTogether guesses with another spelling each time.
func TestNamesThatADirectoryTakesForTheSameAreBannedTogether(t *testing.T) {
	t.Parallel()
	for _, spellings := range [][]string{
		{"joe smith", "JOE smith", "Joe Smith"},
		{"joe smith", " joe  smith ", "joe\u00a0smith"},
		{"joe smith", "ｊｏｅ smith", "jo\u00ade smith"},
		{"jos\u00e9", "jose\u0301", "JOSE"},
		{"ΣΑΣ", "σας", "σασ"},
	} {
		g := New(options())
		g.Succeeded(login("198.51.100.1", spellings[0], 1))
		for i, user := range spellings { // from an address each
			g.Failed(login(fmt.Sprintf("192.0.2.%d", i), user, uint64(i)))
		}
		for _, user := range spellings {
			if !g.Banned(login("192.0.2.77", user, 9)) {
				t.Errorf("%q is not banned with %q", user, spellings)
			}
		}
		if g.Banned(login("192.0.2.77", "ann", 9)) || g.Banned(login("198.51.100.1", spellings[0], 1)) {
			t.Error("another name is banned, or who logged in before")
		}
		if !g.Banned(login("198.51.100.1", spellings[1], 9)) {
			t.Error("a spelling that has not logged in is let in with the one that has")
		}
		if bans := g.Bans(); len(bans) != 1 || bans[0].User != spellings[0] || !g.Lift(bans[0]) || len(g.Bans()) > 0 {
			t.Errorf("bans %+v", bans)
		}
	}
	for user, want := range map[string]string{"\u00ad": "\u00ad", "": "", "\xff": "\ufffd", strings.Repeat("X", 2000): strings.Repeat("X", 2000)} {
		if got := fold(user); got != want {
			t.Errorf("%q folded is %q, want %q", user, got, want)
		}
	}
}

// TestWhoProvesANameIsNotBannedForWhoGuessesItsPassword: nor is a guesser let in because of the other.
func TestWhoProvesANameIsNotBannedForWhoGuessesItsPassword(t *testing.T) {
	t.Parallel()
	proves := func(address string) auth.Login {
		l := login(address, "joe", 0)
		l.Proved = true
		return l
	}
	g := New(options())
	g.Succeeded(proves("198.51.100.1"))
	for i := range 3 {
		g.Failed(login(fmt.Sprintf("192.0.2.%d", i), "joe", uint64(i)))
	}
	if !g.Banned(login("198.51.100.1", "joe", 9)) || !g.Banned(login("192.0.2.77", "joe", 9)) {
		t.Error("the name is not banned")
	}
	if g.Banned(proves("198.51.100.1")) || g.Banned(proves("192.0.2.77")) {
		t.Error("who proves the name is locked out")
	}
	fail(g, "192.0.2.9", "x", 3)
	if !g.Banned(proves("192.0.2.9")) {
		t.Error("an address that is banned is not, for a name that was not seen there")
	}
	for i := range 3 { // where a password is asked for besides
		l := proves("192.0.2.20")
		l.Credential = uint64(i)
		g.Failed(l)
	}
	if !g.Banned(proves("192.0.2.30")) {
		t.Error("who proves a name may guess its password for ever")
	}
	for _, b := range g.Bans() {
		if !g.Lift(b) {
			t.Errorf("not lifted: %+v", b)
		}
	}
	if g.Banned(proves("192.0.2.30")) || g.Banned(login("192.0.2.30", "joe", 9)) {
		t.Error("banned after all bans were lifted")
	}
}
