//go:build unix

package auth

import "io/fs"

// ReadableByAll reports whether every user of the machine may read the file.
func ReadableByAll(info fs.FileInfo) bool { return info.Mode().Perm()&0o004 != 0 }
