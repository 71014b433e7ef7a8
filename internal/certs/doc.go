// Package certs turns files with certificates, keys and revocation lists into a *tls.Config for a listener, and keeps it current.
//
// A [Source] is opened from [Options], which mean what the options of the same name mean in mosquitto.conf. [Source.Config] gives one
// *tls.Config for the life of the listener; each handshake takes what is in force at that moment. [Source.Reload] reads all files anew and
// then swaps at once; if anything is wrong with them it returns the error, and what was in force stays in force. Connections that exist
// are not touched. [Source.Watch] does so by itself when the files change.
//
//	source, err := certs.Open(certs.Options{CertFile: "server.pem", KeyFile: "server.key"})
//	...
//	listener := tlsconn.NewListener(inner, source.Config())
//
// # Client certificates
//
// With RequireCertificate, a client must show a certificate that an authority of CAFile or CAPath signed and that is meant for clients, if
// it says what it is meant for. Without, none is asked for, as in Mosquitto. Every certificate in CAFile and CAPath is an anchor, an
// intermediate authority too; OpenSSL also wants the root.
//
// With a CRLFile, revocation is checked as OpenSSL does it with X509_V_FLAG_CRL_CHECK: the client's certificate needs a list of its issuer
// that is current. If that list is missing, not yet valid or past its NextUpdate, the client is refused: whoever configures revocation
// wants nobody let in unchecked. A certificate that any current list of its issuer names is refused. Beyond OpenSSL, intermediate
// authorities are looked up as well, but need no list. The signature of a list is checked against the authority that issued it, when it is
// loaded if that authority is in CAFile or CAPath, else in the handshake.
//
// A client that resumes a session shows no certificate again, so the one of its first handshake is verified anew against the
// authorities, dates and revocation lists now in force.
//
// # ACME
//
// With [ACME] instead of files, golang.org/x/crypto/acme/autocert obtains the certificate in the first handshake that needs it, and renews
// it. The authority checks the domain on port 443 (tls-alpn-01), which must lead to this listener. These certificates are not among [Source.Certificates].
//
// # Deliberately not here
//
// The package opens no listener and accepts no connection. It starts one goroutine per [Watch], which Close waits for. OCSP is not asked:
// Mosquitto's listeners do not either. Encrypted private keys are refused, since a broker that starts by itself has nobody to ask for
// the passphrase. crypto/tls itself chooses the order of cipher suites, the groups for the key exchange (X25519MLKEM768 first) and when
// the keys of session tickets rotate.
package certs
