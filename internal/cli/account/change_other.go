//go:build !unix

package account

// Become does nothing: no process of this system is root's.
func (*Account) Become() error { return nil }
