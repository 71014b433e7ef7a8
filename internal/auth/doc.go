// Package auth decides who a client is: it asks the backends of each listener's chain, one of which is password files in Mosquitto's
// format, remembers what slow ones said, and carries enhanced authentication to the one that has the method. It edits password files for
// the command "unio passwd".
//
// It does not decide what a client may do, and it keeps no passwords in memory, only
// their hashes. Its only goroutines wait for what Set replaced to become idle: a hash is computed in the goroutine of the
// connection that asks, a bounded number of them at once.
//
//	p, err := auth.LoadPasswords("/etc/unio/passwd")
//	b, err := broker.New(broker.Options{
//		Authenticator: auth.New(auth.Options{Listener: auth.Listener{Passwords: p}}),
//	})
package auth
