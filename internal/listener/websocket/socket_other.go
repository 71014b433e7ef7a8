//go:build !unix

package websocket

import "io"

// socket returns nil: sockets are not written without waiting here.
func (c *Conn) socket() io.Writer { return nil }
