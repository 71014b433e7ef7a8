package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/cli"
)

// command prepares a run of the built command with a file as its standard input.
func command(t *testing.T, input string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(binary, args...)
	if input != "" {
		f, err := os.Open(input)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		cmd.Stdin = f
	}
	return cmd
}

// links makes links by the names of Mosquitto's programs and returns their folder.
func links(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"mosquitto", "mosquitto_pub", "mosquitto_sub", "mosquitto_rr", "mosquitto_ctrl", "mosquitto_passwd"} {
		if err := os.Symlink(binary, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

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
	dir := links(t)
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
