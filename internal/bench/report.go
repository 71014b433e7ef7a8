package bench

import (
	"fmt"
	"strings"
	"time"
)

// Report is what a run measured.
type Report struct {
	Scenario    string  `json:"scenario"`
	Broker      string  `json:"broker"`
	Version     string  `json:"version"`
	QoS         int     `json:"qos"`
	Size        int     `json:"size"`
	Window      int     `json:"window,omitempty"`
	Rate        float64 `json:"rate,omitempty"`
	Pairs       int     `json:"pairs,omitempty"`
	Publishers  int     `json:"publishers,omitempty"`
	Subscribers int     `json:"subscribers,omitempty"`
	Connections int     `json:"connections,omitempty"`
	Filters     int     `json:"filters,omitempty"`
	Mix         string  `json:"mix,omitempty"`

	Phases []Phase `json:"phases"`

	// Verified says that the payloads had room for sequence numbers, so that Duplicates and Reordered are known, and Lost is exact.
	Verified   bool   `json:"verified"`
	Lost       uint64 `json:"lost"`
	Duplicates uint64 `json:"duplicates"`
	Reordered  uint64 `json:"reordered"`
	// Dead counts idle connections that did not answer in the end.
	Dead int `json:"dead,omitempty"`
}

// Phase is one part of a run that is measured by itself.
type Phase struct {
	Name      string  `json:"name"`
	Unit      string  `json:"unit"` // what Count counts: message, connection, subscription
	Count     int     `json:"count"`
	Published int     `json:"published,omitempty"`
	Delivered int     `json:"delivered,omitempty"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"` // Count in a second

	// The broker's, if its process is known. Each is for one of Count.
	BrokerSeconds    float64 `json:"broker_cpu_seconds,omitempty"`
	BrokerMicrosEach float64 `json:"broker_cpu_us_each,omitempty"`
	MemoryGrowth     int64   `json:"memory_growth,omitempty"` // bytes, from the beginning to the end of the phase
	MemoryEach       float64 `json:"memory_each,omitempty"`
	LoadMicrosEach   float64 `json:"load_cpu_us_each,omitempty"` // what this program spent, for comparison

	Latency      *Latency `json:"latency_us,omitempty"`      // to delivery; of a connection, to CONNACK
	Acknowledged *Latency `json:"acknowledged_us,omitempty"` // to PUBACK or PUBCOMP
	Lateness     *Latency `json:"lateness_us,omitempty"`     // of this program, behind the schedule; it is part of Latency
}

func newReport(o *Options) Report {
	r := Report{
		Scenario: o.Scenario, Broker: o.Broker, Version: o.Version.String(), QoS: o.QoS, Size: o.Size, Window: o.Window, Rate: o.Rate,
		Pairs: o.Pairs, Publishers: o.Publishers, Subscribers: o.Subscribers, Connections: o.Connections, Filters: o.Filters, Mix: o.Mix,
	}
	if o.Connections > 0 {
		r.QoS, r.Size = 0, 0
	}
	return r
}

// add appends a phase.
func (r *Report) add(name string, m measured, before, after usage) {
	p := Phase{
		Name: name, Unit: string(m.cost), Count: m.count, Published: m.published, Delivered: m.delivered,
		Seconds: after.at.Sub(before.at).Seconds(), BrokerSeconds: (after.cpu - before.cpu).Seconds(),
		MemoryGrowth: after.memory - before.memory,
	}
	if m.count > 0 {
		each := float64(m.count)
		p.PerSecond = each / p.Seconds
		p.BrokerMicrosEach = p.BrokerSeconds * 1e6 / each
		p.LoadMicrosEach = (after.own - before.own).Seconds() * 1e6 / each
		p.MemoryEach = float64(p.MemoryGrowth) / each
	}
	r.Phases = append(r.Phases, p)
}

// last returns the phase that was added last.
func (r *Report) last() *Phase { return &r.Phases[len(r.Phases)-1] }

// Failure says what is wrong with what arrived, "" if nothing is. A repetition is allowed at QoS 1.
func (r *Report) Failure() string {
	var wrong []string
	if r.Lost > 0 {
		wrong = append(wrong, fmt.Sprintf("lost: %d", r.Lost))
	}
	if r.Duplicates > 0 && r.QoS != 1 {
		wrong = append(wrong, fmt.Sprintf("came twice at QoS %d: %d", r.QoS, r.Duplicates))
	}
	if r.Reordered > 0 {
		wrong = append(wrong, fmt.Sprintf("out of order: %d", r.Reordered))
	}
	if len(wrong) > 0 {
		return "messages " + strings.Join(wrong, ", ")
	}
	if r.Dead > 0 {
		return fmt.Sprintf("connections that did not answer in the end: %d", r.Dead)
	}
	return ""
}

