package clients_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
)

func TestMessagesGoFromPubToSub(t *testing.T) {
	t.Parallel()
	port := clitest.StartBroker(t)
	for _, version := range []string{"31", "311", "5"} {
		for _, qos := range []string{"0", "1", "2"} {
			topic := "t/" + version + "/" + qos
			sub := clitest.InBackground(t, "sub", "-p", port, "-V", version, "-t", topic, "-q", qos, "-C", "3", "-d", "-F", "%q %t %p")
			sub.WaitFor("Subscribed")
			clitest.ExpectRun(t, 0, "", "", "pub", "-p", port, "-V", version, "-t", topic, "-q", qos, "-m", "one")
			clitest.ExpectRun(t, 0, "", "", "pub", "-p", port, "-V", version, "-t", topic, "-q", qos, "-m", "two", "--repeat", "2", "--repeat-delay", "0.01")
			status, out, errs := sub.Result()
			want := strings.NewReplacer("Q", qos, "T", topic).Replace("Q T one\nQ T two\nQ T two\n")
			if status != 0 || out != want || errs != "" {
				t.Errorf("MQTT %s: status %d, %q, %q; want %q", version, status, out, errs, want)
			}
		}
	}
}

func TestRequestIsAnswered(t *testing.T) {
	t.Parallel()
	port := clitest.StartBroker(t)
	server := clitest.InBackground(t, "sub", "-p", port, "-V", "5", "-t", "ask", "-C", "1", "-d", "-F", "%R|%D|%p")
	server.WaitFor("Subscribed")
	client := clitest.InBackground(t, "rr", "-p", port, "-t", "ask", "-e", "answer", "-m", "question", "-v", "-W", "20",
		"-D", "publish", "correlation-data", "id")
	if status, out, errs := server.Result(); status != 0 || out != "answer|id|question\n" {
		t.Errorf("request: status %d, %q, %q", status, out, errs)
	}
	clitest.ExpectRun(t, 0, "", "", "pub", "-p", port, "-t", "answer", "-m", "reply")
	if status, out, errs := client.Result(); status != 0 || out != "answer reply\n" {
		t.Errorf("answer: status %d, %q, %q", status, out, errs)
	}
	// The answer to one's own request takes a moment, which --latency prints.
	status, out, errs := clitest.Unio("rr", "-p", port, "-t", "self", "-e", "self", "-m", "x", "--latency")
	if status != 0 || !strings.HasPrefix(out, "Latency: 0.") || !strings.HasSuffix(out, " s\nx\n") {
		t.Errorf("latency: status %d, %q, %q", status, out, errs)
	}
}

func TestRetainedMessagesArePrintedHiddenAndRemoved(t *testing.T) {
	t.Parallel()
	port := clitest.StartBroker(t)
	for _, name := range []string{"a", "b", "c"} {
		clitest.ExpectRun(t, 0, "", "", "pub", "-p", port, "-t", "r/"+name, "-m", name, "-r", "-q", "1")
	}
	clitest.ExpectRun(t, 0, "r/a a\nr/c c\n", "", "sub", "-p", port, "-t", "r/+", "-T", "r/b", "-v", "-C", "2")
	clitest.ExpectRun(t, 27, "", "Timed out\n", "sub", "-p", port, "-t", "r/+", "-R", "-W", "1")
	clitest.ExpectRun(t, 27, "", "", "sub", "-p", port, "-t", "r/+", "-R", "-W", "1", "--quiet")
	clitest.ExpectRun(t, 27, "", "Timed out\n", "sub", "-p", port, "-t", "r/+", "-V", "5", "--retain-handling", "never", "-W", "1")

	// The first message that was not retained ends it; its own removals are not retained.
	clitest.ExpectRun(t, 0, "a\nb\nc\n", "", "sub", "-p", port, "-t", "r/+", "--remove-retained", "-C", "3")
	clitest.ExpectRun(t, 27, "", "Timed out\n", "sub", "-p", port, "-t", "r/+", "-W", "1")
	only := clitest.InBackground(t, "sub", "-p", port, "-t", "r/+", "--retained-only", "-d")
	only.WaitFor("Subscribed")
	clitest.ExpectRun(t, 0, "", "", "pub", "-p", port, "-t", "r/a", "-m", "fresh")
	if status, out, errs := only.Result(); status != 0 || out != "" || errs != "" {
		t.Errorf("--retained-only: status %d, %q, %q", status, out, errs)
	}
}

