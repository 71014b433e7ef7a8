package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// formats say how values look, by the regular expression of their topics. The first that matches holds.
var formats = []struct{ topic, value *regexp.Regexp }{
	{regexp.MustCompile(`^\$SYS/broker/version$`), regexp.MustCompile(`^[a-z]+ version [0-9A-Za-z.+-]+$`)},
	{regexp.MustCompile(`^\$SYS/broker/uptime$`), regexp.MustCompile(`^[0-9]+ seconds$`)},
	{regexp.MustCompile(`^\$SYS/broker/load/`), regexp.MustCompile(`^[0-9]+\.[0-9]{2}$`)},
	{regexp.MustCompile(``), regexp.MustCompile(`^[0-9]+$`)},
}

func format(topic string) *regexp.Regexp {
	i := slices.IndexFunc(formats, func(f struct{ topic, value *regexp.Regexp }) bool { return f.topic.MatchString(topic) })
	return formats[i].value
}

// topics returns all topics in order, by hand: who adds one adds it here and to the manual.
func topics() []string {
	names := strings.Fields(`
		version uptime
		clients/total clients/maximum clients/disconnected clients/inactive clients/connected clients/active clients/expired
		connections/socket/count packet/out/count packet/out/bytes
		messages/received messages/sent messages/stored bytes/received bytes/sent
		publish/messages/received publish/messages/sent publish/messages/dropped publish/bytes/received publish/bytes/sent
		store/messages/count store/messages/bytes subscriptions/count shared_subscriptions/count
		heap/current heap/maximum`)
	names = append(names, "retained messages/count", "heap/current size", "heap/maximum size")
	for load := range strings.FieldsSeq(`messages/received messages/sent publish/received publish/sent publish/dropped
		bytes/received bytes/sent sockets connections`) {
		for _, window := range []string{"1min", "5min", "15min"} {
			names = append(names, "load/"+load+"/"+window)
		}
	}
	names = append(names, own()...)
	for i := range names {
		names[i] = "$SYS/broker/" + names[i]
	}
	slices.Sort(names)
	return names
}

// own are topics that Mosquitto has none of.
func own() []string {
	names := []string{"faults", "subscriptions/pending"}
	for cause := range strings.FieldsSeq(`rate unaccepted timeout handshake protocol credentials busy closed`) {
		names = append(names, "connections/refused/"+cause)
	}
	for cause := range strings.FieldsSeq(`queue_full buffer_full too_large_for_the_client expired not_authorized refused payload_too_large store_full`) {
		names = append(names, "publish/messages/dropped/"+cause)
	}
	return names
}

// manualTopic finds the topics in the manual's tables; "+" there is the window of a load.
var manualTopic = regexp.MustCompile("`(\\$SYS/broker/[^`]+)`")

func TestManualNamesEveryTopicAndNoOther(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/sys.md")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| `$SYS/") {
			continue
		}
		for _, m := range manualTopic.FindAllStringSubmatch(line[:strings.Index(line[1:], "|")+1], -1) {
			if load, found := strings.CutSuffix(m[1], "/+"); found {
				named = append(named, load+"/1min", load+"/5min", load+"/15min")
			} else {
				named = append(named, m[1])
			}
		}
	}
	slices.Sort(named)
	if want := topics(); !slices.Equal(named, want) {
		t.Errorf("the manual has:\n%s\nthe broker:\n%s", strings.Join(named, "\n"), strings.Join(want, "\n"))
	}
}
