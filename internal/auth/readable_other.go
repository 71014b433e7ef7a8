//go:build !unix

package auth

import "io/fs"

// ReadableByAll cannot tell here.
func ReadableByAll(fs.FileInfo) bool { return false }
