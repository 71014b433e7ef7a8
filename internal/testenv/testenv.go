// Package testenv is what tests need of the machine that they run on: other people's programs and
// files, processes, free ports, and connections between two ends of a test.
//
// A test whose program or file is missing is skipped, and fails instead where UNIO_REQUIRE_INTEROP is
// set: there nothing may be skipped. Only tests use the package. Its goroutines, one for each Process,
// end with their program.
package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

const notInstalled = "%s is not installed: apt-get install %s"

// Program returns the path of a program that is in PATH, in /usr/sbin, or in one of some folders, which may be patterns. Without it the
// test is skipped, or fails.
func Program(t testing.TB, name, debianPackage string, folders ...string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, folder := range append([]string{"/usr/sbin"}, folders...) {
		matches, err := filepath.Glob(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(matches) > 0 {
			return matches[len(matches)-1]
		}
	}
	Missing(t, notInstalled, name, debianPackage)
	return ""
}

// File checks that a file of a package is there. Without it the test is skipped, or fails.
func File(t testing.TB, path, debianPackage string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		Missing(t, notInstalled, path, debianPackage)
	}
}

// Missing skips the test, or fails it, for the lack of something else.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("UNIO_REQUIRE_INTEROP") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// FreePort returns a port of 127.0.0.1, and of ::1 where there is IPv6, that nobody listened on a moment ago. It is for programs that
// cannot choose one themselves. It is not one of those that systems give to outgoing connections (32768 and above on Linux, 49152 elsewhere):
// those of other tests would take it meanwhile.
func FreePort(t testing.TB) int {
	t.Helper()
	addresses := []string{"127.0.0.1"}
	if HasIPv6() {
		addresses = append(addresses, "::1")
	}
	for range 100 {
		port := 10000 + rand.IntN(22000)
		if !slices.ContainsFunc(addresses, func(address string) bool { return !free(address, port) }) {
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func free(address string, port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(address, fmt.Sprint(port)))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// HasIPv6 reports whether ::1 can be listened on.
func HasIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		_ = l.Close()
	}
	return err == nil
}

// Loopback returns both ends of a TCP connection. The end of the test closes them.
func Loopback(t testing.TB) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Close()
		_ = client.Close()
	})
	return server, client
}
