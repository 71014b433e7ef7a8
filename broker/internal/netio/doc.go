// Package netio is how the broker's bytes meet the network: system calls that do not wait, what waits
// to be written ([Output]), and protocols between a socket and MQTT ([Layer]). It knows nothing of
// MQTT, and no connection's state: its caller owns and guards what it makes.
//
// Calls named here go past Go's scheduler on Linux: for calls that never wait, its bookkeeping costs
// more than a third of the whole when traffic is paced.
package netio
