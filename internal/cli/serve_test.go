package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/uniomq/unio/internal/cli"
	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/internal/testenv"
	"github.com/uniomq/unio/mqtt"
)

func TestWithoutAFileOnlyThisMachineCanConnect(t *testing.T) {
	t.Parallel()
	port := testenv.FreePort(t)
	p := clitest.Run(t, "-p", strconv.Itoa(port))
	p.Await(`: unio version 1\.2\.3-test running$`)
	for _, want := range []string{
		`^\d+: unio version 1\.2\.3-test starting$`,
		`^\d+: Using default config\.$`,
		`^\d+: Starting in local only mode\.`,
		fmt.Sprintf(`^\d+: Opening ipv4 listen socket on port %d\.$`, port),
		fmt.Sprintf(`^\d+: Opening ipv6 listen socket on port %d\.$`, port),
	} {
		p.Await(want)
	}
	// Anonymous clients are welcome on the loopback address.
	conn := clitest.Dial(t, port)
	exchange(t, conn, &mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "x"}, "20020000")

	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.IsLoopback() || ip.IP.To4() == nil {
			continue
		}
		if c, err := net.Dial("tcp", net.JoinHostPort(ip.IP.String(), strconv.Itoa(port))); err == nil {
			_ = c.Close()
			t.Errorf("%s can be connected to", ip.IP)
		}
	}
}

// exchange sends a packet and expects the bytes, in hexadecimal, that answer it.
func exchange(t *testing.T, conn net.Conn, p mqtt.Packet, want string) {
	t.Helper()
	if _, err := conn.Write(p.Append(nil, mqtt.V311)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len(want)/2)
	if _, err := io.ReadFull(conn, answer); err != nil {
		t.Fatalf("after %T: %v", p, err)
	}
	if got := fmt.Sprintf("%x", answer); got != want {
		t.Fatalf("after %T: got %s, want %s", p, got, want)
	}
}

func TestSignalsStopItCleanly(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			port := testenv.FreePort(t)
			p := clitest.Run(t, "-p", strconv.Itoa(port))
			p.Await("running$")
			conn := clitest.Dial(t, port)
			exchange(t, conn, &mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "x"}, "20020000")
			p.Signal(signal)
			if status := p.Status(); status != exit.OK {
				t.Errorf("status %d\n%s", status, p.Text())
			}
			p.Await(`^\d+: unio version 1\.2\.3-test terminating$`)
			if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the client's connection: %v", err)
			}
		})
	}
}

func TestAllMistakesOfAConfigurationAreReported(t *testing.T) {
	t.Parallel()
	path := clitest.File(t, "listener 1883", "max_qos 7", "", "certfile /x", "nonsense")
	p := clitest.Run(t, "-c", path)
	if status := p.Status(); status != exit.Invalid {
		t.Errorf("status %d", status)
	}
	want := []string{
		": Error: " + path + ":2: max_qos: expected 0 to 2, not 7",
		": Error: " + path + ":4: certfile: expected keyfile as well: TLS needs both",
		": Error: " + path + `:5: expected an option, not "nonsense"`,
	}
	lines := strings.Split(p.Text(), "\n")
	if len(lines) != len(want) {
		t.Fatalf("got\n%s", p.Text())
	}
	for i, line := range lines {
		if !strings.HasSuffix(line, want[i]) {
			t.Errorf("got %q, want %q", line, want[i])
		}
	}
}

