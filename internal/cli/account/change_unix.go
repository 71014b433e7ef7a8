//go:build unix

package account

import "syscall"

// Become changes user and groups of the whole process. Groups come first: afterwards
// it may not change them.
func (a *Account) Become() error {
	if err := syscall.Setgroups(a.Groups); err != nil {
		return err
	}
	if err := syscall.Setgid(a.GID); err != nil {
		return err
	}
	return syscall.Setuid(a.UID)
}
