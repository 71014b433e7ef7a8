// Package guard holds up who guesses passwords: the answer to a failed login is kept back for a time that grows, and an address, or a
// user name, with too many failures is banned for a time.
//
// What counts is different wrong credentials within a window. A device that tries its one outdated password for ever, alone
// or beside others behind the same address, is not banned for it. Who has logged in with a name from an address goes on being let in
// from there with that name while the address or the name is banned, so that an attacker can lock out neither a user nor the neighbours;
// such a pair is banned only for its own failures. An address that several users have logged in from is one that many share, a proxy or
// a gateway: it is not banned as a whole.
//
// A ban of a name holds for all spellings that some directory or database takes for the same: one that ignores case and accents, say. It does not
// hold for who proves the name by a certificate or a pre-shared key, whose own failures count apart.
//
// An IPv6 address stands for its /64. Everything is bounded: of addresses, names and pairs the ones that were not seen for the longest
// are forgotten first. Passwords are not kept, only tags that mean nothing outside of the process.
//
// It starts no goroutine and reads no clock but through time.Now.
//
//	g := guard.New(guard.Options{Attempts: 20, Window: 5 * time.Minute, Time: 10 * time.Minute})
package guard
