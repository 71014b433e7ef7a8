// Package acl decides what a client may do, by the rules of ACL files in Mosquitto's
// format.
//
// A rule grants or denies the messages whose topic its filter matches. "read" is about
// the messages that a client receives, "write" about those that it publishes. A file has
// three kinds of rules: those of one user, those of clients without a user name, and
// patterns, which hold for everybody and in which %u and %c stand for the user name and
// the client id. What no rule grants is denied. See docs/access.md for the details.
//
// [Rules.Explain] is the definition: it goes through the rules as they are written.
// [Rules.Authorize] gives the same answers from filters compiled into trees, without
// allocation, and serves every message. Nothing is computed or kept per connection: the
// user's tree is found by name, and patterns are compared with the client's own values
// where they stand, without being written out.
//
// The package has no goroutines, and no state that changes except for [Authorizer.Set].
//
//	f, err := acl.Load("/etc/unio/acl")
//	b, err := broker.New(broker.Options{
//		Authorizer: acl.New(acl.Options{Rules: f.Compile()}),
//	})
package acl
