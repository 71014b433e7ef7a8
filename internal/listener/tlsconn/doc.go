// Package tlsconn is TLS for connections that are idle most of the time.
//
// A [Listener] wraps the connections of another listener. Each [Conn] is a net.Conn like that of crypto/tls, by which it is done, and it
// can also be used without waiting: TryRead, TryWrite and TryClose take from and give to a socket only what is possible at once, so that
// whoever owns the socket can park on it without a buffer. The caller chooses call by call:
//
//	listener := tlsconn.NewListener(inner, config)
//	nc, _ := listener.Accept()
//	conn := nc.(*tlsconn.Conn)
//	err := conn.HandshakeContext(ctx)       // may wait
//	n, err := conn.Read(p)                  // may wait
//	n, err = conn.TryRead(sock, p)          // never waits: syscall.EAGAIN
//
// # How
//
// crypto/tls reads from and writes to a net.Conn. The one that it gets here, link, answers a read with syscall.EAGAIN when the socket has
// nothing. That is a temporary net.Error: crypto/tls keeps what it has of a record and goes on at the next read. A failed write, on the
// other hand, is final for crypto/tls, so once the handshake is over link takes all writes into memory, and Conn brings them to the
// socket. What crypto/tls writes on its own account while it reads, the answer to a key update or an alert, waits there for the next
// write, or for a wait in Read.
//
// A Conn that is idle holds the state of crypto/tls, which includes its buffer of raw input: as large as the largest record so far, 2 to
// 20 kB. Buffers of this package are pooled and held only while the socket is full.
//
// # Deliberately not here
//
// Certificates and what is asked of clients are in the tls.Config; package certs makes it. No goroutine is started.
package tlsconn
