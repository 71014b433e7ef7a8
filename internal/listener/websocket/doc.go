// Package websocket serves MQTT over WebSocket (RFC 6455; MQTT 5.0 and 3.1.1, chapter 6). [New] wraps a listener: net/http
// reads the upgrade request on the connections that it accepts, and [Listener.Accept] yields what was upgraded as a [Conn], a
// net.Conn that carries the bytes of MQTT. Files of a folder can be served beside it, for web pages that then connect.
//
// # Framing
//
// The framing is our own, because libraries pull from a reader and keep buffers: a Conn decodes in place, in the buffer that
// the caller reads into, and holds no memory of its own while nothing happens. Frames and messages have nothing to do with
// the boundaries of MQTT packets [MQTT-6.0.0-2]. Nothing of a frame is kept for later but its header, and what of a control
// frame has arrived, so an announced length costs nothing; it is nevertheless held against [Options.MaxFrame].
//
// A Conn deliberately does not negotiate extensions (permessage-deflate), does not send pings (MQTT has its own), does not
// send text frames, and is no client.
//
// # Close codes
//
// What a Conn sends to a client before it ends the connection (RFC 6455, 7.4.1), and the cause:
//
//	1000  the broker closed the connection; the reason is in a DISCONNECT packet or nowhere
//	1002  not masked, a reserved bit or opcode, a length that is not the shortest or beyond 63 bits, a control frame that is
//	      fragmented or longer than 125 bytes, a continuation of nothing, a new message within one, a bad close frame
//	1003  a text frame: only binary frames carry MQTT [MQTT-6.0.0-1]
//	1007  a close frame whose reason is not UTF-8
//	1009  a frame longer than Options.MaxFrame
//
// A client's close frame is answered with its own code, or without one if it had none; then the connection reads io.EOF.
//
// # Handshake
//
// Sub-protocols are "mqtt" [MQTT-6.0.0-3] and, for clients of 2014, "mqttv3.1"; the first that the client offers is taken. A
// request that offers neither is refused with status 400: the standard demands one, Mosquitto closes such a connection, and
// a browser would drop a connection whose answer names a protocol that it did not ask for. Any path will do, as in
// Mosquitto. A wrong Origin is closed without an answer, as in Mosquitto; other refusals say what was expected.
//
// # Goroutines
//
// New starts one goroutine, in which net/http accepts; net/http starts one per connection, which ends when the upgraded
// connection was accepted. [Listener.Close] waits for all of them. A Conn has no goroutine.
package websocket
