// Package arch holds tests of the architecture itself and no code: which package may import which (imports.txt),
// which external modules are used where and why (deps.txt), the purity of the protocol core, tidiness with its listed
// exceptions (exceptions.txt), the ledger of the specification's statements (docs/spec), and that the documents name
// what there is.
//
// The lists are allow-lists: what they do not name fails, and so does a line that nothing needs any more. A change
// that must bend a rule edits a list, where a reviewer sees it.
//
// The tests parse the tree with go/parser, whatever the build tags, and need nothing but Go.
package arch