func TestStatusOfWhatCannotBeStarted(t *testing.T) {
	t.Parallel()
	checkStarts(t, []start{
		{"no such file", []string{"-c", "/nowhere/unio.conf"}, exit.Invalid, "/nowhere/unio.conf: expected a file to read: no such file"},
		{"a flag without its value", []string{"-c"}, exit.Invalid, "-c"},
		{"an unknown flag", []string{"-x"}, exit.Invalid, "-x"},
		{"an argument", []string{"foo"}, exit.Invalid, "foo"},
		{"no port", []string{"-p", "0"}, exit.Invalid, "expected a port, 1 to 65535"},
		{"a plugin", []string{"-c", clitest.File(t, "plugin /x.so", "plugin_opt_y z")}, exit.Plugin, ":1: plugin: not available yet"},
		{
			"a plugin and a mistake",
			[]string{"-c", clitest.File(t, "plugin /x.so", "max_qos 9")},
			exit.Invalid, ":2: max_qos: expected",
		},
		{
			"a log that cannot be opened",
			[]string{"-c", clitest.File(t, "log_dest file /nowhere/log")},
			exit.Invalid, "open the log: open /nowhere/log",
		},
		{
			"a file for the process id that cannot be written",
			[]string{"-c", clitest.File(t, "pid_file /nowhere/pid", "listener 0 "+filepath.Join(t.TempDir(), "socket"))},
			exit.Failure, "pid_file: open /nowhere/pid",
		},
		{
			"a password file that is not there",
			[]string{"-c", clitest.File(t, "listener 1883", "password_file /nowhere/passwd", "max_qos 1")},
			exit.Invalid, ":2: password_file: the password file cannot be read",
		},
		{
			"an ACL file that is not there, in a test",
			[]string{"--test-config", "-c", clitest.File(t, "listener 1883", "acl_file /nowhere/acl")},
			exit.Invalid, ":2: acl_file: the ACL file cannot be read",
		},
		{"a file for the keys of TLS that cannot be written", []string{"--tls-keylog", "/nowhere/keys"}, exit.Failure, "--tls-keylog: open /nowhere/keys"},
		{"a test of no file", []string{"--test-config"}, exit.Invalid, "--test-config: expected a file"},
		{"a daemon that cannot start", []string{"-d", "-c", clitest.File(t, "max_qos 9")}, exit.Invalid, ":1: max_qos: expected 0 to 2"},
		{"an invalid file to test", []string{"--test-config", "-c", clitest.File(t, "foo")}, exit.Invalid, ":1: expected an option"},
		{
			"a file to test that has a warning",
			[]string{"--test-config", "-c", clitest.File(t, "log_dest dlt", "log_dest file /nowhere/log")},
			exit.OK, ": Warning: ",
		},
		{"a valid file to test", []string{"--test-config", "-c", clitest.File(t, "listener 1883")}, exit.OK, "Configuration file is OK."},
	})
}

func TestStatusOfUnusableTLS(t *testing.T) {
	t.Parallel()
	checkStarts(t, []start{
		{
			"a certificate that is not there",
			[]string{"-c", clitest.File(t, "listener 8883", "certfile /nowhere/cert", "keyfile /nowhere/key")},
			exit.Failure, ":2: certfile: /nowhere/cert: ",
		},
		{
			"a version of TLS that there is not",
			[]string{"-c", clitest.File(t, "listener 8883", "certfile /x", "keyfile /y", "tls_version invalid")},
			exit.Failure, ":4: tls_version: expected tlsv1.2 or tlsv1.3",
		},
		{
			"a version of TLS that there is not, in a test",
			[]string{"--test-config", "-c", clitest.File(t, "listener 8883", "certfile /x", "keyfile /y", "tls_version invalid")},
			exit.Invalid, ":4: tls_version: expected tlsv1.2 or tlsv1.3",
		},
		{
			"pre-shared keys for TLS 1.3 alone",
			[]string{"-c", clitest.File(t, "listener 8883", "psk_hint x", "psk_file /z", "tls_version tlsv1.3")},
			exit.Failure, ":4: tls_version: expected tlsv1.2 with psk_hint",
		},
		{
			"cipher suites that there are not",
			[]string{"-c", clitest.File(t, "listener 8883", "certfile /x", "keyfile /y", "ciphers x")},
			exit.Failure, ":4: ciphers: \"x\" is no cipher suite",
		},
		{
			"cipher suites that there are not for pre-shared keys",
			[]string{"-c", clitest.File(t, "listener 8883", "psk_hint x", "psk_file "+clitest.File(t, "joe:0123"), "ciphers x")},
			exit.Failure, ":4: ciphers: expected suites for pre-shared keys",
		},
		{
			"a domain that is none",
			[]string{"-c", clitest.File(t, "listener 8883", "acme_domain x y")},
			exit.Failure, ":2: acme_domain: ",
		},
		{
			"revocation lists of nobody",
			[]string{"-c", clitest.File(t, "listener 8883", "certfile /x", "keyfile /y", "crlfile /z")},
			exit.Failure, ":4: crlfile: expected cafile or capath as well",
		},
		{
			"settings of TLS and a mistake",
			[]string{"-c", clitest.File(t, "listener 8883", "tls_version invalid", "max_qos 9")},
			exit.Invalid, ":3: max_qos: expected",
		},
		{
			"pre-shared keys that are not there, in a test",
			[]string{"--test-config", "-c", clitest.File(t, "listener 8883", "psk_hint x", "psk_file /nowhere/psk")},
			exit.Invalid, ":3: psk_file: ",
		},
	})
}

