// Package psk is TLS 1.2 with pre-shared keys, both ends of it, which crypto/tls lacks: what Mosquitto does with
// psk_hint and psk_file, and mosquitto_pub with --psk. Of the client end only tests make use until unio pub has --psk. The protocol
// is ours; all cryptography is that of the standard library and of golang.org/x/crypto.
//
// It has eight cipher suites: PSK (RFC 4279, 5487) and ECDHE_PSK (RFC 5489, 8442), each with AES-128-GCM, AES-256-GCM,
// ChaCha20-Poly1305 (RFC 7905) and AES-128-CBC. The groups are X25519 and P-256. It reads Mosquitto's psk_file, too
// ([LoadKeys]).
//
//	l := psk.NewListener(inner, &psk.ServerConfig{Hint: "factory", Lookup: keys.Lookup})
//
// # Decisions
//
//   - TLS 1.2 alone. A client of TLS 1.3 that offers 1.2 as well is served with 1.2. One that does not hears protocol_version.
//   - Wrong key, unknown identity, and an identity that cannot be (empty, no UTF-8, with a NUL) are answered alike. A random key takes the
//     missing one's place, the handshake goes on, and ends where the client's Finished cannot be decrypted. Only the error that the
//     server's caller gets tells them apart ([RefusedError]). The time differs by what Lookup makes of it, and by a block of SHA-2 if keys
//     are longer or shorter than 32 bytes. The alert unknown_psk_identity (RFC 4279, 2) is never sent.
//   - The extended master secret (RFC 7627) is used with whoever offers it, and not required: devices of its time and before do without.
//     What it prevents needs resumption, renegotiation, or channel bindings, and none of these is here.
//   - CBC exists with encrypt-then-MAC alone (RFC 7366). MAC-then-encrypt, where padding becomes an oracle (Lucky 13), is refused.
//   - No resumption, neither by session id nor by ticket. It would save the public-key operations of a handshake; PSK has none, and those of
//     ECDHE are what makes each connection's keys its own. A ticket would be a second secret that opens the door.
//   - No renegotiation: the wish is answered with the warning no_renegotiation, and the fourth ends the connection. The indication
//     of RFC 5746, extension or SCSV, is answered. A client here insists on it.
//   - No compression. TLS_FALLBACK_SCSV is honoured (RFC 7507).
//   - A server prefers forward secrecy, then AEAD; among groups the client's order counts. Without ECDHE, whoever learns the key can
//     decrypt old recordings, and can search for a weak key in one. A key should be 16 random bytes or more; nothing here checks that, since a
//     file of short keys works with Mosquitto.
//   - An end without close_notify is io.EOF between two records, and io.ErrUnexpectedEOF inside of one. MQTT says by itself when it is over.
//   - AES-GCM's nonces are counted, so none repeats. There is no limit on the data of a connection: an advantage of 2^-32 for an observer
//     takes petabytes.
//   - What comes in the clear from a peer is parsed by golang.org/x/crypto/cryptobyte, which checks all lengths. All handshake messages of
//     a connection have 16 KiB together, renegotiation included; memory grows as bytes arrive, not as they are announced.
//   - Whatever is compared with a secret is compared in constant time. Where the processor has no instructions for AES, crypto/aes uses tables,
//     whose time depends on the key; there, let ciphers name ChaCha20 alone. Keys are not wiped from memory, as Go can't promise it.
//
// It deliberately has no certificates, no DHE_PSK and RSA_PSK, no session store, and no way to change a connection's configuration.
//
// # Goroutines and buffers
//
// The package starts no goroutine. An idle connection holds no buffer: what has arrived of a record is kept only until it is complete, and
// memory to write comes from a pool. Reading and writing may go on at the same time; an alert that reading causes is sent by
// whoever writes, if somebody does ([Conn.TryRead]).
package psk
