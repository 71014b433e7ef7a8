package topic

import "math/bits"

// compare orders names level by level, which is the order of bytes with '/' before
// all others. All names below "a" then follow "a" directly, where the order of
// bytes would put "a-b" between "a" and "a/b".
func compare[B string | []byte](a string, b B) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if d := word(a, i) ^ word(b, i); d != 0 {
			i += bits.TrailingZeros64(d) / 8
			return rank(a[i]) - rank(b[i])
		}
	}
	for ; i < n; i++ {
		if a[i] != b[i] {
			return rank(a[i]) - rank(b[i])
		}
	}
	return len(a) - len(b)
}

// word returns the eight bytes from i on, the first in the lowest bits. The
// compiler makes one load of it.
func word[B string | []byte](s B, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// rank is a byte's place in the order of compare.
func rank(c byte) int {
	switch {
	case c == '/':
		return 0
	case c < '/':
		return int(c) + 1
	}
	return int(c)
}

// afterSlash is the byte whose rank follows that of '/'.
const afterSlash = 0
