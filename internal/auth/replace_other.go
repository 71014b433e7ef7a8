//go:build !unix

package auth

import (
	"io/fs"
	"os"
)

// keepOwner does nothing: a new file inherits its folder's access rules here.
func keepOwner(*os.File, fs.FileInfo) error { return nil }

// syncFolder does nothing: folders cannot be synced here.
func syncFolder(string) error { return nil }

// ReadableByAll cannot tell here.
func ReadableByAll(fs.FileInfo) bool { return false }