func TestSessionOutlivesSub(t *testing.T) {
	t.Parallel()
	port := clitest.StartBroker(t)
	session := []string{"sub", "-p", port, "-t", "s", "-q", "1", "-c", "-i", "keeper"}
	clitest.ExpectRun(t, 0, "", "", append(session, "-E")...)
	clitest.ExpectRun(t, 0, "", "", "pub", "-p", port, "-t", "s", "-q", "1", "-m", "kept")
	clitest.ExpectRun(t, 0, "kept\n", "", append(session, "-C", "1")...)
	clitest.ExpectRun(t, 0, "", "", "sub", "-p", port, "-U", "s", "-c", "-i", "keeper", "-E")
	clitest.ExpectRun(t, 0, "", "", "pub", "-p", port, "-t", "s", "-q", "1", "-m", "unheard")
	clitest.ExpectRun(t, 27, "", "Timed out\n", "sub", "-p", port, "-t", "other", "-c", "-i", "keeper", "-W", "1")
}

func TestDebugLinesReadLikeMosquittos(t *testing.T) {
	t.Parallel()
	port := clitest.StartBroker(t)
	clitest.ExpectRun(t, 0, `Client me sending CONNECT
Client me received CONNACK (0)
Client me sending PUBLISH (d0, q2, r1, m1, 'a', ... (1 bytes))
Client me received PUBREC (Mid: 1)
Client me sending PUBREL (m1)
Client me received PUBCOMP (Mid: 1, RC:0)
Client me sending DISCONNECT
`, "", "pub", "-d", "-i", "me", "-p", port, "-t", "a", "-q", "2", "-r", "-m", "x")
	clitest.ExpectRun(t, 0, `Client me sending CONNECT
Client me received CONNACK (0)
Client me sending SUBSCRIBE (Mid: 1, Topic: a, QoS: 1, Options: 0x08)
Client me sending SUBSCRIBE (Mid: 1, Topic: b, QoS: 1, Options: 0x08)
Client me received SUBACK
Subscribed (mid: 1): 1, 1
Client me received PUBLISH (d0, q1, r1, m1, 'a', ... (1 bytes))
x
Client me sending PUBACK (m1, rc0)
Client me sending DISCONNECT
`, "", "sub", "-d", "-i", "me", "-p", port, "-t", "a", "-t", "b", "-q", "1", "-C", "1", "-V", "5", "--retain-as-published")
}

func TestConnectionErrorsHaveMosquittosWordsAndStatus(t *testing.T) {
	t.Parallel()
	port := strconv.Itoa(testenv.FreePort(t))
	clitest.Run(t, "-c", clitest.File(t, "listener "+port+" 127.0.0.1", "allow_anonymous true", "max_qos 1")).Await("running$")
	clitest.ExpectRun(t, 0, "", "Error: Message QoS not supported on broker, try a lower QoS.\n",
		"pub", "-p", port, "-V", "5", "-t", "a", "-m", "x", "-q", "2")

	nobody := strconv.Itoa(testenv.FreePort(t))
	for _, args := range [][]string{
		{"pub", "-p", nobody, "-t", "a", "-m", "x"},
		{"sub", "-p", nobody, "-t", "a"},
		{"rr", "-p", nobody, "-t", "a", "-e", "b", "-m", "x"},
	} {
		clitest.ExpectRun(t, 1, "", "Error: Connection refused\n", args...)
		clitest.ExpectRun(t, 1, "", "", append(args, "--quiet")...)
	}
	absent := filepath.Join(t.TempDir(), "absent")
	clitest.ExpectRun(t, 1, "", "Error: No such file or directory\n", "pub", "--unix", absent, "-t", "a", "-m", "x")
	clitest.ExpectRun(t, 1, "", "Unable to connect (Lookup error.).\n", "pub", "-h", "nobody.invalid", "-t", "a", "-m", "x")

	refusing := strconv.Itoa(testenv.FreePort(t))
	clitest.Run(t, "-c", clitest.File(t, "listener "+refusing+" 127.0.0.1", "allow_anonymous false")).Await("running$")
	const old = "Connection error: Connection Refused: not authorised.\n"
	const v5 = "Connection error: Not authorized\n"
	clitest.ExpectRun(t, 5, "", old+"Error: The connection was refused.\n", "pub", "-p", refusing, "-t", "a", "-m", "x")
	clitest.ExpectRun(t, 5, "", old, "sub", "-p", refusing, "-t", "a")
	clitest.ExpectRun(t, 135, "", v5, "sub", "-p", refusing, "-t", "a", "-V", "5")
	clitest.ExpectRun(t, 135, "", v5, "rr", "-p", refusing, "-t", "a", "-e", "b", "-m", "x")
}

