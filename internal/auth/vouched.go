package auth

import "github.com/uniomq/unio/broker"

// Vouched reports whether somebody vouches for who a client is that was let in: its password was right, or the transport names it.
func Vouched(c *broker.Client) bool {
	_, checked := c.Auth.(verified)
	return checked || vouched(c)
}
