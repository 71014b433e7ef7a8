//go:build !unix

package cli

import "os"

// actions is empty: this system has no such signals.
var actions map[os.Signal]func(*process)

func ignoreRotate() {}
