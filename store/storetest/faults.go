package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/uniomq/unio/store"
)

// A FaultyMachine is a machine whose disk can be told to misbehave.
type FaultyMachine interface {
	Machine
	// TryOpen opens the store, which may refuse what it finds.
	TryOpen() (store.Store, error)
	// OnWrite has fn called before each write to a file, and each sync of one, from now on. nil: none.
	OnWrite(fn func(o DiskOperation) Fault)
	// IsLog tells the files that acknowledgements wait for.
	IsLog(name string) bool
	// SetFree says how many bytes the disk has left.
	SetFree(bytes uint64)
	// Files returns the names of the store's files, in the order in which they were made, and Content what is in one.
	Files() []string
	Content(name string) []byte
	// With returns a machine whose disk has the same files but for one, with other content. The store must not be open.
	With(name string, content []byte) FaultyMachine
	// Failed is closed when the machine's open store has failed, and said so.
	Failed() <-chan struct{}
}

// DiskOperation is a write or a sync.
type DiskOperation struct {
	Name string // of the file
	Sync bool
}

// Fault is what becomes of a DiskOperation. The zero Fault lets it pass.
type Fault struct {
	Err   error
	Short bool // half of it is written all the same
}

var errDisk = errors.New("input/output error")

// RunFaults tests what a store does on a disk that misbehaves.
func RunFaults(t *testing.T, machine func() FaultyMachine) {
	for name, test := range map[string]func(*testing.T, FaultyMachine){
		"CrashAtEveryWrite": testCrashAtEveryWrite,
		"FailedSync":        func(t *testing.T, m FaultyMachine) { testFailedWrite(t, m, true, Fault{Err: errDisk}) },
		"FailedWrite":       func(t *testing.T, m FaultyMachine) { testFailedWrite(t, m, false, Fault{Err: errDisk}) },
		"ShortWrite":        func(t *testing.T, m FaultyMachine) { testFailedWrite(t, m, false, Fault{Err: errDisk, Short: true}) },
		"FullDisk":          testFullDisk,
		"TornTail":          testTornTail,
		"BitFlips":          testBitFlips,
	} {
		t.Run(name, func(t *testing.T) { test(t, machine()) })
	}
}

// testCrashAtEveryWrite cuts the power before each write and each sync of a program.
func testCrashAtEveryWrite(t *testing.T, m FaultyMachine) {
	type crash struct {
		m     Machine
		acked int
		at    DiskOperation
	}
	var crashes []crash
	r := rand.New(rand.NewPCG(3, 4))
	cuts := rand.New(rand.NewPCG(5, 6))
	f, _ := begin(t, m)
	p := &program{f: f, r: r, model: newModel(), states: []string{newModel().String()}}
	m.OnWrite(func(o DiskOperation) Fault {
		acked := int(p.acked.Load()) // before the cut: what is acknowledged meanwhile may be in it
		crashes = append(crashes, crash{m: m.Crash(cuts), acked: acked, at: o})
		return Fault{}
	})
	for range 60 {
		p.step()
		p.wait() // so that each command has a write of its own
	}
	m.OnWrite(nil)
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	if len(crashes) < 60 {
		t.Fatalf("only %d writes and syncs", len(crashes))
	}
	for i, c := range crashes {
		f, rec := begin(t, c.m)
		got, err := observe(f, rec)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.store.Close(); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, state := range p.states[c.acked:] {
			found = found || state == got
		}
		if !found {
			t.Fatalf("crash %d, before %+v, with %d commands acknowledged, leaves\n%s\nwant\n%s\nor later", i, c.at, c.acked, got, p.states[c.acked])
		}
	}
}

// testFailedWrite has one write or sync of the log fail while messages are queued. From then on nothing is accepted, though the
// disk works again: what it holds is unknown. Whatever was acknowledged is there at the next start.
func testFailedWrite(t *testing.T, m FaultyMachine, sync bool, fault Fault) {
	for _, nth := range []int{0, 1, 5} {
		t.Run(fmt.Sprint(nth), func(t *testing.T) {
			f, _ := begin(t, m)
			ref := f.attach(store.Attach{ClientID: "c", Keep: true, Expiry: store.ExpiryNever}).Ref
			n := 0
			m.OnWrite(func(o DiskOperation) Fault {
				if !m.IsLog(o.Name) || o.Sync != sync {
					return Fault{}
				}
				n++
				if n-1 == nth {
					return fault
				}
				return Fault{}
			})
			var acked []string
			failed := false
			for i := range 20 {
				payload := fmt.Sprint(nth, "/", i)
				_, err := f.try(func(tx *store.Tx) { tx.Enqueue(ref, delivery(1, payload), store.Limit{}) })
				if failed && err == nil {
					t.Fatalf("message %d was accepted behind a failure", i)
				}
				if failed = err != nil; !failed {
					acked = append(acked, payload)
				}
			}
			if !failed {
				t.Fatal("nothing failed")
			}
			m.OnWrite(nil)
			<-m.Failed()
			if _, err := f.tryAttach(store.Attach{ClientID: "d", Keep: true}); err == nil {
				t.Error("a session was begun behind a failure")
			}
			m2 := m.Crash(rand.New(rand.NewPCG(7, uint64(nth)))).(FaultyMachine)
			_ = f.store.Close()
			m = m2
			f, _ = begin(t, m)
			defer f.store.Close()
			f.attach(store.Attach{ClientID: "c"})
			got, err := f.queue(ref)
			if err != nil {
				t.Fatal(err)
			}
			have := map[string]int{}
			for _, d := range got {
				have[string(d.Message.Payload)]++
			}
			for _, p := range acked {
				if have[p] != 1 {
					t.Errorf("acknowledged message %s is there %d times", p, have[p])
				}
			}
		})
	}
}

