package metrics

import (
	"fmt"
	"strings"

	"github.com/uniomq/unio/broker"
)

const root = "$SYS/broker/"

// value is what one topic says, or several that always say the same.
type value struct {
	topics    []string
	text      []byte // published last; never changed, only replaced
	published bool   // text stands in all topics
}

// newValue returns the value of topics that are given without root.
func newValue(names ...string) value {
	v := value{topics: make([]string, len(names))}
	for i, name := range names {
		v.topics[i] = root + name
	}
	return v
}

// count is a value that is a whole number.
type count struct {
	value
	read func(*sample) int64
}

// newCounts returns all counts. Where Mosquitto has two names for one, its manual calls the second one deprecated, or
// is the only place that has it (heap/... size).
func newCounts() []count {
	counts := []count{
		{newValue("clients/total"), func(s *sample) int64 { return s.Sessions }},
		{newValue("clients/maximum"), func(s *sample) int64 { return s.ConnectionsMax }},
		{newValue("clients/disconnected", "clients/inactive"), (*sample).disconnected},
		{newValue("clients/connected", "clients/active"), func(s *sample) int64 { return s.Connections }},
		{newValue("clients/expired"), func(s *sample) int64 { return s.Expired }},
		{newValue("connections/socket/count"), func(s *sample) int64 { return s.Accepted }},
		{newValue("messages/received"), func(s *sample) int64 { return s.PacketsReceived }},
		{newValue("messages/sent"), func(s *sample) int64 { return s.PacketsSent }},
		{newValue("bytes/received"), func(s *sample) int64 { return s.BytesReceived }},
		{newValue("bytes/sent"), func(s *sample) int64 { return s.BytesSent }},
		{newValue("packet/out/count"), func(s *sample) int64 { return s.PacketsWaiting }},
		{newValue("packet/out/bytes"), func(s *sample) int64 { return s.BytesWaiting }},
		{newValue("publish/messages/received"), func(s *sample) int64 { return s.Received }},
		{newValue("publish/messages/sent"), func(s *sample) int64 { return s.Sent }},
		{newValue("publish/messages/dropped"), (*sample).dropped},
		{newValue("publish/bytes/received"), func(s *sample) int64 { return s.PublishBytesReceived }},
		{newValue("publish/bytes/sent"), func(s *sample) int64 { return s.PublishBytesSent }},
		{newValue("store/messages/count", "messages/stored"), func(s *sample) int64 { return s.Retained }},
		{newValue("store/messages/bytes"), func(s *sample) int64 { return s.RetainedBytes }},
		{newValue("retained messages/count"), func(s *sample) int64 { return s.Retained }},
		{newValue("subscriptions/count"), (*sample).plainSubscriptions},
		{newValue("shared_subscriptions/count"), func(s *sample) int64 { return s.SharedSubscriptions }},
		{newValue("heap/current", "heap/current size"), func(s *sample) int64 { return s.heap }},
		{newValue("heap/maximum", "heap/maximum size"), func(s *sample) int64 { return s.heapMax }},
		{newValue("faults"), func(s *sample) int64 { return s.Panics }}, // from here on ours
		{newValue("subscriptions/pending"), func(s *sample) int64 { return s.RetainedPending }},
	}
	for i := range broker.RefuseCauses {
		counts = append(counts, count{newValue("connections/refused/" + word(broker.RefuseCause(i))), func(s *sample) int64 { return s.RefusedBy[i] }})
	}
	for i := range broker.DropCauses {
		counts = append(counts, count{newValue("publish/messages/dropped/" + word(broker.DropCause(i))), func(s *sample) int64 { return s.Dropped[i] }})
	}
	return counts
}

// word is a cause as a topic level.
func word(cause fmt.Stringer) string { return strings.ReplaceAll(cause.String(), " ", "_") }

// disconnected is the number of sessions without a connection. The two numbers are not read at the same instant.
func (s *sample) disconnected() int64 { return max(s.Sessions-s.Connections, 0) }

// plainSubscriptions leaves the shared ones out, as Mosquitto's topic does.
func (s *sample) plainSubscriptions() int64 { return max(s.Subscriptions-s.SharedSubscriptions, 0) }

// dropped counts what was lost for want of room, which is what Mosquitto counts. Messages that were refused, or that expired,
// are not among them.
func (s *sample) dropped() int64 {
	return s.Dropped[broker.DropQueueFull] + s.Dropped[broker.DropBufferFull]
}

// connects counts the CONNECT packets that were accepted. It may be one too high for a moment, while a connection ends
// that never became one.
func (s *sample) connects() int64 { return s.Accepted - s.Refused - s.Probes - s.Unaccepted }
