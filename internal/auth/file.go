package auth

import "os"

// ReplaceFile puts data in the place of a file at once, synced to disk; where there is none it makes one that only its owner may read. Mode and
// owner of an old one are kept. Where path is a link, the file that it leads to is replaced.
func ReplaceFile(path string, data []byte) error { return replaceFile(path, data, os.Rename) }
