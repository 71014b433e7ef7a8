// Package auth decides who a client is: it checks the user name and the password of a
// CONNECT against password files in Mosquitto's format, and it edits such files for the
// command "unio passwd".
//
// It does not decide what a client may do, and it keeps no passwords in memory, only
// their hashes. It starts no goroutine: a hash is computed in the goroutine of the
// connection that asks, a bounded number of them at once.
//
//	p, err := auth.LoadPasswords("/etc/unio/passwd")
//	b, err := broker.New(broker.Options{
//		Authenticator: auth.New(auth.Options{Listener: auth.Listener{Passwords: p}}),
//	})
package auth
