package clients_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
)

// needMosquitto returns Debian's broker, and skips or fails the test where it or its clients are missing.
func needMosquitto(t *testing.T) (broker string) {
	t.Helper()
	testenv.Program(t, "mosquitto_sub", "mosquitto-clients")
	return testenv.Program(t, "mosquitto", "mosquitto")
}

// startMosquitto runs Debian's broker and returns its port.
func startMosquitto(t *testing.T, program string) string {
	t.Helper()
	port := strconv.Itoa(testenv.FreePort(t))
	testenv.Mosquitto(t, program, "listener "+port+" 127.0.0.1", "allow_anonymous true")
	return port
}

// outcome is what a program printed, and its status.
type outcome struct {
	status      int
	out, errors string
}

func (o outcome) String() string {
	return fmt.Sprintf("status %d, stdout %q, stderr %q", o.status, o.out, o.errors)
}

// changing is what may differ between two runs of the same command.
var changing = regexp.MustCompile(`"tst":(\t?)"[^"]*"|auto-[-0-9A-Fa-f]+|mosq-[A-Za-z0-9]+`)

// outcomeOf runs a program.
func outcomeOf(t *testing.T, input, program string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdout, cmd.Stderr, cmd.Stdin, cmd.WaitDelay = &out, &errs, strings.NewReader(input), time.Second
	timeout := time.AfterFunc(clitest.Deadline, func() { _ = cmd.Process.Kill() })
	err := cmd.Run()
	timeout.Stop()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", program, err)
	}
	// Debian's version prints (null) where later ones print null.
	clean := strings.ReplaceAll(changing.ReplaceAllString(out.String(), "~"), "Client (null)", "Client null")
	return outcome{cmd.ProcessState.ExitCode(), clean, errs.String()}
}

// compare runs Debian's tool and ours with the same arguments.
func compare(t *testing.T, ours, tool, input string, args ...string) {
	t.Helper()
	theirs := outcomeOf(t, input, tool, args...)
	if got := outcomeOf(t, input, filepath.Join(ours, tool), args...); got != theirs {
		t.Errorf("%s %q:\nours   %v\ntheirs %v", tool, args, got, theirs)
	}
}

// onBothBrokers runs a test against Unio and against Debian's mosquitto.
func onBothBrokers(t *testing.T, test func(t *testing.T, port, ours string)) {
	t.Helper()
	t.Parallel()
	mosquitto := needMosquitto(t)
	ours := clitest.Links(t)
	t.Run("unio", func(t *testing.T) {
		t.Parallel()
		test(t, clitest.StartBroker(t), ours)
	})
	t.Run("mosquitto", func(t *testing.T) {
		t.Parallel()
		test(t, startMosquitto(t, mosquitto), ours)
	})
}

// TestSubPrintsWhatDebiansPrints compares outputs for the same retained messages.
func TestSubPrintsWhatDebiansPrints(t *testing.T) {
	onBothBrokers(t, func(t *testing.T, port, ours string) {
		for i, m := range []string{"hello \"w\"", `{"a":1.50,"b":[1,2.0,true,[],{"c":{}}],"n":null,"e":1e3,"u":"\u00e9\/","big":123456789012}`, "\xff\x01\té"} {
			clitest.ExpectRun(t, 0, "", "", "pub", "-p", port, "-t", "d/"+strconv.Itoa(i), "-m", m, "-r", "-q", strconv.Itoa(i%3))
		}
		clitest.ExpectRun(t, 0, "", "", "pub", "-p", port, "-t", "v5", "-m", "with", "-r", "-q", "1", "-D", "publish", "content-type", "text/plain",
			"-D", "publish", "user-property", "k", "1", "-D", "publish", "user-property", "k2", "2")
		for _, args := range []string{
			"-t d/#", "-t d/# -v", "-t d/# -v -N", "-t d/# -T d/1 -v -C 2", "-t d/# -F %j", "-t d/# -F %J", "-t d/# --pretty -F %j",
			"-t d/# --pretty -F %J", "-t d/# -q 2 -F %A|%C|%D|%E|%F|%l|%m|%p|%P|%q|%R|%r|%S|%t|%x|%X|%%",
			"-t d/# -F %20A|%20C|%20E|%20F|%20l|%20m|%20p|%20R|%20S|%20t|%20x|%20X|",
			"-t d/# -F %-9t|%09l|%-09l|%.2t|%5.1t|%09x|%-9p|%09p|%09m|", `-t d/# -F \\|\a|\e|\n|\r|\t|\v|\0|@@|@Y|@B`,
			"-t d/0 -t d/1 -t d/2 -d -i me", "-t d/# -d -V 31 -i me", "-t d/# -q 0 -d -V 5 --retain-as-published -i me", "-t d/# -d",
			"-t v5 -C 1 -V 5 -F %C|%P|%5C|%-12C|%012C|%.4C|%20P|", "-t v5 -C 1 -V 5 -F %j", "-t v5 -C 1 -V 5 --pretty -F %j",
			"-t v5 -C 1 -D subscribe subscription-identifier 7 -F %S|%9S|%09S|%-9S|%.1S|",
		} {
			if !strings.Contains(args, "-C") {
				args += " -C 3"
			}
			compare(t, ours, "mosquitto_sub", "", append([]string{"-p", port, "-W", "9"}, strings.Fields(args)...)...)
		}
		compare(t, ours, "mosquitto_sub", "", "-p", port, "-t", "d/#", "-R", "-W", "1", "-d")
	})
}

