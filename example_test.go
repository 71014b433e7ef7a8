package unio_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/uniomq/unio"
	"github.com/uniomq/unio/config"
)

// A broker on a Unix socket that runs until its context ends.
func ExampleServer_Run() {
	dir, err := os.MkdirTemp("", "unio")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	cfg := config.Default()
	l := cfg.Listeners[0]
	l.Port, l.Address, l.Path = 0, "", filepath.Join(dir, "unio.sock")
	cfg.Listeners = []config.Listener{l}

	server, err := unio.New(cfg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // at once, in this example
	fmt.Println(server.Run(ctx))
	// Output: <nil>
}
