package interop

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/uniomq/unio/internal/testenv"
)

// mosquittoFormat marks the lines of messages among the debugging output: retained, QoS, topic, payload.
const mosquittoFormat = "MSG %r %q %t %p"

// mosquittoVersions are the protocol versions that the tools speak, by the names that they give them.
var mosquittoVersions = []string{"mqttv31", "mqttv311", "mqttv5"}

func needMosquitto(t *testing.T) {
	t.Helper()
	testenv.Program(t, "mosquitto_sub", "mosquitto-clients")
	testenv.Program(t, "stdbuf", "coreutils")
}

// forMosquittoVersions runs a test for each protocol version, side by side.
func forMosquittoVersions(t *testing.T, test func(t *testing.T, version string)) {
	t.Parallel()
	needMosquitto(t)
	for _, v := range mosquittoVersions {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			test(t, v)
		})
	}
}

func mosquittoArgs(t *testing.T, version string, args []string) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(brokerAddr)
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"-h", host, "-p", port, "-V", version}, args...)
}

// mosquittoSub starts mosquitto_sub, which prints messages in mosquittoFormat and its debugging lines.
func mosquittoSub(t *testing.T, version string, args ...string) *process {
	t.Helper()
	all := []string{"-oL", "mosquitto_sub", "-d", "-F", mosquittoFormat}
	return start(t, "stdbuf", append(all, mosquittoArgs(t, version, args)...)...)
}

// subscribed starts mosquitto_sub and waits for its SUBACK.
func subscribed(t *testing.T, version string, args ...string) *process {
	t.Helper()
	p := mosquittoSub(t, version, args...)
	p.await("Subscribed")
	return p
}

// mosquittoPub publishes each line of input, or what args say, and waits for the acknowledgements.
func mosquittoPub(t *testing.T, version, input string, args ...string) {
	t.Helper()
	run(t, input, "mosquitto_pub", mosquittoArgs(t, version, args)...)
}

func expectMessage(t *testing.T, p *process, want string) {
	t.Helper()
	if got := p.await("MSG "); got != want {
		t.Fatalf("message %q, want %q", got, want)
	}
}

// numbered returns n lines, "m 1" to "m n".
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "m %d\n", i+1)
	}
	return b.String()
}

func TestMosquittoDeliversEveryQoSInOrder(t *testing.T) {
	forMosquittoVersions(t, func(t *testing.T, version string) {
		const messages = 50
		for qos := range 3 {
			topic, level := unique("qos"), fmt.Sprint(qos)
			sub := subscribed(t, version, "-t", topic, "-q", level, "-C", fmt.Sprint(messages))
			mosquittoPub(t, version, numbered(messages), "-t", topic, "-q", level, "-l")
			for i := range messages {
				expectMessage(t, sub, fmt.Sprintf("0 %d %s m %d", qos, topic, i+1))
			}
			sub.wait()
		}
	})
}

func TestMosquittoGetsTheLowerQoSOfPublishedAndGranted(t *testing.T) {
	forMosquittoVersions(t, func(t *testing.T, version string) {
		topic := unique("down")
		sub := subscribed(t, version, "-t", topic, "-q", "1")
		mosquittoPub(t, version, "", "-t", topic, "-q", "2", "-m", "two")
		mosquittoPub(t, version, "", "-t", topic, "-q", "0", "-m", "zero")
		expectMessage(t, sub, "0 1 "+topic+" two")
		expectMessage(t, sub, "0 0 "+topic+" zero")
	})
}

func TestMosquittoRetainedMessageComesAndIsCleared(t *testing.T) {
	forMosquittoVersions(t, func(t *testing.T, version string) {
		topic := unique("retained")
		mosquittoPub(t, version, "", "-t", topic+"/a", "-q", "1", "-r", "-m", "old")
		mosquittoPub(t, version, "", "-t", topic+"/a", "-q", "1", "-r", "-m", "kept")
		expectMessage(t, subscribed(t, version, "-t", topic+"/+", "-q", "1"), "1 1 "+topic+"/a kept")

		mosquittoPub(t, version, "", "-t", topic+"/a", "-q", "1", "-r", "-n")
		mosquittoPub(t, version, "", "-t", topic+"/b", "-q", "1", "-r", "-m", "other")
		expectMessage(t, subscribed(t, version, "-t", topic+"/+", "-q", "1"), "1 1 "+topic+"/b other")
		mosquittoPub(t, version, "", "-t", topic+"/b", "-q", "1", "-r", "-n")
	})
}

