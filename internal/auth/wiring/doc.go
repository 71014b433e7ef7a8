// Package wiring makes the backends that a configuration asks for, and the chains of its listeners. It reads the files that the
// options name, which is why backends get contents and not paths.
//
// A backend whose options and files are the same as before a reload is used on: its connections stay, and so do keys that were fetched. What
// it answered is forgotten. All mistakes are reported together as config.Errors.
package wiring
