//go:build unix

package doors

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/uniomq/unio/internal/testenv"
)

func needMosquitto(t *testing.T) {
	t.Helper()
	testenv.Program(t, "mosquitto_pub", "mosquitto-clients")
}

var serial atomic.Uint32

// unique returns a name that no other test has.
func unique(kind string) string { return fmt.Sprintf("%s-%d", kind, serial.Add(1)) }

// outcome is how a program ended.
type outcome struct {
	status int
	output string // both
}

// run runs a program to its end.
func run(t *testing.T, input, name string, args ...string) outcome {
	t.Helper()
	return runWith(t, nil, input, name, args...)
}

// runWith is run with more in the environment.
func runWith(t *testing.T, env []string, input, name string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Env = strings.NewReader(input), append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("%s %q: %v, %v\n%s", name, args, err, ctx.Err(), out)
	}
	return outcome{cmd.ProcessState.ExitCode(), string(out)}
}

// process is a program whose output is read line by line.
type process struct{ *testenv.Process }

// start runs a program whose standard output and error are read together; the test's end kills what
// still runs.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	return startWith(t, nil, name, args...)
}

// startWith is start with more in the environment.
func startWith(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	return &process{testenv.Talk(t, cmd)}
}

// await returns the next line that contains a text; those before are passed over.
func (p *process) await(text string) string { return p.Next(regexp.QuoteMeta(text)) }

// end waits for the end of the program and returns what it said since the last await.
func (p *process) end() outcome { return outcome{p.Status(), p.Rest()} }

// tool are mosquitto_pub and mosquitto_sub with what all their calls have in common.
type tool struct {
	t    *testing.T
	args []string
	env  []string
}

// mosquitto returns the tools for a port of 127.0.0.1.
func mosquitto(t *testing.T, port int, args ...string) tool {
	t.Helper()
	needMosquitto(t)
	return tool{t: t, args: append([]string{"-h", "127.0.0.1", "-p", fmt.Sprint(port)}, args...)}
}

// with returns the tools with more arguments.
func (c tool) with(args ...string) tool {
	return tool{c.t, append(append([]string(nil), c.args...), args...), c.env}
}

// atMost returns the tools with a highest version of TLS, by OpenSSL's configuration: --tls-version names the lowest.
func (c tool) atMost(version string) tool {
	c.t.Helper()
	conf := "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMaxProtocol = TLSv" + strings.TrimPrefix(version, "tlsv") + "\n"
	return tool{c.t, c.args, append(c.env, "OPENSSL_CONF="+writeFile(c.t, filepath.Join(c.t.TempDir(), "openssl.cnf"), []byte(conf)))}
}

// publish publishes one message at QoS 1.
func (c tool) publish(topic, payload string) outcome {
	c.t.Helper()
	return runWith(c.t, c.env, "", "mosquitto_pub", append([]string{"-q", "1", "-t", topic, "-m", payload}, c.args...)...)
}

// subscribe starts mosquitto_sub and waits for its SUBACK. Messages are lines "TOPIC PAYLOAD".
func (c tool) subscribe(filter string) *process {
	c.t.Helper()
	p := startWith(c.t, c.env, "stdbuf", append([]string{"-oL", "mosquitto_sub", "-d", "-q", "1", "-t", filter, "-F", "MSG %t %p"}, c.args...)...)
	p.await("Subscribed")
	return p
}

// roundTrip checks that what is published comes back.
func (c tool) roundTrip() {
	c.t.Helper()
	topic := unique("trip")
	sub := c.subscribe(topic)
	if o := c.publish(topic, "hello"); o.status != 0 {
		c.t.Errorf("mosquitto_pub %q: status %d, %s", c.args, o.status, o.output)
		return
	}
	if got := sub.await("MSG "); got != "MSG "+topic+" hello" {
		c.t.Errorf("%q", got)
	}
	sub.Kill()
}
