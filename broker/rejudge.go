package broker

import (
	"context"
	"net"
)

// RejudgeLogins has logins that are under way judged again at their end, since what they are judged
// by has changed: by ListenerOptions.Verify, by the Authenticator if it is a Revalidator, and by
// the Authorizer about ActionConnect. It is to be called after the change, and before Clients is
// asked whom of those that are connected to disconnect: who is not among them is judged again.
// Recheck does it, too.
func (b *Broker) RejudgeLogins() { b.rechecks.Add(1) }

// rejudge judges a login again, unless nothing has changed since it was judged, which is noted in
// judged. It may wait.
func (c *conn) rejudge(ctx context.Context, nc net.Conn, judged *uint64) error {
	now := c.b.rechecks.Load()
	if now == *judged {
		return nil
	}
	*judged = now
	if verify := c.ln.options.Load().Verify; verify != nil {
		if err := verify(nc); err != nil {
			return authError(err)
		}
	}
	if r, ok := c.b.options.Load().Authenticator.(Revalidator); ok {
		if err := r.Revalidate(ctx, c.client); err != nil {
			return authError(err)
		}
	}
	return c.mayConnect()
}
