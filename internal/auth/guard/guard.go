package guard

import (
	"cmp"
	"container/list"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/uniomq/unio/internal/auth"
)

// Options say who is banned. They can be replaced at any time.
type Options struct {
	Attempts int           // different wrong credentials; 0: nobody is banned
	Window   time.Duration // within which they count
	Time     time.Duration // that the first ban lasts; it doubles with each that follows within a day
	Delay    time.Duration // the longest time that an answer is kept back; 0: none is
	Exempt   []netip.Prefix
	// Banned is told of each ban. May be nil. It must not call the Guard.
	Banned func(Ban)
}

// The limits of what is kept, and of bans.
const (
	maxSubjects = 20_000         // of each kind
	maxTime     = 24 * time.Hour // of a ban, and how long earlier ones count
	firstDelay  = 50 * time.Millisecond
	freeDelays  = 2 // failures whose answers are not kept back
	sharedUsers = 5 // users that have logged in from an address which make it one of many: it is not banned as a whole
)

// Kind is what a ban is of.
type Kind string

// The kinds.
const (
	Address Kind = "address"
	User    Kind = "user"
	Pair    Kind = "pair" // a user at an address, who had logged in from there
)

// Ban is one ban.
type Ban struct {
	Kind     Kind
	Address  netip.Prefix // of Address and Pair: a single address, or a /64
	User     string       // of User and Pair; of a User as it was first given
	Proved   bool         // the ban is of those who prove the name by a certificate or a pre-shared key, and of nobody else
	Since    time.Time
	Until    time.Time
	Attempts int // that led to it
}

// Guard keeps count. It implements auth.Guard.
type Guard struct {
	mu       sync.Mutex // guards what follows
	o        Options
	subjects map[Kind]*subjects
}

var _ auth.Guard = (*Guard)(nil)

// New returns a Guard that knows nobody.
func New(o Options) *Guard {
	g := &Guard{o: o, subjects: map[Kind]*subjects{}}
	for _, k := range []Kind{Address, User, Pair} {
		g.subjects[k] = &subjects{all: map[key]*list.Element{}}
	}
	return g
}

// Set replaces the options. Bans that are in force stay.
func (g *Guard) Set(o Options) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.o = o
}

// key names a subject.
type key struct {
	address netip.Prefix
	user    string // of a User folded
	proved  bool   // apart from those who only claim the name: wrong passwords say nothing about who proves it
}

// keysOf returns those of a login.
func keysOf(l auth.Login) (address, user, pair key) {
	at, name := auth.Network(l.Address), nameOf(l.User)
	return key{address: at}, key{user: nameOf(fold(l.User)), proved: l.Proved}, key{at, name, l.Proved}
}

// subject is an address, a user or a pair.
type subject struct {
	key
	name     string    // of a User, as it was first given
	failures []failure // the oldest first, at most Attempts
	delays   int       // failures in a row, without regard to what was tried
	last     time.Time // of a failure
	since    time.Time // of the ban
	until    time.Time
	bans     int  // in a row
	known    bool // of a Pair: it has logged in
	attempts int
	users    int // of an Address: that have logged in
}

type failure struct {
	tag uint64
	at  time.Time
}

// subjects are bounded.
type subjects struct {
	all   map[key]*list.Element
	order list.List // of *subject, the one that was seen last in front
}

// find returns a subject, or nil.
func (s *subjects) find(k key) *subject {
	if e := s.all[k]; e != nil {
		return e.Value.(*subject)
	}
	return nil
}

// see returns a subject, which is made if it must be, at the cost of the one that was not seen for the longest.
func (s *subjects) see(k key) *subject {
	if e := s.all[k]; e != nil {
		s.order.MoveToFront(e)
		return e.Value.(*subject)
	}
	if len(s.all) >= maxSubjects {
		oldest := s.order.Back()
		s.order.Remove(oldest)
		delete(s.all, oldest.Value.(*subject).key)
	}
	v := &subject{key: k}
	s.all[k] = s.order.PushFront(v)
	return v
}

// exempt reports whether a login counts for nothing. An address that somebody else tells is no
// reason.
func (g *Guard) exempt(l auth.Login) bool {
	return !l.Forwarded && slices.ContainsFunc(g.o.Exempt, func(p netip.Prefix) bool { return p.Contains(l.Address) })
}

// Banned reports whether the login is not even to be looked at.
func (g *Guard) Banned(l auth.Login) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.o.Attempts <= 0 || g.exempt(l) {
		return false
	}
	now := time.Now()
	address, user, pair := keysOf(l)
	if p := g.subjects[Pair].find(pair); p != nil && p.known {
		return now.Before(p.until)
	}
	a, u := g.subjects[Address].find(address), g.subjects[User].find(user)
	return l.Address.IsValid() && a != nil && now.Before(a.until) || l.User != "" && u != nil && now.Before(u.until)
}

