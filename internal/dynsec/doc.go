// Package dynsec is Mosquitto's dynamic security: clients, groups and roles in a JSON file, which authorized clients change
// by commands on $CONTROL/dynamic-security/v1 while the broker runs. Its plugin is not loaded; files, commands, answers and decisions are
// those of Mosquitto 2.1, and its 2.0 reads files that came from it. docs/dynamic-security.md lists what differs.
//
// A [Security] has the content of one file. It says who a client is ([Security.Check]) and, as rules of package acl, what it
// may do ([Security.Rules]): every change makes a new acl.Rules, whose owner puts it in force ([Options.Changed]). For a client they are the rules
// of its roles by priority, then those of its groups, in the order in which Mosquitto looks at them; the first that matches decides.
//
// A request is answered when the file is written: beside the old one, synced and renamed. Whoever loses rights by it is
// disconnected ([Options.Clients] and [Options.Disconnect]), the one who asked last of all.
//
// The package starts no goroutine. Requests come one at a time, and may wait for the disk; nothing else waits for them but for
// the short time in which a change is made.
package dynsec
