package storetest

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/store"
)

// A Machine has a store on its disk.
type Machine interface {
	// Open opens the store, which is not started.
	Open(t *testing.T) store.Store
	// Crash returns the machine as it is after a power cut at this moment: what was not synced may be there, in part, or not. The store
	// of the old one may go on, on a disk of its own.
	Crash(r *rand.Rand) Machine
}

// RunPersistent tests a store that is to survive its process and its machine.
func RunPersistent(t *testing.T, machine func() Machine) {
	for name, test := range map[string]func(*testing.T, Machine){
		"EverythingSurvivesClose":    func(t *testing.T, m Machine) { testSurvives(t, m, func(m Machine) Machine { return m }) },
		"EverythingSurvivesPowerCut": func(t *testing.T, m Machine) { testSurvives(t, m, cut) },
		"NothingOfARemovedSession":   testRemovedIsGone,
		"MaybeSentAfterCrash":        testUncertain,
		"OrphansSurvive":             testOrphansSurvive,
		"OrphansInDoubt":             testOrphansInDoubt,
		"CrashAtAnyMoment":           testCrashes,
	} {
		t.Run(name, func(t *testing.T) { test(t, machine()) })
	}
}

func cut(m Machine) Machine { return m.Crash(rand.New(rand.NewPCG(1, 2))) }

// begin opens and starts the machine's store.
func begin(t *testing.T, m Machine) (*fixture, *recovered) {
	t.Helper()
	f, r := newFixture(t, m.Open(t))
	if err := f.store.Start(f.wake, r.recovery()); err != nil {
		t.Fatal(err)
	}
	return f, r
}

// recovered is what a store had kept.
type recovered struct {
	sessions map[string]store.Session // by store.Key
	retained map[string]*store.Message
}

func (r *recovered) recovery() store.Recovery {
	return store.Recovery{Now: start, Session: r.session, Retained: r.retain}
}

func (r *recovered) session(s store.Session) error {
	r.sessions[store.Key(s.ClientID, s.MountPoint)] = s
	return nil
}

func (r *recovered) retain(m *store.Message) error {
	r.retained[m.Topic] = m
	return nil
}

func testSurvives(t *testing.T, m Machine, end func(Machine) Machine) {
	f, _ := begin(t, m)
	message := &store.Message{
		Topic: "a/b", Payload: []byte("payload"), Properties: []byte{1, 2}, Expires: start.Add(time.Hour),
		ClientID: "publisher", Username: "user", Listener: "1883", QoS: 2, Retain: true,
	}
	will := &store.Will{Message: &store.Message{Topic: "will", Payload: []byte("gone"), QoS: 1}, Delay: 5, Expiry: 7, HasExpiry: true}
	at := f.attach(store.Attach{ClientID: "c", Keep: true, Expiry: 60, Will: will})
	other := f.session("other")
	tenant := f.attach(store.Attach{ClientID: "c", MountPoint: "a/", Keep: true, Expiry: 60})
	f.commit(func(tx *store.Tx) {
		tx.Subscribe(at.Ref, store.Subscription{Filter: "a/#", Options: 2, ID: 268435455})
		tx.Subscribe(at.Ref, store.Subscription{Filter: "gone", Options: 1})
		tx.Unsubscribe(at.Ref, "gone")
		tx.Receive(at.Ref, 7, 1)
		tx.Receive(at.Ref, 8, math.MaxUint64)
		tx.Release(at.Ref, 7)
		tx.Retain(message)
		tx.Retain(&store.Message{Topic: "cleared", Payload: []byte("x")})
		tx.Retain(&store.Message{Topic: "cleared"})
		for range 4 {
			tx.Enqueue(at.Ref, store.Delivery{Message: message, QoS: 2, SubscriptionID: 268435455, Retain: true}, store.Limit{})
			tx.Enqueue(other, store.Delivery{Message: message, QoS: 1}, store.Limit{})
		}
	})
	f.commit(func(tx *store.Tx) {
		tx.SetSent(at.Ref, 3)
		tx.SetReleased(at.Ref, 2)
		tx.Settle(at.Ref, 1)
		tx.Detach(at.Ref, start, 60, start.Add(5*time.Second))
	})
	m2 := end(m)
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	f, r := begin(t, m2)
	defer f.store.Close()
	s := r.sessions["c"]
	if s.Ref != at.Ref || s.Expiry != 60 || !s.ExpiresAt.Equal(start.Add(time.Minute)) {
		t.Errorf("the session is %+v", s)
	}
	if w := s.Will; w == nil || string(w.Message.Payload) != "gone" || !w.At.Equal(start.Add(5*time.Second)) || w.Expiry != 7 || !w.HasExpiry {
		t.Errorf("its will is %+v", w)
	}
	if len(s.Subscriptions) != 1 || s.Subscriptions[0] != (store.Subscription{Filter: "a/#", Options: 2, ID: 268435455}) {
		t.Errorf("its subscriptions are %+v", s.Subscriptions)
	}
	if s := r.sessions[store.Key("c", "a/")]; s.Ref != tenant.Ref || s.ClientID != "c" || s.MountPoint != "a/" || len(s.Subscriptions) > 0 {
		t.Errorf("the session under a mount point is %+v", s)
	}
	if len(r.retained) != 1 {
		t.Errorf("retained are %v", r.retained)
	}
	same(t, r.retained["a/b"], message)
	at = f.attach(store.Attach{ClientID: "c"})
	if !at.Present || !maps.Equal(at.Received, map[uint16]uint64{8: math.MaxUint64}) {
		t.Errorf("attached %+v", at)
	}
	f.want(at.Ref, 0, 8, "2/2/2/2:payload", "3/3/2/1:payload", "4/4/2/0:payload")
	d := f.next(at.Ref, 0, 1, 1)[0]
	same(t, d.Message, message)
	if d.SubscriptionID != 268435455 || !d.Retain {
		t.Errorf("the delivery is %+v", d)
	}
	f.enqueue(at.Ref, "new")
	f.want(at.Ref, 4, 8, "5/5/1/0:new")
	f.commit(func(tx *store.Tx) { // the other one's copies are not touched
		for o := range uint64(5) {
			tx.Settle(at.Ref, o+1)
		}
	})
	f.attach(store.Attach{ClientID: "other"})
	f.want(other, 0, 8, "1/1/1/0:payload", "2/2/1/0:payload", "3/3/1/0:payload", "4/4/1/0:payload")
}

