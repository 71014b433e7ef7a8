package auth

import "github.com/uniomq/unio/broker"

// Vouched reports whether somebody vouches for who a client is that was let in: a backend of the chain, the transport among them.
func Vouched(c *broker.Client) bool {
	p, _ := c.Auth.(proof)
	return p.backend != ""
}
