package migrate

import (
	"fmt"
	"io"
	"strings"

	"github.com/uniomq/unio/internal/mosquittodb"
	"github.com/uniomq/unio/store"
)

// Report says what was taken over and what was not.
type Report struct {
	Sessions, Subscriptions int
	Queued, InFlight        int // deliveries that were not sent, and that were sent and not acknowledged
	Received                int // QoS 2 messages received from clients and not released
	Delivered               int // of these, those that were delivered by the plan
	Retained                int
	withoutSubscription     int
	left                    [reasons][]string // examples
	counts                  [reasons]int
	notes                   []string
	version                 int
	size                    int64
	shutdown                bool
}

// reason is why something was not taken over.
type reason int

const (
	sessionsExpired reason = iota
	sessionsEnded
	sessionsUnnamed
	subscriptionsInvalid
	subscriptionsAlone
	queuedExpired
	receivedExpired
	receivedOdd
	deliveriesMissing
	deliveriesAlone
	retainedExpired
	retainedMissing
	messagesInvalid
	reasons
)

// reasonTexts go behind a number.
var reasonTexts = [reasons]string{
	sessionsExpired:      "session(s), expired",
	sessionsEnded:        "session(s), ended with the connection",
	sessionsUnnamed:      "session(s) without a client id, at offset",
	subscriptionsInvalid: "subscription(s) with an invalid filter",
	subscriptionsAlone:   "subscription(s) of a client without session in the file",
	queuedExpired:        "queued message(s), expired",
	receivedExpired:      "message(s) received at QoS 2 and not released, expired",
	receivedOdd:          "message(s) received, neither released nor at QoS 2",
	deliveriesMissing:    "message(s) for or from a client, expired and no longer in the file",
	deliveriesAlone:      "message(s) for or from a client without session in the file",
	retainedExpired:      "retained message(s), expired",
	retainedMissing:      "retained message(s), expired and no longer in the file",
	messagesInvalid:      "message(s) with an invalid topic",
}

// counted is a number with its text, in the singular or the plural.
func counted(n int, text string) string {
	ending := "s"
	if n == 1 {
		ending = ""
	}
	return fmt.Sprintf("%9d %s", n, strings.Replace(text, "(s)", ending, 1))
}

// maxExamples is how many of a kind are named.
const maxExamples = 5

func newReport(db *mosquittodb.DB) *Report {
	return &Report{version: db.Version, size: db.Size, shutdown: db.Shutdown}
}

func (r *Report) leave(why reason, example string) {
	r.counts[why]++
	if len(r.left[why]) < maxExamples {
		r.left[why] = append(r.left[why], example)
	}
}

// maxNotes is how many notes there are.
const maxNotes = 20

func (r *Report) note(format string, args ...any) {
	if len(r.notes) < maxNotes {
		r.notes = append(r.notes, fmt.Sprintf(format, args...))
	}
}

func (r *Report) count(s *session) {
	r.Sessions++
	r.Subscriptions += len(s.Subscriptions)
	r.Received += len(s.Received)
	if len(s.Subscriptions) == 0 {
		r.withoutSubscription++
	}
	for i := range s.Queue {
		if s.Queue[i].State == store.Queued {
			r.Queued++
		} else {
			r.InFlight++
		}
	}
}

// Left is how many things were not taken over.
func (r *Report) Left() int {
	n := 0
	for _, c := range r.counts {
		n += c
	}
	return n
}

// WriteTo writes the report as text.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	how := "written when Mosquitto ended"
	if !r.shutdown {
		how = "written while Mosquitto ran"
	}
	if r.size == 0 {
		b.WriteString("The file is empty.\n\nTaken over:\n")
	} else {
		fmt.Fprintf(&b, "The file has format %d and %d bytes, %s.\n\nTaken over:\n", r.version, r.size, how)
	}
	for _, line := range []struct {
		n    int
		text string
	}{
		{r.Sessions, "session(s)"},
		{r.Subscriptions, "subscription(s)"},
		{r.Queued, "message(s) queued for clients"},
		{r.InFlight, "message(s) sent to clients, not acknowledged"},
		{r.Received, "QoS 2 message(s) received from clients, not released"},
		{r.Retained, "retained message(s)"},
	} {
		b.WriteString(counted(line.n, line.text) + "\n")
	}
	if r.Left() > 0 {
		b.WriteString("\nNot taken over:\n")
		for why, n := range r.counts {
			if n == 0 {
				continue
			}
			more := ""
			if n > maxExamples {
				more = ", ..."
			}
			fmt.Fprintf(&b, "%s: %s%s\n", counted(n, reasonTexts[why]), strings.Join(r.left[why], "; "), more)
		}
	}
	for i, note := range r.allNotes() {
		if i == 0 {
			b.WriteString("\nNotes:\n")
		}
		b.WriteString("- " + note + "\n")
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func (r *Report) allNotes() []string {
	notes := r.notes
	add := func(n int, text string) {
		if n > 0 {
			notes = append(notes, fmt.Sprintf(text, n))
		}
	}
	if !r.shutdown {
		notes = append(notes, "Mosquitto has not written the file at its end: what came after it was written is not in it. "+
			"Stop Mosquitto, and begin again.")
	}
	add(r.Delivered, "QoS 2 messages not released, delivered to the sessions above: %d. "+
		"Mosquitto does that when they are released, Unio when they arrive.")
	add(r.withoutSubscription, "Sessions without a subscription in the file: %d. "+
		"Mosquitto does not store shared subscriptions; clients that have them must subscribe again.")
	return notes
}