// testFullDisk fills the disk and empties it again.
func testFullDisk(t *testing.T, m FaultyMachine) {
	f, _ := begin(t, m)
	defer f.store.Close()
	ref := f.session("c")
	large := delivery(1, string(make([]byte, 64<<10)))
	write := func() { f.commit(func(tx *store.Tx) { tx.Enqueue(ref, large, store.Limit{}) }) }
	write()
	if f.store.Full() {
		t.Fatal("full at the start")
	}
	m.SetFree(1000)
	write()
	if !f.store.Full() {
		t.Error("not full with 1000 bytes left")
	}
	write() // what comes nevertheless still fits
	m.SetFree(1 << 40)
	write()
	if f.store.Full() {
		t.Error("still full with room again")
	}
}

// filled has a store that many things were acknowledged by, and the machine behind a power cut. last is the name of its newest log, and where
// the last record begins there, which nothing behind it vouches for.
type filled struct {
	m     FaultyMachine
	state string
	log   string
	last  int // where the last record of the log begins
	told  int // up to where a later record knows that the log was synced
}

func fill(t *testing.T, m FaultyMachine) filled {
	t.Helper()
	p := &program{r: rand.New(rand.NewPCG(9, 9)), model: newModel(), states: []string{""}}
	for life := range 3 { // so that there is more than a log
		f, _ := begin(t, m)
		p.f = f
		for range 60 {
			p.step()
			p.wait()
		}
		if life == 2 {
			break
		}
		if err := f.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	retain := func(topic string) { // asks for a sync
		p.model.retained[topic] = "x"
		p.commit(retainTx(topic))
		p.wait()
	}
	retain("last but two")
	var c filled
	for _, name := range m.Files() {
		if m.IsLog(name) {
			c.log = name
		}
	}
	c.told = len(m.Content(c.log))
	retain("last but one")
	c.last = len(m.Content(c.log))
	retain("last")
	c.m, c.state = m.Crash(rand.New(rand.NewPCG(1, 1))).(FaultyMachine), p.model.String()
	if err := p.f.store.Close(); err != nil {
		t.Fatal(err)
	}
	return c
}

func retainTx(topic string) *store.Tx {
	tx := &store.Tx{Wait: true}
	tx.Retain(&store.Message{Topic: topic, Payload: []byte("x")})
	return tx
}

// testTornTail leaves the beginning of a write behind the last one that was synced.
func testTornTail(t *testing.T, m FaultyMachine) {
	c := fill(t, m)
	content := c.m.Content(c.log)
	r := rand.New(rand.NewPCG(11, 12))
	for range 30 {
		torn := append([]byte(nil), content...)
		switch n := 1 + r.IntN(300); r.IntN(3) {
		case 0: // garbage
			for range n {
				torn = append(torn, byte(r.Uint32()))
			}
		case 1: // a file system may have noted the length and not written the data
			torn = append(torn, make([]byte, n)...)
		case 2: // a record whose end is missing
			torn = append(torn, content[c.last:c.last+min(n, len(content)-c.last-1)]...)
		}
		got, err := look(t, c.m.With(c.log, torn))
		if err != nil {
			t.Errorf("a torn tail of %d bytes: %v", len(torn)-len(content), err)
		} else if got != c.state {
			t.Fatalf("behind a torn tail of %d bytes there is\n%s\nwant\n%s", len(torn)-len(content), got, c.state)
		}
	}
}

// testBitFlips changes single bits. Whatever is there then is what was written, or the store refuses: it does not give out anything
// else, and leaves nothing out without a word. Only damage to the last record of the log cannot be told from a torn tail, and to the one
// before if the last one was written before the log knew that this one was synced.
func testBitFlips(t *testing.T, m FaultyMachine) {
	c := fill(t, m)
	r := rand.New(rand.NewPCG(13, 14))
	refused, harmless := 0, 0
	for _, name := range c.m.Files() {
		content := c.m.Content(name)
		size := len(content)
		if name == c.log {
			size = c.told
		}
		for range min(60, 8*size) {
			bit := r.IntN(8 * size)
			damaged := append([]byte(nil), content...)
			damaged[bit/8] ^= 1 << (bit % 8)
			got, err := look(t, c.m.With(name, damaged))
			switch {
			case err != nil:
				refused++
			case got == c.state:
				harmless++
			default:
				t.Errorf("bit %d of byte %d of %d in %s is another one, and there is\n%s\nwant\n%s", bit%8, bit/8, len(content), name, got, c.state)
			}
		}
	}
	if refused == 0 {
		t.Error("no damage was refused")
	}
	t.Logf("%d refused, %d harmless", refused, harmless)
}

// look opens a store and reads everything.
func look(t *testing.T, m FaultyMachine) (string, error) {
	t.Helper()
	s, err := m.TryOpen()
	if err != nil {
		return "", err
	}
	f, rec := newFixture(t, s)
	f.failed = m.Failed()
	if err := f.store.Start(f.wake, rec.recovery()); err != nil {
		return "", errors.Join(err, s.Close())
	}
	got, err := observe(f, rec)
	return got, errors.Join(err, s.Close())
}
