package cli_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/cli"
	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/testenv"
)

// unioTest runs "unio test" with the arguments and returns what it printed.
func unioTest(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = cli.Main("1.2.3-test", append([]string{"test"}, args...), &out, &errs)
	return status, out.String(), errs.String()
}

// scriptFile writes a script into a folder of the test's.
func scriptFile(t *testing.T, folder, name, src string) string {
	t.Helper()
	file := filepath.Join(folder, name)
	if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTestReportsScriptsPerVersion(t *testing.T) {
	t.Parallel()
	port := testenv.FreePort(t)
	p := clitest.Run(t, "-p", strconv.Itoa(port))
	p.Await("running$")
	broker := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	dir := t.TempDir()
	good := scriptFile(t, dir, "good.mqtt", "a > CONNECT id=a\na < CONNACK ...\na > PINGREQ\na < PINGRESP\n")
	scriptFile(t, dir, "skipped.mqtt", "broker kill\n")

	status, out, errs := unioTest("--broker", broker, "-v", dir)
	if status != exit.OK || errs != "" {
		t.Errorf("status %d, stderr %s", status, errs)
	}
	for _, want := range []string{
		"ok   " + good + " (MQTT 3.1)\n", "ok   " + good + " (MQTT 5)\n",
		"skipped.mqtt (MQTT 3.1.1): needs a broker under control (broker kill)\n",
		"MQTT 3.1      1 ok, 0 failed, 1 skipped\n", "MQTT 5        1 ok, 0 failed, 1 skipped\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}

	scriptFile(t, dir, "bad.mqtt", "a > CONNECT id=a\na < CONNACK rc=5 ...\n")
	report := filepath.Join(dir, "report.xml")
	status, out, errs = unioTest("--broker", broker, "--version", "3.1.1", "--junit", report, dir)
	if status != exit.Failure || !strings.Contains(errs, "1 script failed") {
		t.Errorf("status %d, stderr %s", status, errs)
	}
	if !strings.Contains(out, "a < CONNACK session=0 rc=0") || strings.Contains(out, "ok   "+good) || strings.Contains(out, "MQTT 5") {
		t.Errorf("report:\n%s", out)
	}
	xml, err := os.ReadFile(report)
	if err != nil || !bytes.Contains(xml, []byte(`tests="3" failures="1" skipped="1"`)) {
		t.Errorf("JUnit report %s, %v", xml, err)
	}
}

func TestTestStatusOfWrongUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mistake := scriptFile(t, dir, "mistake.mqtt", "\nnonsense\n")
	good := scriptFile(t, dir, "good.mqtt", "# nothing\n")
	nobody := net.JoinHostPort("127.0.0.1", strconv.Itoa(testenv.FreePort(t)))
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{good}, 2, "--broker HOST:PORT is missing"},
		{[]string{"--broker", nobody, mistake}, 2, "mistake.mqtt:2: "},
		{[]string{"--broker", nobody, filepath.Join(dir, "absent")}, 2, "absent"},
		{[]string{"--broker", nobody, "--version", "4", good}, 2, "unknown version"},
		{[]string{"--broker", nobody, "--frobnicate", good}, 2, "unknown flag"},
		{[]string{"--broker", nobody, good}, 1, "reach the broker"},
	} {
		status, _, errs := unioTest(c.args...)
		if status != c.status || !strings.Contains(errs, c.want) {
			t.Errorf("%v: status %d, stderr %s; want %d, %q", c.args, status, errs, c.status, c.want)
		}
	}
}

func TestTestWithoutPathNeedsTestdata(t *testing.T) {
	t.Chdir(t.TempDir())
	status, _, errs := unioTest("--broker", "127.0.0.1")
	if status != 2 || !strings.Contains(errs, "which scripts?") {
		t.Errorf("status %d, stderr %s", status, errs)
	}
}
