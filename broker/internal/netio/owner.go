package netio

import "net"

// Owner is told what happens on a [Socket].
type Owner interface {
	// Addrs returns the addresses of both ends.
	Addrs() (local, remote net.Addr)
	// Event comes from the loop's goroutine when there is something to read, the other side has gone,
	// or Call was called. ready is how many sockets the loop looks at, and r what they share.
	Event(ready int, r Round)
	// Called reports whether Call came while no loop watched the socket. The loop's lock is held.
	Called() bool
}

// Round is what the owners of one loop's sockets share between two looks at what is ready.
type Round interface {
	// Flush comes after the last Event of a round.
	Flush()
}