func TestUsageErrorsAreMosquittos(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string // with blanks between
		want string // one line; those that Mosquitto follows with more empty lines have a + in front
	}{
		{"pub -t", "+Error: -t argument given but no topic specified."},
		{"pub -m", "+Error: -m argument given but no message specified."},
		{"pub -z", "Error: Unknown option '-z'."},
		{"pub --zz", "Error: Unknown option '--zz'."},
		{"pub -t a -m x extra", "Error: Unknown option 'extra'."},
		{"pub -t a/+ -m x", "Error: Invalid publish topic 'a/+', does it contain '+' or '#'?"},
		{"pub -t a -m x -n", "+Error: Only one type of message can be sent at once."},
		{"pub -t a -m x -q 3", "Error: Invalid QoS given: 3"},
		{"pub -t a -m x -k 4", "+Error: Invalid keepalive given, it must be between 5 and 65535 inclusive."},
		{"pub -t a -m x -V 6", "+Error: Invalid protocol version argument given."},
		{"pub -t a -m x -p 70000", "Error: Invalid port given: 70000"},
		{"pub -t a -m x -c", "Error: You must provide a client id if you are using the -c option."},
		{"pub -t a -m x -i a -I b", "+Error: -i and -I argument cannot be used together."},
		{"pub -t a -m x -x 5000000000", "+Error: session-expiry-interval out of range."},
		{"pub -t a -m x -x y", "+Error: session-expiry-interval not a number."},
		{"pub -t a -m x -M 0", "+Error: Maximum inflight messages must be greater than 0."},
		{"pub -t a -m x --repeat 0", "+Error: --repeat argument must be >0."},
		{"pub -t a -m x --will-retain", "Error: Will retain given, but no will topic given."},
		{"pub -t a -m x -D publish", "+Error: --property argument given but not enough arguments specified."},
		{"pub -t a -m x -D no such thing", "+Error: Invalid command given in --property argument."},
		{"pub -t a -m x -D publish no thing", "+Error: Invalid property name given in --property argument."},
		{"pub -t a -m x -D connect topic-alias 1", "+Error: topic-alias property not allowed for connect in --property argument."},
		{"pub -t a -m x -D puback user-property 1 2", "+Error: user-property property not supported for puback in --property argument."},
		{"pub -t a -m x -D connect receive-maximum 65536", "+Error: Property value (65536) out of range for property receive-maximum."},
		{"pub -t a -m x -D publish topic-alias 0", "Error in PUBLISH properties: A network protocol error occurred when communicating with the broker."},
		{"rr -t a -m x", "Error: All of topic, message, and response topic must be supplied."},
		{"sub", "Error: You must specify a topic to subscribe to."},
		{"sub -t a/b+", "Error: Invalid subscription topic 'a/b+', are all '+' and '#' wildcards correct?"},
		{"sub -t a -C 0", "+Error: Invalid message count \"0\"."},
		{"sub -t a -W x", "+Error: Invalid timeout \"0\"."},
		{"sub -t a -F %y", "Error: Invalid format specifier 'y'."},
		{"sub -t a --random-filter 101", "+Error: --random-filter chance must be between 0.1-100.0"},
		{"sub -L http://h/t", "+Error: unsupported URL scheme."},
		{"sub -L mqtt://h", "Error: Invalid URL for -L argument specified - topic missing."},
		{"sub -t a -S", "Error: -S, the lookup of SRV records, is not supported. Give the host with -h."},
		{"sub -t a --ws", "Error: --ws is not supported."},
		{"sub -t a --proxy socks5h://h", "Error: --proxy is not supported."},
		{"sub -t a --retain-handling now", "+Error: Unknown value 'now' for --retain-handling, it must be always, new or never."},
		{"sub -t a --cert x", "Error: Both certfile and keyfile must be provided if one of them is set."},
		{"sub -t a --psk 00", "Error: --psk-identity required if --psk used."},
	} {
		args := strings.Fields(c.args)
		text, more := strings.CutPrefix(c.want, "+")
		if text += "\n"; more {
			text += "\n"
		}
		clitest.ExpectRun(t, 1, "", text+fmt.Sprintf("\nUse 'unio %s --help' to see usage.\n", args[0]), args...)
		args[0] = "mosquitto_" + args[0]
		clitest.ExpectRun(t, 1, "", text+fmt.Sprintf("\nUse '%s --help' to see usage.\n", args[0]), args...)
	}
	long := strings.Repeat("x", 65536)
	for what, args := range map[string][]string{
		"client id": {"-i", long}, "user name": {"-u", long}, "password": {"-u", "u", "-P", long},
		"will payload": {"--will-topic", "t", "--will-payload", long},
	} {
		want := "Error: Invalid " + what + ", it has 65536 bytes and may have 65535.\n\nUse 'unio pub --help' to see usage.\n"
		clitest.ExpectRun(t, 1, "", want, append([]string{"pub", "-p", "1", "-t", "a", "-m", "x"}, args...)...)
	}
	clitest.ExpectRun(t, 1, "", "Error: TLS with a pre-shared key (--psk) is not supported yet.\n", strings.Fields("sub -t a --psk 00 --psk-identity i")...)
	clitest.ExpectRun(t, 1, "", "\nError: Combining '-R' and '--retained-only' makes no sense.\n", strings.Fields("sub -t a -R --retained-only")...)
	status, out, errs := clitest.Unio("pub", "-t", "a")
	if status != 1 || !strings.HasPrefix(out, "unio pub publishes") || errs != "Error: Both topic and message must be supplied.\n" {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}

