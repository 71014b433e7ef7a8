//go:build unix

package clients_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/cli"
	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
)

// dynsecFile makes a file with unio ctrl and returns its path.
func dynsecFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dynsec.json")
	clitest.ExpectRun(t, 0, path+" is made, with the client admin, who may administer the broker but publish to no other topics.\n", "",
		"ctrl", "dynsec", "init", path, "admin", "secret")
	return path
}

// ctrlCommands are commands for a file of unio ctrl dynsec init and what is to be printed.
var ctrlCommands = []struct{ command, want, error string }{
	{"createRole r", "", ""},
	{"createRole r", "", "createRole: Error: Role already exists.\n"},
	{"createGroup g", "", ""},
	{"createClient joe -p JOE", "", ""},
	{"CREATECLIENT ann -p ANN -i ann-id", "", ""},
	{"createClient bob -c bob-id -p BOB", "", ""},
	{"addRoleACL r publishClientSend a/# allow 5", "", ""},
	{"addRoleACL r subscribePattern a/# deny", "", ""},
	{"addClientRole joe r 3", "", ""},
	{"addGroupRole g r 7", "", ""},
	{"addGroupClient g joe 2", "", ""},
	{"addGroupClient g ann", "", ""},
	{"listClients", "admin\nann\nbob\njoe\n", ""},
	{"listClients 1 1", "ann\n", ""},
	{"listGroups", "g\n", ""},
	{"listRoles 2", "broker-admin\nclient\n", ""},
	{"getClient joe", "Username:    joe\nClientid:\nRoles:       r (priority: 3)\nGroups:      g (priority: 2)\n", ""},
	{"getClient ann", "Username:    ann\nClientid:    ann-id\nGroups:      g (priority: -1)\n", ""},
	{"getGroup g", "Groupname: g\nRoles:     r (priority: 7)\nClients:   ann\n           joe\n", ""},
	{"getRole r", "Rolename: r\nACLs:     publishClientSend    : allow : a/# (priority: 5)\n          subscribePattern     : deny  : a/# (priority: 0)\n", ""},
	{"setDefaultACLAccess subscribe allow", "", ""},
	{"getDefaultACLAccess", "publishClientSend    : deny\npublishClientReceive : allow\nsubscribe            : allow\nunsubscribe          : allow\n", ""},
	{"setAnonymousGroup g", "", ""},
	{"getAnonymousGroup", "g\n", ""},
	{"setClientId joe joe-id", "", ""},
	{"setClientId joe", "", ""},
	{"setClientPassword joe new", "", ""},
	{"disableClient ann", "", ""},
	{"getClient ann", "Username:    ann\nClientid:    ann-id\nDisabled:    true\nGroups:      g (priority: -1)\n", ""},
	{"enableClient ann", "", ""},
	{"getDetails", "Clients: 4\nGroups: 1\nRoles: 8\nChange index: CHANGES\n", ""},
	{"removeRoleACL r subscribePattern a/#", "", ""},
	{"removeClientRole joe r", "", ""},
	{"removeGroupRole g r", "", ""},
	{"removeGroupClient g joe", "", ""},
	{"deleteRole r", "", ""},
	{"createGroup h", "", ""},
	{"deleteGroup h", "", ""},
	{"deleteClient joe", "", ""},
	{"deleteClient joe", "", "deleteClient: Error: Client not found.\n"},
}

// TestCtrlWithABrokerAndWithAFile has each command twice: the file needs no broker.
func TestCtrlWithABrokerAndWithAFile(t *testing.T) {
	t.Parallel()
	alone, served := dynsecFile(t), dynsecFile(t)
	port := testenv.FreePort(t)
	clitest.Run(t, "-c", clitest.File(t, "user root", fmt.Sprintf("listener %d 127.0.0.1", port), "plugin mosquitto_dynamic_security", "plugin_opt_config_file "+served)).Await("running$")
	online := []string{"ctrl", "-p", strconv.Itoa(port), "-h", "127.0.0.1", "-u", "admin", "-P", "secret", "dynsec"}
	offline := []string{"ctrl", "-f", alone, "dynsec"}
	changes := 0
	for _, c := range ctrlCommands {
		status := 0
		if c.error != "" {
			status = 1
		} else if c.want == "" {
			changes++
		}
		args := strings.Fields(c.command)
		clitest.ExpectRun(t, status, strings.Replace(c.want, "CHANGES", strconv.Itoa(changes), 1), clitest.PlainWarning+c.error, append(online, args...)...)
		if args[0] != "getDetails" { // which counts from the start of the broker
			clitest.ExpectRun(t, status, c.want, c.error, append(offline, args...)...)
		}
	}
}

