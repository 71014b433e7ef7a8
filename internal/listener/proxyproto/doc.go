// Package proxyproto lets a load balancer say for whom it connects, by the PROXY protocol of HAProxy, version 1 or 2.
//
// A [Listener] wraps the connections of another one. A [Conn] reads the header in [Conn.HandshakeContext], in the connection's own
// goroutine, and gives the client's address as RemoteAddr from then on. Exactly the header's bytes are read: afterwards nothing is between
// the caller and the connection underneath, and its socket can be used directly.
//
// Only the version that was configured is understood, and every connection needs a header: whoever reaches such a listener past the load
// balancer could claim any address. So such a listener must be out of reach for clients. As in Mosquitto, a header of version 2 with
// the command LOCAL, which a load balancer sends to see whether the listener is alive, ends the connection, and the additional fields
// (TLVs) may have 500 bytes in all. A header of version 1 for an UNKNOWN client leaves the addresses as they are.
//
// The format is read by github.com/pires/go-proxyproto; its own listener is not used, since it reads ahead into a buffer per connection
// and takes both versions. No goroutine is started.
package proxyproto