func TestHelpNamesEveryOption(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "tools.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pub", "sub", "rr"} {
		status, out, _ := clitest.Unio(name, "--help")
		if status != 0 {
			t.Errorf("%s --help: status %d", name, status)
		}
		if _, viaHelp, _ := clitest.Unio("help", name); viaHelp != out {
			t.Errorf("help %s prints %q", name, viaHelp)
		}
		for line := range strings.Lines(out) {
			for word := range strings.FieldsSeq(line) {
				if option := strings.TrimSuffix(word, ","); strings.HasPrefix(line, "  ") && strings.HasPrefix(option, "--") &&
					!bytes.Contains(manual, []byte("`"+option)) && !bytes.Contains(manual, []byte(", "+option)) {
					t.Errorf("docs/tools.md does not know %s of %s", option, name)
				}
			}
		}
		// As Mosquitto's tool it ends like that.
		if status, _, _ := clitest.Unio("mosquitto_"+name, "--help"); status != 1 {
			t.Errorf("mosquitto_%s --help: status %d", name, status)
		}
		clitest.ExpectRun(t, 0, "unio "+name+" version 1.2.3-test\n", "", name, "--version")
		clitest.ExpectRun(t, 1, "mosquitto_"+name+" version 1.2.3-test\n", "", "mosquitto_"+name, "--version")
	}
}