// TestCtrlPrintsWhatMosquittosDoes compares it with Debian's, which is 2.0: it has narrower columns, no dot behind an error, and labels of
// lists that are empty. Both have the same status here: the link's.
func TestCtrlPrintsWhatMosquittosDoes(t *testing.T) {
	t.Parallel()
	testenv.File(t, "/usr/bin/mosquitto_ctrl", "mosquitto")
	link := filepath.Join(t.TempDir(), "mosquitto_ctrl")
	if err := os.Symlink(clitest.Binary, link); err != nil {
		t.Fatal(err)
	}
	path, port := dynsecFile(t), testenv.FreePort(t)
	clitest.Run(t, "-c", clitest.File(t, "user root", fmt.Sprintf("listener %d 127.0.0.1", port), "plugin mosquitto_dynamic_security", "plugin_opt_config_file "+path)).Await("running$")
	said := func(program, command string) string {
		args := append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(port), "-u", "admin", "-P", "secret", "dynsec"}, strings.Fields(command)...)
		out, err := exec.Command(program, args...).CombinedOutput()
		_, text, _ := strings.Cut(string(out), "\n\n") // behind the warning
		var lines []string
		for line := range strings.Lines(text) {
			if words := strings.Join(strings.Fields(strings.TrimSuffix(line, ".\n")), " "); words != "Roles:" && words != "Groups:" {
				lines = append(lines, words)
			}
		}
		return fmt.Sprint(strings.Join(lines, "\n"), err)
	}
	for _, c := range ctrlCommands {
		switch {
		case c.want == "" && c.error == "":
			said(link, c.command)
		case strings.Contains(c.command, "getDetails"), strings.Contains(c.want, "Disabled"): // 2.1 has them
		default:
			if ours, theirs := said(link, c.command), said("mosquitto_ctrl", c.command); ours != theirs {
				t.Errorf("%s: %q, mosquitto_ctrl %q", c.command, ours, theirs)
			}
		}
	}
}

func TestCtrlTellsOfTheBroker(t *testing.T) {
	t.Parallel()
	path, port := dynsecFile(t), testenv.FreePort(t)
	lines := []string{"user root", fmt.Sprintf("listener %d 127.0.0.1", port), "plugin mosquitto_dynamic_security", "plugin_opt_config_file " + path}
	args := []string{"ctrl", "-p", strconv.Itoa(port), "-h", "127.0.0.1", "-u", "admin", "-P", "secret", "broker"}
	p := clitest.Run(t, "-c", clitest.File(t, lines...))
	p.Await("running$")
	clitest.ExpectRun(t, 1, "", clitest.PlainWarning+"Error: endpoint not available.\n", append(args, "listPlugins")...)
	p.Terminate()
	clitest.Run(t, "-c", clitest.File(t, append(lines, "enable_control_api true")...)).Await("running$")
	clitest.ExpectRun(t, 0, fmt.Sprintf("Listener 1:\n  Port:              %d\n  Protocol:          mqtt\n  Bind address:      127.0.0.1\n  TLS:               false\n\n", port),
		clitest.PlainWarning, append(args, "listListeners")...)
	status, out, _ := clitest.Unio(append(args, "LISTPLUGINS")...)
	if !regexp.MustCompile(`^Plugin:            dynamic-security\nVersion:           \S+\nControl endpoints: \$CONTROL/dynamic-security/v1\n$`).MatchString(out) || status != 0 {
		t.Errorf("listPlugins: %d, %q", status, out)
	}
}

