// Package acl decides what a client may do, by the rules of ACL files in Mosquitto's format and of rules files, and says why.
//
// All front ends compile into one model. A [Rule] grants or denies some actions, under conditions on the client and on the
// single question, on topics that its filters match. A [Model] puts rules into the one order in which they decide: the first one that matches does. See
// docs/access.md and docs/rules.md for what users see, and docs/adr/0011 for why.
//
// When a client is first asked about, what its rules ask of the client itself is evaluated, and the rules that are left are a view: a list
// with a tree of filters, which all clients share for which the same rules are left. It is kept in broker.Client.Rights and found anew
// when the rules change. Placeholders are compared with the client's own values where they stand in the tree, without being written out. So
// [Authorizer.Authorize] serves every message without allocation. [Authorizer.Explain] uses the same search.
//
// The package decides nothing about passwords, and disconnects nobody.
// It has no goroutines, and no state that changes except for [Authorizer.Set] and the views that are in use.
//
//	f, err := acl.LoadRules("/etc/unio/rules")
//	b, err := broker.New(broker.Options{
//		Authorizer: acl.New(acl.Options{Rules: []*acl.Rules{f.Compile()}}),
//	})
package acl
