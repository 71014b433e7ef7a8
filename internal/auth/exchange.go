package auth

import (
	"context"
	"crypto/rand"
	"encoding/binary"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
)

// Exchange begins an enhanced authentication with the backend of the listener's chain that has the method.
func (a *Authenticator) Exchange(ctx context.Context, c *broker.Client, method string) (broker.Exchange, error) {
	g := a.use()
	defer g.users.Done()
	for _, b := range g.listener(c.Listener).Chain {
		e, ok := b.(Exchanger)
		if !ok {
			continue
		}
		if x := e.Exchange(ctx, c, method); x != nil {
			if err := g.banned(c, loginOf(c)); err != nil {
				return nil, err
			}
			return &exchange{a: a, c: c, backend: b.Name(), x: x}, nil
		}
	}
	return nil, mqtt.BadAuthenticationMethod
}

// exchange is one enhanced authentication. A generation is used for a step only, since nobody says when an exchange is given up.
type exchange struct {
	a       *Authenticator
	c       *broker.Client
	backend string
	x       Exchange
}

// Next takes a step.
func (x *exchange) Next(ctx context.Context, data []byte) (reply []byte, done bool, err error) {
	g := x.a.use()
	defer g.users.Done()
	reply, answer, err := x.x.Next(ctx, data)
	if err == nil && answer == nil {
		return reply, false, nil
	}
	if x.c.Auth != nil {
		return reply, true, x.again(g, answer, err)
	}
	who := loginOf(x.c)
	who.Credential = random()
	if answer != nil && who.User == "" {
		who.User = answer.Username
	}
	err = g.judge(ctx, x.c, who, true, func() *Decision {
		d := &Decision{}
		if err != nil {
			d.add(x.backend, Answer{}, err)
		} else {
			d.add(x.backend, *answer, nil)
		}
		return d
	})
	return reply, true, err
}

// again is the end of a re-authentication. The client must be who it was; it is not changed, since others read it.
func (x *exchange) again(g *generation, answer *Answer, err error) error {
	d := &Decision{}
	switch {
	case err != nil:
		d.add(x.backend, Answer{}, err)
	case answer.Verdict == Allow && answer.Username != x.c.Username:
		d.add(x.backend, Denied("another user name than at CONNECT"), nil)
	default:
		d.add(x.backend, *answer, nil)
	}
	g.tell(x.c, d)
	if d.Allowed {
		return nil
	}
	return &Refusal{d}
}

// random is the Login.Credential of an exchange, which shows no password: each is another guess.
func random() uint64 {
	var p [8]byte
	_, _ = rand.Read(p[:])
	return binary.LittleEndian.Uint64(p[:])
}
