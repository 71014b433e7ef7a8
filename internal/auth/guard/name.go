package guard

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The limits of names, in bytes.
const (
	maxName   = 128  // that is kept as it is
	maxFolded = 1024 // that is folded: no directory has longer ones
)

// nameOf returns what stands for a user name: long ones are cut, so that they cost no memory.
func nameOf(user string) string {
	if len(user) <= maxName {
		return user
	}
	sum := sha256.Sum256([]byte(user))
	const shown = maxName / 2
	return fmt.Sprintf("%s...%x", strings.ToValidUTF8(user[:shown], ""), sum[:8])
}

// fold returns what names have in common that some directory or database takes for the same: LDAP (RFC 4518) and the usual
// collations of databases ignore case, forms of a letter, accents, what is not seen, and how many spaces there are.
func fold(user string) string {
	if len(user) > maxFolded {
		return user
	}
	letters := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Mn, unicode.Cf, unicode.Cc):
			return -1
		}
		return unicode.ToLower(unicode.ToUpper(r))
	}, norm.NFKD.String(user))
	if folded := strings.Join(strings.Fields(letters), " "); folded != "" {
		return folded
	}
	return user
}
