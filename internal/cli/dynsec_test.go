//go:build unix

package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

// ctrl runs mosquitto_ctrl with a command of dynamic security and returns what it prints to standard output and error, without its warning.
func ctrl(t *testing.T, port int, password string, args ...string) (string, error) {
	t.Helper()
	all := append([]string{"-h", "127.0.0.1", "-p", fmt.Sprint(port), "-u", "admin", "-P", password, "dynsec"}, args...)
	out, err := exec.Command("mosquitto_ctrl", all...).CombinedOutput()
	_, text, warned := strings.Cut(string(out), "including passwords.\n\n")
	if !warned {
		text = string(out)
	}
	return strings.TrimRight(text, "\n"), err
}

// TestMosquittoCtrlSpeaksToUnio has every command of Debian's mosquitto_ctrl, with what it prints. Mosquitto itself starts with the file in the end.
func TestMosquittoCtrlSpeaksToUnio(t *testing.T) {
	t.Parallel()
	testenv.File(t, "/usr/bin/mosquitto_ctrl", "mosquitto")
	testenv.File(t, clitest.Mosquitto, "mosquitto")
	testenv.File(t, dynsecPlugin, "mosquitto")
	path := filepath.Join(t.TempDir(), "dynsec.json")
	if out, err := exec.Command("mosquitto_ctrl", "dynsec", "init", path, "admin", "first password").CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	port := testenv.FreePort(t)
	conf := clitest.File(t, "user root", "allow_anonymous true", fmt.Sprintf("listener %d 127.0.0.1", port), "plugin "+dynsecPlugin, "plugin_opt_config_file "+path)
	p := clitest.Run(t, "-c", conf)
	p.Await("running$")
	for _, c := range []struct{ command, want string }{
		{"createRole r", ""},
		{"createRole r", "createRole: Error: Role already exists"},
		{"createGroup g", ""},
		{"createClient joe -p JOE", ""},
		{"createClient ann -p ANN -c ann-id", ""},
		{"addRoleACL r publishClientSend a/# allow 5", ""},
		{"addRoleACL r subscribePattern a/# deny", ""},
		{"addRoleACL r publishClientReceive a# allow", "Error"},
		{"addClientRole joe r 3", ""},
		{"addGroupRole g r 7", ""},
		{"addGroupClient g joe 2", ""},
		{"listClients", "admin\nann\njoe"},
		{"listClients 1 1", "ann"},
		{"listGroups", "g"},
		{"listRoles", "admin\nr"},
		{"getClient joe", "Username: joe\nClientid:\nRoles:    r (priority: 3)\nGroups:   g (priority: 2)"},
		{"getGroup g", "Groupname: g\nRoles:     r (priority: 7)\nClients:   joe"},
		{"getRole r", "Rolename: r\nACLs:     publishClientSend    : allow : a/# (priority: 5)\n          subscribePattern     : deny  : a/# (priority: 0)"},
		{"setDefaultACLAccess subscribe allow", ""}, // which changes nothing: 2.0.11 sends "access" where Mosquitto wants "allow"
		{"getDefaultACLAccess", "publishClientSend    : deny\npublishClientReceive : allow\nsubscribe            : deny\nunsubscribe          : allow"},
		{"setAnonymousGroup g", ""},
		{"getAnonymousGroup", "g"},
		{"deleteGroup g", "deleteGroup: Error: Deleting the anonymous group is forbidden"},
		{"setClientId joe joe-id", ""},
		{"setClientPassword joe new", ""},
		{"disableClient ann", ""},
		{"enableClient ann", ""},
		{"removeRoleACL r subscribePattern a/#", ""},
		{"removeClientRole joe r", ""},
		{"removeGroupRole g r", ""},
		{"removeGroupClient g joe", ""},
		{"createRole x", ""},
		{"deleteRole x", ""},
		{"createGroup x", ""},
		{"deleteGroup x", ""},
		{"createClient x -p X", ""},
		{"deleteClient x", ""},
		{"getClient x", "getClient: Error: Client not found"},
		{"addClientRole joe r", ""},
	} {
		got, err := ctrl(t, port, "first password", strings.Fields(c.command)...)
		if c.want == "Error" && strings.Contains(got, "nvalid") {
			continue
		}
		if got != c.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", c.command, got, err, c.want)
		}
	}
	if got, err := ctrl(t, port, "first password", "setClientPassword", "admin", "second password"); err != nil || got != "" {
		t.Errorf("the administrator's own password: %q, %v", got, err)
	}
	if got, _ := ctrl(t, port, "first password", "listClients"); !strings.Contains(got, "Not authorized") {
		t.Errorf("the old password: %s", got)
	}
	p.Terminate()

	clitest.Launch(t, exec.Command(clitest.Mosquitto, "-c", conf)).Await("running$")
	for command, want := range map[string]string{
		"listClients":   "admin\nann\njoe",
		"getClient joe": "Username: joe\nClientid: joe-id\nRoles:    r (priority: -1)\nGroups:",
		"getRole r":     "Rolename: r\nACLs:     publishClientSend    : allow : a/# (priority: 5)",
		"getGroup g":    "Groupname: g\nRoles:\nClients:",
	} {
		got, err := ctrl(t, port, "second password", strings.Fields(command)...)
		if lines := strings.Split(got, "\n"); err != nil || strings.TrimRight(lines[0], " ") != strings.Split(want, "\n")[0] {
			t.Errorf("mosquitto: %s: %q, %v, want %q", command, got, err, want)
		}
	}
	connect := mqtt.Connect{Version: mqtt.V5, CleanStart: true, ClientID: "joe-id", HasUsername: true, Username: "joe", HasPassword: true, Password: []byte("new")}
	exchange(t, clitest.Dial(t, port), &connect, "20")
}

