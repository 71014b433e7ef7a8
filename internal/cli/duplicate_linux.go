package cli

import "syscall"

// duplicate makes the descriptor to stand for what from does.
func duplicate(from, to int) error { return syscall.Dup3(from, to, 0) }
