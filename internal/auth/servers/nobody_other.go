//go:build !unix

package servers

import (
	"os/exec"
	"testing"
)

// asNobody does nothing: the servers run as who runs the tests.
func asNobody(testing.TB, *exec.Cmd) {}

// give does nothing.
func give(testing.TB, string) {}