func TestOptionsComeFromAFileToo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	port := clitest.StartBroker(t)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("mosquitto_pub", "# comment\n\n-p "+port+"\n-t from file\n-r\n-D publish user-property k v w\n-D publish content-type c\n")
	clitest.ExpectRun(t, 0, "", "", "pub", "-m", "x", "-q", "1")
	clitest.ExpectRun(t, 0, "", "", "pub", "-m", "y", "-q", "1", "-t", "from arguments") // which come later
	clitest.ExpectRun(t, 0, "from arguments|y|k:v w|c\n", "", "sub", "-p", port, "-t", "from arguments", "-C", "1", "-F", "%t|%p|%P|%C", "-V", "5")
	other := write("other", "-p "+port+"\r\n-v\r\n")
	clitest.ExpectRun(t, 0, "from file x\n", "", "sub", "-o", other, "-t", "from file", "-C", "1")
	write("mosquitto_sub", "-p 1\n")
	clitest.ExpectRun(t, 0, "from file x\n", "", "sub", "-t", "from file", "-C", "1", "-o", other)
	clitest.ExpectRun(t, 1, "", "Error: Unable to open config file \"/nonexistent\".\n", "sub", "-o", "/nonexistent", "-t", "a")
	write("mosquitto_rr", "nonsense\n")
	clitest.ExpectRun(t, 1, "", "Error: Unknown option 'nonsense'.\n\nUse 'unio rr --help' to see usage.\n", "rr", "-t", "a", "-e", "b", "-m", "x")
	// An option's argument is no option, whatever it looks like.
	clitest.ExpectRun(t, 0, "", "", "pub", "-m", "-D", "-q", "1", "-t", "dash")
	clitest.ExpectRun(t, 0, "-D\n", "", "sub", "-o", other, "-t", "dash", "-C", "1", "-F", "%p")
}

func TestURLGivesEverything(t *testing.T) {
	t.Parallel()
	port := clitest.StartBroker(t)
	clitest.ExpectRun(t, 0, "", "", "pub", "-L", "mqtt://user:pass@127.0.0.1:"+port+"/u/r%2fl", "-m", "x", "-r", "-q", "1")
	clitest.ExpectRun(t, 0, "u/r%2fl x\n", "", "sub", "-L", "mqtt://127.0.0.1:"+port+"/u/#", "-v", "-C", "1")
	clitest.ExpectRun(t, 1, "", "Error: Invalid port given: 0\n\nUse 'unio pub --help' to see usage.\n", "pub", "-L", "mqtt://h:0/t", "-m", "x")
}

func TestPayloadComesFromFilesAndLines(t *testing.T) {
	t.Parallel()
	port := clitest.StartBroker(t)
	input := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(input, []byte("one\n\nthree"), 0o600); err != nil {
		t.Fatal(err)
	}
	sub := clitest.InBackground(t, "sub", "-p", port, "-t", "p/#", "-q", "1", "-C", "6", "-d", "-F", "%t %l %x")
	sub.WaitFor("Subscribed")
	clitest.ExpectRun(t, 0, "", "", "pub", "-p", port, "-t", "p/file", "-q", "1", "-f", input)
	for _, flag := range []string{"-s", "-l"} {
		p := clitest.Command(t, input, "pub", "-p", port, "-t", "p/"+flag, "-q", "1", flag)
		if err := p.Run(); err != nil {
			t.Errorf("%s: %v", flag, err)
		}
	}
	clitest.ExpectRun(t, 0, "", "", "pub", "-p", port, "-t", "p/null", "-q", "1", "-n")
	status, out, errs := sub.Result()
	want := "p/file 10 6f6e650a0a7468726565\np/-s 10 6f6e650a0a7468726565\np/-l 3 6f6e65\np/-l 0 \np/-l 5 7468726565\np/null 0 \n"
	if status != 0 || out != want || errs != "" {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	clitest.ExpectRun(t, 1, "", "Error: Unable to open file \"/nonexistent\".\nError loading input file \"/nonexistent\".\n",
		"pub", "-p", port, "-t", "a", "-f", "/nonexistent")
}

func TestSubConnectsAgain(t *testing.T) {
	t.Parallel()
	port := strconv.Itoa(testenv.FreePort(t))
	first := clitest.Run(t, "-p", port)
	first.Await("running$")
	sub := clitest.InBackground(t, "sub", "-p", port, "-t", "again", "-C", "1", "-d", "-i", "s")
	sub.WaitFor("Subscribed (mid: 1)")
	first.Signal(syscall.SIGTERM)
	if status := first.Status(); status != 0 {
		t.Fatalf("the broker ended with %d", status)
	}
	clitest.Run(t, "-p", port).Await("running$")
	sub.WaitFor("Subscribed (mid: 2)")
	clitest.ExpectRun(t, 0, "", "", "pub", "-p", port, "-t", "again", "-m", "x")
	if status, out, errs := sub.Result(); status != 0 || out != "x\n" || errs != "" {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}