func TestCtrlStatuses(t *testing.T) {
	t.Parallel()
	path := dynsecFile(t)
	for _, c := range []struct {
		status int
		error  string
		args   []string
	}{
		{13, "Command 'fly' not recognised.\n", []string{"dynsec", "fly"}},
		{10, "Error: Module 'fly' not supported.\n", []string{"fly", "away"}},
		{3, "Error: Invalid arguments provided. Expected: deleteRole ROLENAME\n", []string{"dynsec", "deleteRole"}},
		{3, "Error: Invalid arguments provided. Expected: deleteRole ROLENAME\n", []string{"dynsec", "deleteRole", "a", "b"}},
		{3, "Error: Invalid arguments provided. Expected: setDefaultACLAccess ACLTYPE allow|deny\n", []string{"dynsec", "setDefaultACLAccess", "subscribe", "perhaps"}},
		{3, "Error: Invalid arguments provided. Expected: createClient USERNAME [-i CLIENTID] [-p PASSWORD]\n", []string{"dynsec", "createClient", "u", "-x", "y"}},
		{3, "Error: Invalid arguments provided. Expected: createClient USERNAME [-i CLIENTID] [-p PASSWORD]\n", []string{"dynsec", "createClient"}},
		{3, "Error: Invalid arguments provided. Expected: dynsec init FILE USERNAME [PASSWORD]\n", []string{"dynsec", "init", "x"}},
		{1, "dynsec init: open " + path + ": file exists\n", []string{"dynsec", "init", path, "u", "p"}},
		{1, "Error: stat " + path + ".no: no such file or directory\n", []string{"-f", path + ".no", "dynsec", "listRoles"}},
	} {
		clitest.ExpectRun(t, c.status, "", c.error, append([]string{"ctrl"}, c.args...)...)
	}
	if status, out, errs := clitest.Unio("ctrl"); status != 1 || !strings.Contains(out, "\n  dynsec createClient USERNAME [-i CLIENTID] [-p PASSWORD]\n") || errs != "" {
		t.Errorf("without a module: %d, %q, %q", status, out, errs)
	}
	if status, out, errs := clitest.Unio("ctrl", "dynsec", "help"); status != 0 || !strings.Contains(out, "\n  broker listPlugins\n") || errs != "" {
		t.Errorf("help: %d, %q, %q", status, out, errs)
	}
}

// TestCtrlAsksForPasswords has them on standard input.
func TestCtrlAsksForPasswords(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dynsec.json")
	for _, c := range []struct {
		args, input, error string
		status             int
	}{
		{"dynsec init FILE admin", "a\nb\n", "New password for admin: \nReenter password for admin: \nError: Passwords do not match.\n", 1},
		{"dynsec init FILE admin", "\n", "New password for admin: \nError: Empty password.\n", 1},
		{"dynsec init FILE admin", "a\na", "New password for admin: \nReenter password for admin: \n", 0},
		{"-f FILE dynsec createClient joe", "b\nb\n", "New password for joe: \nReenter password for joe: \n", 0},
		{"-f FILE dynsec createClient none", "\n", "New password for none: \n", 0},
		{"-f FILE dynsec setClientPassword joe", "c\nc\n", "New password for joe: \nReenter password for joe: \n", 0},
	} {
		var errs strings.Builder
		cmd := exec.Command(clitest.Binary, append([]string{"ctrl"}, strings.Fields(strings.Replace(c.args, "FILE", path, 1))...)...)
		cmd.Stdin, cmd.Stderr = strings.NewReader(c.input), &errs
		if _ = cmd.Run(); cmd.ProcessState.ExitCode() != c.status || errs.String() != c.error {
			t.Errorf("%s: %d, %q", c.args, cmd.ProcessState.ExitCode(), errs.String())
		}
	}
	if got := cli.Arguments([]string{"/usr/bin/mosquitto_ctrl", "dynsec"}); strings.Join(got, " ") != "mosquitto_ctrl dynsec" {
		t.Errorf("by the name of Mosquitto's tool: %q", got)
	}
	port := testenv.FreePort(t)
	clitest.Run(t, "-c", clitest.File(t, "user root", fmt.Sprintf("listener %d 127.0.0.1", port), "plugin mosquitto_dynamic_security", "plugin_opt_config_file "+path)).Await("running$")
	var errs strings.Builder
	cmd := exec.Command(clitest.Binary, "ctrl", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-u", "admin", "dynsec", "listClients")
	cmd.Stdin, cmd.Stderr = strings.NewReader("a\n"), &errs
	if out, err := cmd.Output(); err != nil || string(out) != "admin\njoe\nnone\n" || errs.String() != "Password for admin: \n"+clitest.PlainWarning {
		t.Errorf("%q, %v, %q", out, err, errs.String())
	}
}
