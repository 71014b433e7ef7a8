// Package doors has tests alone: they come in by every door that a listener can have, TLS, client certificates, pre-shared keys, WebSocket, the
// PROXY protocol, Unix sockets, with other people's clients, through a configuration file and the built binary.
//
// Certificates are made by the tests. What they need from Debian is mosquitto-clients, openssl, haproxy, chromium, nodejs and npm; a test whose
// tool is missing is skipped, unless UNIO_REQUIRE_INTEROP is set. Every test has brokers of its own; nobody waits for a fixed time.
package doors