func same(t *testing.T, got, want *store.Message) {
	t.Helper()
	if got == nil || !got.Expires.Equal(want.Expires) {
		t.Fatalf("got message %+v, want %+v", got, want)
	}
	g, w := *got, *want
	g.Expires, w.Expires = time.Time{}, time.Time{}
	if fmt.Sprintf("%+v", g) != fmt.Sprintf("%+v", w) {
		t.Errorf("got message %+v, want %+v", g, w)
	}
}

func testRemovedIsGone(t *testing.T, m Machine) {
	f, _ := begin(t, m)
	var refs []store.Ref
	for i := range 3 {
		refs = append(refs, f.session(fmt.Sprint("c", i)))
	}
	f.commit(func(tx *store.Tx) {
		d := delivery(1, "shared")
		for range 2000 { // more than is deleted in one go
			for _, ref := range refs {
				tx.Enqueue(ref, d, store.Limit{})
			}
		}
		tx.Subscribe(refs[0], store.Subscription{Filter: "t"})
	})
	f.commit(func(tx *store.Tx) { tx.Remove(refs[0]); tx.Remove(refs[1]) })
	m2 := cut(m) // perhaps in the middle of the cleaning
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	f, r := begin(t, m2)
	defer f.store.Close()
	if len(r.sessions) != 1 {
		t.Fatalf("sessions are %v", r.sessions)
	}
	again := f.session("c0")
	f.want(again, 0, 8)
	f.attach(store.Attach{ClientID: "c2"})
	n, last := 0, uint64(0)
	for n < 2000 {
		for _, d := range f.next(refs[2], last, 100, 1) {
			if string(d.Message.Payload) != "shared" {
				t.Fatalf("delivery %+v", d)
			}
			n, last = n+1, d.Ordinal
		}
	}
}

// testUncertain has a machine fail while messages may be under way.
func testUncertain(t *testing.T, m Machine) {
	f, _ := begin(t, m)
	at := f.attach(store.Attach{ClientID: "c", Keep: true, Expiry: 60, Will: &store.Will{Message: &store.Message{Topic: "w"}, Delay: 9}})
	f.enqueue(at.Ref, "a", "b")
	m2 := cut(m)
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	f, r := begin(t, m2)
	defer f.store.Close()
	if s := r.sessions["c"]; !s.ExpiresAt.Equal(start.Add(time.Minute)) || !s.Will.At.Equal(start.Add(9*time.Second)) {
		t.Errorf("the session counts from another time than the start: %+v", s)
	}
	f.enqueue(at.Ref, "c")
	f.attach(store.Attach{ClientID: "c"})
	var got []string
	for _, d := range f.next(at.Ref, 0, 8, 3) {
		got = append(got, fmt.Sprint(string(d.Message.Payload), d.Uncertain))
	}
	if strings.Join(got, " ") != "atrue btrue cfalse" {
		t.Errorf("got %v", got)
	}
}

// testCrashes plays random programs and cuts the power in the middle of each. What is there then must be what was there
// after some command, not before the last one that was acknowledged.
func testCrashes(t *testing.T, m Machine) {
	const programs, length = 12, 120
	seed := rand.Uint64()
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	r := rand.New(rand.NewPCG(seed, 0))
	states := []string{newModel().String()}
	model := newModel()
	for range programs {
		f, _ := begin(t, m)
		p := &program{f: f, r: r, model: model, states: states[:1]}
		crashAt := r.IntN(length)
		var m2 Machine
		var acked, sent int
		for i := range length {
			p.step()
			if i == crashAt {
				acked = int(p.acked.Load())
				m2 = m.Crash(r)
				sent = len(p.states)
			}
		}
		p.wait()
		if err := f.store.Close(); err != nil {
			t.Fatal(err)
		}
		f, rec := begin(t, m2.Crash(r)) // a copy: to look is to change
		got, err := observe(f, rec)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.store.Close(); err != nil {
			t.Fatal(err)
		}
		found := -1
		for i := acked; i < sent; i++ {
			if p.states[i] == got {
				found = i
			}
		}
		if found < 0 {
			t.Fatalf("after the crash behind command %d, of which %d were acknowledged, there is\n%s\nwant\n%s\nor later", sent-1, acked, got, p.states[acked])
		}
		m, model = m2, p.models[found]
		states = []string{got}
	}
}