func TestPluginsThatAreNoneOfOurs(t *testing.T) {
	t.Parallel()
	for lines, want := range map[string]string{
		"plugin /usr/lib/other.so":                                                                      ":1: plugin: not available yet: plugins but for those that are built in",
		"plugin /usr/lib/mosquitto_dynamic_security.so":                                                 ":1: plugin: expected plugin_opt_config_file below it",
		"global_plugin x\nplugin_load a y\nauth_plugin z":                                               ":3: auth_plugin: not available yet",
		"listener 1883\nplugin mosquitto_dynamic_security\nplugin_opt_config_file /nowhere/dynsec.json": ":2: plugin: dynamic security: ",
	} {
		p := clitest.Run(t, "-c", clitest.File(t, strings.Split(lines, "\n")...))
		status := exit.Plugin
		if strings.Contains(lines, "nowhere") { // the plugin is one of ours, and its file cannot be made
			status = exit.Invalid
		}
		if got := p.Status(); got != status || !strings.Contains(p.Text(), want) {
			t.Errorf("%s: status %d, %s, want %s", lines, got, p.Text(), want)
		}
	}
}

func TestTheFirstFileOfDynamicSecurityIsMade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dynsec.json")
	port := testenv.FreePort(t)
	conf := clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", port), "plugin mosquitto_dynamic_security.so", "plugin_opt_config_file "+path)
	if p := clitest.Run(t, "--test-config", "-c", conf); p.Status() != exit.OK || !strings.Contains(p.Text(), "the broker will make it") {
		t.Errorf("%s", p.Text())
	}
	cmd := exec.Command(clitest.Binary, "-c", conf)
	cmd.Env = append(os.Environ(), "MOSQUITTO_DYNSEC_PASSWORD=twelve bytes")
	p := clitest.Launch(t, cmd)
	p.Await("running$")
	if got, err := ctrlIfThere(t, port); err != nil || got != "admin" {
		t.Errorf("%q, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	p.Terminate()
}

func ctrlIfThere(t *testing.T, port int) (string, error) {
	t.Helper()
	testenv.File(t, "/usr/bin/mosquitto_ctrl", "mosquitto")
	return ctrl(t, port, "twelve bytes", "listClients")
}
