//go:build !unix

package files

import (
	"errors"
	"io/fs"
	"os"
)

const noFollow = 0

// owner cannot tell here.
func owner(fs.FileInfo) (uid, gid int, ok bool) { return 0, 0, false }

func ownedByRoot(fs.FileInfo) bool { return false }

func names(fs.FileInfo) int { return 1 }

func duplicate(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

// syncFolder does nothing: folders cannot be synced here.
func syncFolder(string) error { return nil }

// mayMakeFiles leaves it to the attempt.
func mayMakeFiles(string) error { return nil }
