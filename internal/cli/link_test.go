package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/cli"
	"github.com/uniomq/unio/internal/cli/clitest"
)

func TestNameOfTheProgramChoosesTheTool(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"/usr/bin/mosquitto_pub": {"mosquitto_pub", "-x"}, "mosquitto_sub.exe": {"mosquitto_sub", "-x"},
		"./mosquitto_rr": {"mosquitto_rr", "-x"}, "mosquitto_passwd": {"passwd", "-x"},
		"mosquitto": {"-x"}, "unio": {"-x"}, "": {"-x"},
	} {
		if got := cli.Arguments([]string{name, "-x"}); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := cli.Arguments(nil); got != nil {
		t.Errorf("without a name: %q", got)
	}
}

func TestLinksBehaveAsTheirNamesSay(t *testing.T) {
	t.Parallel()
	dir := clitest.Links(t)
	for name, want := range map[string]string{
		"mosquitto_pub": "mosquitto_pub version", "mosquitto_sub": "mosquitto_sub version",
		"mosquitto_rr": "mosquitto_rr version", "mosquitto_ctrl": "mosquitto_ctrl version", "mosquitto": "version 1.2.3-test",
	} {
		out, _ := exec.Command(filepath.Join(dir, name), "--version").CombinedOutput() // its status differs
		if !strings.Contains(string(out), want) {
			t.Errorf("%s --version prints %q", name, out)
		}
	}
	out, err := exec.Command(filepath.Join(dir, "mosquitto_passwd"), "-b", "-c", filepath.Join(dir, "pw"), "u", "p").CombinedOutput()
	if err != nil {
		t.Errorf("mosquitto_passwd: %v, %s", err, out)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "pw")); err != nil || !strings.HasPrefix(string(text), "u:$") {
		t.Errorf("mosquitto_passwd wrote %q, %v", text, err)
	}
}
