// Command unio is an MQTT broker.
package main

import (
	"os"
	"runtime/debug"

	"github.com/uniomq/unio/internal/cli"
)

// version is set by the linker for a release: -ldflags "-X main.version=1.2.3".
var version string

func main() {
	if info, ok := debug.ReadBuildInfo(); version == "" && ok {
		version = info.Main.Version
	}
	os.Exit(cli.Main(version, cli.Arguments(os.Args), os.Stdout, os.Stderr))
}
