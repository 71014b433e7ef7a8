// Command mochi runs the broker mochi for bench/compare: one TCP listener, everybody allowed, nothing stored on disk, and queues as
// long as it can have them.
//
//	mochi 127.0.0.1:1883
package main

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"syscall"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mochi:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("expected one argument, HOST:PORT")
	}
	c := mochi.NewDefaultServerCapabilities()
	c.MaximumInflight = math.MaxUint16
	c.MaximumClientWritesPending = 1 << 20
	s := mochi.New(&mochi.Options{
		Capabilities: c, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		return err
	}
	if err := s.AddListener(listeners.NewTCP(listeners.Config{ID: "tcp", Address: os.Args[1]})); err != nil {
		return err
	}
	if err := s.Serve(); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	return s.Close()
}