// TestPubSendsWhatDebiansSends lets Debian's pub and ours publish, and compares what
// arrives and what they print.
func TestPubSendsWhatDebiansSends(t *testing.T) {
	onBothBrokers(t, func(t *testing.T, port, ours string) {
		const input = "one\n\nthree\nfour"
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(input), 0o600); err != nil {
			t.Fatal(err)
		}
		for i, c := range []struct {
			messages int
			args     string
		}{
			{1, "-m x"},
			{1, "-m x -q 1 -V 31"},
			{1, "-m x -q 2 -d -i me"},
			{1, "-n -q 1 -d -V 5 -i me"},
			{1, "-q 1 -f " + path},
			{1, "-s -q 1"},
			{4, "-l"},
			{4, "-l -q 2 -M 1 -d -i me"},
			{3, "-m x --repeat 3 -q 2 -d -i me"},
			{2, "-m x --repeat 2 --repeat-delay 0.05"},
			{1, "-m x -D publish content-type c -D publish response-topic r -D publish correlation-data d " +
				"-D publish payload-format-indicator 1 -D publish message-expiry-interval 9999 -D publish user-property a b"},
		} {
			topic := fmt.Sprintf("p/%d", i)
			sub := clitest.InBackground(t, "sub", "-p", port, "-V", "5", "-t", topic, "-q", "2", "-d", "-F", "%t|%q|%r|%l|%x|%C|%D|%F|%P|%R",
				"-C", strconv.Itoa(2*c.messages))
			sub.WaitFor("Subscribed")
			compare(t, ours, "mosquitto_pub", input, append([]string{"-p", port, "-t", topic}, strings.Fields(c.args)...)...)
			status, out, errs := sub.Result()
			if status != 0 || errs != "" {
				t.Fatalf("%s: sub ended with %d, %q", c.args, status, errs)
			}
			if theirs, got := out[:len(out)/2], out[len(out)/2:]; got != theirs {
				t.Errorf("%s:\nours   %q\ntheirs %q", c.args, got, theirs)
			}
		}
	})
}

// TestErrorsAreDebians compares what goes wrong before anything is sent, and what the
// broker refuses.
func TestErrorsAreDebians(t *testing.T) {
	needMosquitto(t)
	t.Parallel()
	ours := clitest.Links(t)
	refusing := strconv.Itoa(testenv.FreePort(t))
	clitest.Run(t, "-c", clitest.File(t, "listener "+refusing+" 127.0.0.1", "allow_anonymous false")).Await("running$")
	for _, args := range []string{
		"pub -p 1 -t a -m x", "sub -p 1 -t a -d", "rr -p 1 -t a -e b -m x", "sub", "rr", "pub -t", "pub -D", "pub -m a b",
		"sub -t #/", "sub -t a -q 3", "sub -t a -C x", "sub -t a -W 0", "sub -t a -F %y", "sub -t a -L x://y", "sub -t a -L mqtt://h",
		"pub -t a -m b --will-payload x", "pub -t a -m b --cert x", "pub -t a -m b --cafile /nonexistent", "pub -t a -m b -D publish topic-alias 0",
		"pub -t a -m b -c", "pub -t a -m b -P x -p 1", "pub -t a -m b -D will x y", "sub -t a --unix /nonexistent",
		"pub -t a -m b -p P", "pub -t a -m b -p P -V 5 -d -i me", "pub -t a -m b -p P -V 31 -i me --quiet", "sub -t a -p P -d -i me", "sub -t a -p P -V 5",
		"rr -t a -e b -m c -p P",
	} {
		words := strings.Fields(args)
		if i := slices.Index(words, "P"); i >= 0 {
			words[i] = refusing
		}
		compare(t, ours, "mosquitto_"+words[0], "", words[1:]...)
	}
}

// TestRequestsOfDebiansAndOursAreTheSame answers both rr.
func TestRequestsOfDebiansAndOursAreTheSame(t *testing.T) {
	onBothBrokers(t, func(t *testing.T, port, ours string) {
		for _, version := range []string{"5", "311"} {
			var requests, answers []string
			for _, rr := range []string{"mosquitto_rr", filepath.Join(ours, "mosquitto_rr")} {
				server := clitest.InBackground(t, "sub", "-p", port, "-V", "5", "-t", "ask", "-C", "1", "-d", "-F", "%p|%R|%C|%q")
				server.WaitFor("Subscribed")
				answered := make(chan outcome, 1)
				go func() {
					answered <- outcomeOf(t, "", rr, "-p", port, "-t", "ask", "-e", "answer", "-m", "question", "-q", "1", "-v", "-W", "9", "-V", version)
				}()
				_, request, _ := server.Result()
				clitest.ExpectRun(t, 0, "", "", "pub", "-p", port, "-t", "answer", "-m", "reply", "-q", "1")
				requests, answers = append(requests, request), append(answers, fmt.Sprint(<-answered))
			}
			if requests[0] != requests[1] || answers[0] != answers[1] {
				t.Errorf("MQTT %s:\ntheirs %q %s\nours   %q %s", version, requests[0], answers[0], requests[1], answers[1])
			}
		}
	})
}