func TestMosquittoWillOfAKilledClientIsPublished(t *testing.T) {
	forMosquittoVersions(t, func(t *testing.T, version string) {
		topic := unique("will")
		watcher := subscribed(t, version, "-t", topic, "-q", "1")
		will := []string{"-t", unique("other"), "--will-topic", topic, "--will-qos", "1"}

		subscribed(t, version, append(will, "--will-payload", "died")...).Kill()
		expectMessage(t, watcher, "0 1 "+topic+" died")

		leaving := subscribed(t, version, append(will, "--will-payload", "left")...)
		leaving.Signal(syscall.SIGTERM)
		leaving.wait()
		if version == "mqttv5" { // it sends DISCONNECT 0x04, which asks for the will; before 5.0 DISCONNECT discards it
			expectMessage(t, watcher, "0 1 "+topic+" left")
		}
		mosquittoPub(t, version, "", "-t", topic, "-q", "1", "-m", "after")
		expectMessage(t, watcher, "0 1 "+topic+" after")
	})
}

func TestMosquittoPersistentSessionKeepsMessages(t *testing.T) {
	forMosquittoVersions(t, func(t *testing.T, version string) {
		const messages = 20
		topic, client := unique("session"), unique("client")
		session := []string{"-c", "-i", client, "-t", topic, "-q", "2"}
		first := subscribed(t, version, append(session, "-E")...)
		first.wait()
		for qos := 1; qos <= 2; qos++ {
			mosquittoPub(t, version, numbered(messages), "-t", topic, "-q", fmt.Sprint(qos), "-l")
		}
		again := mosquittoSub(t, version, append(session, "-C", fmt.Sprint(2*messages))...)
		for qos := 1; qos <= 2; qos++ {
			for i := range messages {
				expectMessage(t, again, fmt.Sprintf("0 %d %s m %d", qos, topic, i+1))
			}
		}
		again.wait()
		run(t, "", "mosquitto_sub", mosquittoArgs(t, version, []string{"-i", client, "-t", topic, "-E"})...)
	})
}

func TestMosquittoSharedSubscriptionSplitsMessages(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	for _, version := range []string{"mqttv311", "mqttv5"} {
		topic := unique("shared")
		filter := "$share/" + unique("group") + "/" + topic
		const each = 10
		one := subscribed(t, version, "-t", filter, "-q", "1", "-C", fmt.Sprint(each))
		two := subscribed(t, version, "-t", filter, "-q", "1", "-C", fmt.Sprint(each))
		mosquittoPub(t, version, numbered(2*each), "-t", topic, "-q", "1", "-l")
		seen := map[string]bool{}
		for range each {
			seen[one.await("MSG ")] = true
			seen[two.await("MSG ")] = true
		}
		if len(seen) != 2*each {
			t.Errorf("%s: %d different messages, want %d", version, len(seen), 2*each)
		}
		one.wait()
		two.wait()
	}
}

func TestMosquittoPropertiesArriveUnchanged(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	topic := unique("properties")
	// format indicator, content type, response topic, correlation data, user properties, subscription id, expiry
	const format = "MSG %F|%C|%R|%D|%P|%S|%E|%p"
	args := []string{"-oL", "mosquitto_sub", "-d", "-F", format}
	args = append(args, mosquittoArgs(t, "mqttv5", []string{
		"-t", topic, "-q", "1", "-D", "subscribe", "subscription-identifier", "42",
	})...)
	sub := start(t, "stdbuf", args...)
	sub.await("Subscribed")
	mosquittoPub(t, "mqttv5", "", "-t", topic, "-q", "1", "-m", "body",
		"-D", "publish", "payload-format-indicator", "1",
		"-D", "publish", "content-type", "text/plain",
		"-D", "publish", "response-topic", "answer/here",
		"-D", "publish", "correlation-data", "abc",
		"-D", "publish", "message-expiry-interval", "3600",
		"-D", "publish", "user-property", "k", "1",
		"-D", "publish", "user-property", "k", "2",
	)
	got := sub.await("MSG ")
	want := "1|text/plain|answer/here|abc|k:1 k:2|42|"
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "|body") {
		t.Fatalf("message %q, want %q, the expiry and the body", got, want)
	}
	var expiry int
	if _, err := fmt.Sscanf(strings.TrimPrefix(got, want), "%d|body", &expiry); err != nil || expiry < 3590 || expiry > 3600 {
		t.Errorf("expiry in %q, want 3590 to 3600", got)
	}
}
