//go:build !unix

package websocket

// echoParked is echo here: sockets are not read without waiting.
func echoParked(c *Conn) error { return echo(c) }
