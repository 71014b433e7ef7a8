package broker

import (
	"context"

	"github.com/uniomq/unio/broker/internal/netio"
)

// loginKey is where the context of an authentication has its connection.
type loginKey struct{}

// Gone reports whether the client that an Authenticator is asked about with ctx has closed its connection meanwhile, as far as the
// system tells without waiting; of other contexts it is false. Who has kept a client waiting asks before it begins something dear.
// ctx itself does not end then: what is begun is to be judged, so that nobody guesses unseen by hanging up.
func Gone(ctx context.Context) bool {
	c, _ := ctx.Value(loginKey{}).(*conn)
	return c != nil && c.gone()
}

// gone is Gone for a connection that is not attached yet. Its own goroutine calls it.
func (c *conn) gone() bool {
	if c.raw == nil {
		return false
	}
	gone := false
	err := c.raw.Control(func(fd uintptr) { gone = netio.HungUp(fd) })
	return gone || err != nil
}
