package acl

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// serve starts a broker with these rules and returns its address.
func serve(t *testing.T, z *Authorizer) string {
	t.Helper()
	b, err := broker.New(broker.Options{Authorizer: z, Limits: broker.Limits{CheckRetainSource: true}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, broker.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

func named(user string) *mqtt.Connect {
	return &mqtt.Connect{Version: mqtt.V5, CleanStart: true, ClientID: user, HasUsername: true, Username: user}
}
