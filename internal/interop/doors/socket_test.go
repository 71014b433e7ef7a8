//go:build unix

package doors

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/internal/testenv"
)

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	dir, err := os.MkdirTemp("", "unio") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "mqtt.sock")
	b := startBroker(t, "listener 0 "+path, "allow_anonymous true")
	tools := tool{t: t, args: []string{"--unix", path}}
	tools.roundTrip()
	b.await("^New connection on " + path)
	b.stop()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestSocketDomainAndInterface(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	if !testenv.HasIPv6() {
		testenv.Missing(t, "there is no IPv6")
	}
	four, six, both, bound := testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t)
	var lines []string
	for port, option := range map[int]string{four: "socket_domain ipv4", six: "socket_domain ipv6", both: "", bound: "bind_interface lo"} {
		lines = append(lines, fmt.Sprintf("listener %d", port), "allow_anonymous true", option)
	}
	b := startBroker(t, lines...)
	for _, c := range []struct {
		port  int
		host  string
		works bool
	}{
		{four, "127.0.0.1", true},
		{four, "::1", false},
		{six, "::1", true},
		{six, "127.0.0.1", false},
		{both, "127.0.0.1", true},
		{both, "::1", true},
		{bound, "127.0.0.1", true},
	} {
		o := run(t, "", "mosquitto_pub", "-h", c.host, "-p", fmt.Sprint(c.port), "-t", "t", "-m", "m", "-q", "1")
		if (o.status == 0) != c.works {
			t.Errorf("%s, port %d: %+v", c.host, c.port, o)
		}
	}
	b.await(`^New connection from ::1:\d+ on port ` + fmt.Sprint(both))
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
				o := run(t, "", "mosquitto_pub", "-h", n.IP.String(), "-p", fmt.Sprint(bound), "-t", "t", "-m", "m", "-q", "1")
				if o.status != 0 && !strings.Contains(o.output, "refused") {
					t.Errorf("over %v: %+v", n.IP, o) // the kernel takes packets to itself over lo: either is right
				}
				return
			}
		}
	}
}
