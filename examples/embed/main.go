// Command embed is an MQTT broker inside a program of your own: the engine of package broker, without a configuration
// file, with one hook and one observer. It listens on port 1883 of this machine until it is interrupted.
//
//	go run ./examples/embed
//	mosquitto_sub -t 'room/#' -v
package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/store"
)

// ownTopics lets a client publish below its own id alone, and read everything.
type ownTopics struct{}

// Authorize implements broker.Authorizer.
func (ownTopics) Authorize(a broker.Access) bool {
	return a.Action != broker.ActionPublish || strings.HasPrefix(string(a.Topic), a.Client.ID+"/")
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	l, err := net.Listen("tcp", "127.0.0.1:1883")
	if err == nil {
		err = run(ctx, l)
	}
	if err != nil {
		slog.Error("broker failed", slog.Any("error", err))
		os.Exit(1)
	}
}

// run serves l until ctx ends.
func run(ctx context.Context, l net.Listener) error {
	b, err := broker.New(broker.Options{
		Authorizer: ownTopics{},
		Events: broker.Events{
			Connected: func(c *broker.Client) {
				slog.Info("connected", slog.String("client", c.ID), slog.Any("address", c.RemoteAddr))
			},
		},
	})
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()

	greeting := &store.Message{Topic: "room/hello", Payload: []byte("hello"), Retain: true}
	if err := b.Publish(greeting); err != nil {
		return err
	}
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = b.Shutdown(last)
	if serveErr := <-served; !errors.Is(serveErr, broker.ErrClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
