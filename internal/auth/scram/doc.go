// Package scram is the auth.Backend for SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677) through the AUTH packet of MQTT 5. Neither
// side sends the password, and the broker keeps only what proves that a client knows it.
//
// Users are in a file of ours, which unio passwd -H scram edits, with credentials for both methods in each line. Channel
// binding is not offered: the broker may sit behind something else that speaks TLS. A client that asks for it is refused.
//
// It starts no goroutine. Clients without enhanced authentication are not for this backend.
//
//	f, err := scram.Load("/etc/unio/scram")
//	chain := []auth.Backend{scram.New(f)}
package scram
