package mosqlog

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/budget"
)

// TellDenials makes the observer log what is denied to clients, with why, which says by what rule and
// is called for each denial that is told, even if the log leaves notices out. TellDenials is called
// before Events.
func (o *Observer) TellDenials(why func(broker.Access) string) { o.why = why }

// denials bounds the lines on denials. A client that tries the same again and again, or subscribes to
// more than it may receive, gets a line a minute. What one client is denied does not hide what
// another one is.
type denials struct {
	budget *budget.Budget[denial] // by client and action

	mu    sync.Mutex // guards what follows
	since time.Time  // the beginning of the minute
	seed  maphash.Seed
	told  map[uint64]struct{} // by the hash of a denial: topics may be long
}

// A denial is what is told once. For a delivery that is not its topic: there may be as many as there are messages.
type denial struct {
	client string
	action broker.Action
	topic  string
}

// deniedEach bounds the lines on denials of one kind to one client in a minute, deniedAll all of them.
const (
	deniedEach = 60
	deniedAll  = 6000
)

func newDenials() denials {
	return denials{budget: &budget.Budget[denial]{Each: deniedEach, All: deniedAll, Period: time.Minute}}
}

// enter reports whether a denial is to be told, and how many were not since the last one that was.
func (d *denials) enter(now time.Time, what denial) (ok bool, left int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.told == nil || now.Sub(d.since) >= time.Minute {
		d.since, d.seed, d.told = now, maphash.MakeSeed(), map[uint64]struct{}{}
	}
	hash := maphash.Comparable(d.seed, what)
	if _, told := d.told[hash]; told || len(d.told) >= deniedAll {
		d.budget.Refuse(1)
		return false, 0
	}
	if ok, left = d.budget.Take(now, denial{client: what.client, action: what.action}); ok {
		d.told[hash] = struct{}{}
	}
	return ok, left
}

// denied logs what a client may not do.
func (o *Observer) denied(a broker.Access) {
	what := denial{client: a.Client.ID, action: a.Action}
	if a.Action != broker.ActionReceive {
		what.topic = string(a.Topic)
	}
	ok, left := o.denials.enter(time.Now(), what)
	if !ok {
		return
	}
	if left > 0 {
		o.printf(LevelNotice, "%d more denials are not listed.", left)
	}
	why := o.why(a)
	switch q, r := a.QoS, bit(a.Retain); a.Action {
	case broker.ActionPublish:
		if a.Source {
			o.client(LevelNotice, a.Client, "Denied delivery of the retained message '%s', which client %s may not publish: %s", a.Topic, name(a.Client), why)
			return
		}
		o.client(LevelNotice, a.Client, "Denied publish of client %s to '%s' (q%d, r%d): %s", name(a.Client), a.Topic, q, r, why)
	case broker.ActionWill:
		o.client(LevelNotice, a.Client, "Denied will of client %s to '%s' (q%d, r%d): %s", name(a.Client), a.Topic, q, r, why)
	case broker.ActionReceive:
		o.client(LevelNotice, a.Client, "Denied delivery to client %s of '%s' (q%d, r%d): %s", name(a.Client), a.Topic, q, r, why)
	case broker.ActionSubscribe:
		o.client(LevelNotice, a.Client, "Denied subscribe of client %s to '%s' (q%d): %s", name(a.Client), a.Topic, q, why)
	case broker.ActionUnsubscribe:
		o.client(LevelNotice, a.Client, "Denied unsubscribe of client %s from '%s': %s", name(a.Client), a.Topic, why)
	case broker.ActionConnect:
		o.client(LevelNotice, a.Client, "Denied connect of client %s: %s", name(a.Client), why)
	}
}
