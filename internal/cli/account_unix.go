//go:build unix

package cli

import "syscall"

// changeUser changes user and groups of the whole process. Groups come first: afterwards
// it may not change them.
func changeUser(who *account) error {
	if err := syscall.Setgroups(who.groups); err != nil {
		return err
	}
	if err := syscall.Setgid(who.gid); err != nil {
		return err
	}
	return syscall.Setuid(who.uid)
}