// Text returns the report for people.
func (r *Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, MQTT %s", r.Scenario, r.Version)
	if r.Connections == 0 {
		fmt.Fprintf(&b, ", QoS %d, %d bytes", r.QoS, r.Size)
	}
	for _, c := range []struct {
		n    int
		what string
	}{{r.Pairs, "pairs"}, {r.Publishers, "publishers"}, {r.Subscribers, "subscribers"}, {r.Connections, "connections"}, {r.Filters, "filters"}} {
		if c.n > 0 {
			fmt.Fprintf(&b, ", %d %s", c.n, c.what)
		}
	}
	if r.Mix != "" {
		fmt.Fprintf(&b, " (%s)", r.Mix)
	}
	if r.Rate > 0 {
		fmt.Fprintf(&b, ", %g a second", r.Rate)
	} else if r.Window > 0 {
		fmt.Fprintf(&b, ", windows of %d", r.Window)
	}
	b.WriteByte('\n')
	for i := range r.Phases {
		r.Phases[i].text(&b)
	}
	switch failure := r.Failure(); {
	case failure != "":
		fmt.Fprintf(&b, "WRONG: %s\n", failure)
	case r.Verified && r.Duplicates > 0:
		fmt.Fprintf(&b, "every message arrived, in order; %d came twice, which QoS 1 allows\n", r.Duplicates)
	case r.Verified && r.Scenario == Retained:
		b.WriteString("every message arrived, once\n")
	case r.Verified:
		b.WriteString("every message arrived, once and in order\n")
	}
	return b.String()
}

func (p *Phase) text(b *strings.Builder) {
	fmt.Fprintf(b, "%s: ", p.Name)
	if p.Unit == string(perMessage) {
		fmt.Fprintf(b, "%d published, %d delivered", p.Published, p.Delivered)
	} else {
		fmt.Fprintf(b, "%d %ss", p.Count, p.Unit)
	}
	fmt.Fprintf(b, " in %.2f s", p.Seconds)
	if p.Count > 0 && p.Name != phaseHold {
		fmt.Fprintf(b, ", %.0f %ss/s", p.PerSecond, p.Unit)
	}
	b.WriteByte('\n')
	line := func(what string, l *Latency) {
		if l != nil {
			fmt.Fprintf(b, "  %-13s p50 %s  p90 %s  p99 %s  p99.9 %s  max %s\n", what,
				readable(l.P50), readable(l.P90), readable(l.P99), readable(l.P999), readable(l.Max))
		}
	}
	line("latency", p.Latency)
	line("acknowledged", p.Acknowledged)
	line("lateness", p.Lateness)
	if p.BrokerSeconds > 0 || p.MemoryGrowth != 0 {
		fmt.Fprintf(b, "  broker        %.2f s of CPU", p.BrokerSeconds)
		if p.Count > 0 && p.Name != phaseHold {
			fmt.Fprintf(b, ", %.2f us per %s", p.BrokerMicrosEach, p.Unit)
		}
		fmt.Fprintf(b, "; memory %+.1f MB", float64(p.MemoryGrowth)/1e6)
		if p.Count > 0 && p.weighs() {
			fmt.Fprintf(b, ", %.0f bytes per %s", p.MemoryEach, p.Unit)
		}
		b.WriteByte('\n')
	}
	if p.LoadMicrosEach > 0 && p.Name != phaseHold {
		fmt.Fprintf(b, "  this program  %.2f us per %s\n", p.LoadMicrosEach, p.Unit)
	}
}

// weighs reports whether the phase leaves something in the broker that has a weight.
func (p *Phase) weighs() bool {
	switch p.Name {
	case phaseConnect, phaseHold, phaseSubscribe, phaseStore, phaseQueue:
		return true
	}
	return false
}

// readable returns microseconds with a unit and three digits or so.
func readable(us float64) string {
	d := time.Duration(us * 1000)
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f us", us)
	case d < time.Second:
		return fmt.Sprintf("%.2f ms", us/1e3)
	}
	return fmt.Sprintf("%.2f s", us/1e6)
}