// start is a start that fails.
type start struct {
	name   string
	args   []string
	status int
	want   string // in what it says
}

func checkStarts(t *testing.T, tests []start) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := clitest.Run(t, test.args...)
			if status := p.Status(); status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
			if !strings.Contains(p.Text(), test.want) {
				t.Errorf("no %q in:\n%s", test.want, p.Text())
			}
		})
	}
}

func TestAPortInUseIsStatus1WithAddressAndCause(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	addr := busy.Addr().(*net.TCPAddr)
	p := clitest.Run(t, "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", addr.Port)))
	if status := p.Status(); status != exit.Failure {
		t.Errorf("status %d", status)
	}
	p.Await(": Error: cannot listen on " + addr.String() + ": address already in use$")
}

func TestHelpAndVersionGoToStandardOutput(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"-h": "unio [-c FILE] [-d] [-p PORT] [-q] [-v]", "--help": "--test-config", "--version": "unio version 9.9\n",
	} {
		var stdout, stderr bytes.Buffer
		if status := cli.Main("9.9", []string{arg}, &stdout, &stderr); status != exit.OK {
			t.Errorf("%s: status %d", arg, status)
		}
		if !strings.Contains(stdout.String(), want) || stderr.Len() > 0 {
			t.Errorf("%s: stdout %q, stderr %q", arg, stdout.String(), stderr.String())
		}
	}
}

func TestThePortOfTheFileIsTheOneThatCounts(t *testing.T) {
	t.Parallel()
	named, flag := testenv.FreePort(t), testenv.FreePort(t)
	p := clitest.Run(t, "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", named)), "-p", strconv.Itoa(flag))
	p.Await("running$")
	if want := fmt.Sprintf("on port %d.", named); !strings.Contains(p.Text(), want) {
		t.Errorf("no %q in:\n%s", want, p.Text())
	}
	if strings.Contains(p.Text(), fmt.Sprintf("on port %d.", flag)) {
		t.Errorf("it also listens on %d:\n%s", flag, p.Text())
	}
}

func TestAListenerRefusesAnonymousClientsByDefault(t *testing.T) {
	t.Parallel()
	port := testenv.FreePort(t)
	p := clitest.Run(t, "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", port)))
	p.Await("running$")
	exchange(t, clitest.Dial(t, port), &mqtt.Connect{Version: mqtt.V311, CleanStart: true, ClientID: "x"}, "20020005")
	p.Await(`^\d+: Client x disconnected, not authorised\.$`)
}