// Succeeded notes that a user has logged in from an address.
func (g *Guard) Succeeded(l auth.Login) {
	address, _, pair := keysOf(l)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.o.Attempts <= 0 || g.exempt(l) || l.User == "" {
		return
	}
	p := g.subjects[Pair].see(pair)
	if !p.known && l.Address.IsValid() {
		a := g.subjects[Address].see(address)
		if a.users++; a.users >= sharedUsers {
			a.until = time.Time{}
		}
	}
	p.known, p.failures, p.bans = true, nil, 0
}

// Failed notes a failed login, and returns how long to keep the answer back.
func (g *Guard) Failed(l auth.Login) time.Duration {
	now := time.Now()
	address, user, pair := keysOf(l)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.exempt(l) {
		return 0
	}
	var delay time.Duration
	if l.Address.IsValid() {
		delay = g.delay(g.subjects[Address].see(address), now)
	}
	if g.o.Attempts <= 0 {
		return delay
	}
	if p := g.subjects[Pair].find(pair); p != nil && p.known {
		g.count(Pair, p, l.Credential, now)
		return delay
	}
	if a := g.subjects[Address].find(address); l.Address.IsValid() && a.users < sharedUsers {
		g.count(Address, a, l.Credential, now)
	}
	if l.User != "" {
		u := g.subjects[User].see(user)
		u.name = cmp.Or(u.name, nameOf(l.User))
		g.count(User, u, l.Credential, now)
	}
	return delay
}

// delay returns how long the answer to a failure is kept back.
func (g *Guard) delay(s *subject, now time.Time) time.Duration {
	if now.Sub(s.last) > g.o.Window {
		s.delays = 0
	}
	s.last = now
	s.delays++
	n := s.delays - freeDelays - 1
	if n < 0 || g.o.Delay <= 0 {
		return 0
	}
	const doublings = 16
	return min(firstDelay<<min(n, doublings), g.o.Delay)
}

// count notes a failure, and bans a subject that has too many.
func (g *Guard) count(k Kind, s *subject, tag uint64, now time.Time) {
	if now.Before(s.until) {
		return // one that was under way
	}
	s.failures = slices.DeleteFunc(s.failures, func(f failure) bool { return now.Sub(f.at) > g.o.Window || f.tag == tag })
	s.failures = append(s.failures, failure{tag, now})
	if len(s.failures) < g.o.Attempts {
		return
	}
	if now.Sub(s.until) > maxTime {
		s.bans = 0
	}
	const doublings = 20
	length := min(g.o.Time<<min(s.bans, doublings), maxTime)
	s.attempts, s.failures = len(s.failures), nil
	s.bans++
	s.since, s.until = now, now.Add(length)
	if g.o.Banned != nil {
		g.o.Banned(s.ban(k))
	}
}

func (s *subject) ban(k Kind) Ban {
	return Ban{Kind: k, Address: s.address, User: cmp.Or(s.name, s.user), Proved: s.proved, Since: s.since, Until: s.until, Attempts: s.attempts}
}

// Bans returns the bans in force, those that end first in front.
func (g *Guard) Bans() []Ban {
	g.mu.Lock()
	defer g.mu.Unlock()
	var bans []Ban
	now := time.Now()
	for k, all := range g.subjects {
		for e := all.order.Front(); e != nil; e = e.Next() {
			if s := e.Value.(*subject); now.Before(s.until) {
				bans = append(bans, s.ban(k))
			}
		}
	}
	slices.SortFunc(bans, func(a, b Ban) int {
		if c := a.Until.Compare(b.Until); c != 0 {
			return c
		}
		return strings.Compare(string(a.Kind)+a.Address.String()+a.User, string(b.Kind)+b.Address.String()+b.User)
	})
	return bans
}

// Lift ends the ban of an address, a user or a pair, as Bans tells it, and forgets its failures. It reports whether there was one.
func (g *Guard) Lift(b Ban) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.subjects[b.Kind]
	if all == nil {
		return false
	}
	for e := all.order.Front(); e != nil; e = e.Next() {
		s := e.Value.(*subject)
		is := s.ban(b.Kind)
		if is.Address == b.Address && is.User == b.User && is.Proved == b.Proved && time.Now().Before(s.until) {
			s.until, s.bans, s.failures, s.delays = time.Time{}, 0, nil, 0
			return true
		}
	}
	return false
}