func TestVerboseLogsPacketsAsMosquittoDoes(t *testing.T) {
	t.Parallel()
	port := testenv.FreePort(t)
	p := clitest.Run(t, "-v", "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", port), "allow_anonymous true", "log_type none"))
	p.Await("running$")
	conn := clitest.Dial(t, port)
	exchange(t, conn, &mqtt.Connect{
		Version: mqtt.V311, CleanStart: true, ClientID: "x", KeepAlive: 42, HasUsername: true, Username: "bob",
		Will: &mqtt.Will{Topic: "gone", Payload: []byte("bye")},
	}, "20020000")
	exchange(t, conn, &mqtt.Subscribe{PacketID: 1, Subscriptions: []mqtt.Subscription{{Filter: "a/#", Options: 1}}}, "9003000101")
	exchange(t, conn, &mqtt.Publish{Topic: []byte("a/b"), Payload: []byte("hello")}, "300a0003612f6268656c6c6f")
	exchange(t, conn, &mqtt.Unsubscribe{PacketID: 2, Filters: []string{"a/#"}}, "b0020002")
	exchange(t, conn, &mqtt.Pingreq{}, "d000")
	local := conn.LocalAddr().String()
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("New connection from %s on port %d.", local, port),
		fmt.Sprintf("New client connected from %s as x (p4, c1, k42, u'bob').", local),
		"Will message specified (3 bytes) (r0, q0).", "\tgone", "Sending CONNACK to x (0, 0)",
		"Received SUBSCRIBE from x", "\ta/# (QoS 1)", "x 1 a/#", "Sending SUBACK to x",
		"Received PUBLISH from x (d0, q0, r0, m0, 'a/b', ... (5 bytes))",
		"Sending PUBLISH to x (d0, q0, r0, m0, 'a/b', ... (5 bytes))",
		"Received UNSUBSCRIBE from x", "\ta/#", "x a/#", "Sending UNSUBACK to x",
		"Received PINGREQ from x", "Sending PINGRESP to x", "Client x closed its connection.",
	} {
		p.Await(`^\d+: ` + quote(want) + "$")
	}
}

// quote escapes what a pattern would not take literally.
func quote(s string) string {
	return strings.NewReplacer(".", `\.`, "(", `\(`, ")", `\)`, "[", `\[`, "]", `\]`).Replace(s)
}

func TestTheLogGoesWhereTheFileSays(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "unio.log")
	pid := filepath.Join(t.TempDir(), "pid")
	port := testenv.FreePort(t)
	p := clitest.Run(t, "-c", clitest.File(t, "log_dest file "+log, "log_dest stderr", "log_type information",
		"log_timestamp_format %Y", "user root", "pid_file "+pid, fmt.Sprintf("listener %d 127.0.0.1", port)))
	p.Await(`^\d{4}: unio version 1\.2\.3-test running$`)
	if text, err := os.ReadFile(pid); err != nil || string(text) != fmt.Sprintln(p.Cmd.Process.Pid) {
		t.Errorf("the process id's file: %q, %v", text, err)
	}
	p.Signal(syscall.SIGTERM)
	if status := p.Status(); status != exit.OK {
		t.Errorf("status %d", status)
	}
	text, err := os.ReadFile(log)
	if err != nil || string(text) != p.Text()+"\n" {
		t.Errorf("the file has %q, %v; stderr has %q", text, err, p.Text())
	}
	if _, err := os.Stat(pid); !os.IsNotExist(err) {
		t.Errorf("the process id's file is still there: %v", err)
	}
}

func TestQuietLogsNothing(t *testing.T) {
	t.Parallel()
	port := testenv.FreePort(t)
	pid := filepath.Join(t.TempDir(), "pid")
	p := clitest.Run(t, "-q", "-c", clitest.File(t, "pid_file "+pid, fmt.Sprintf("listener %d 127.0.0.1", port)), "--test-config")
	if status := p.Status(); status != exit.OK || p.Text() != "" {
		t.Errorf("status %d, %q", status, p.Text())
	}
	if _, err := os.Stat(pid); !os.IsNotExist(err) {
		t.Errorf("a test of the configuration wrote the process id: %v", err)
	}
}
