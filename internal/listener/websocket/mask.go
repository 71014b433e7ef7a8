package websocket

import (
	"encoding/binary"
	"math/bits"
)

// unmask writes src, unmasked with key (RFC 6455, 5.3), to dst, which is as long, and returns the key for the byte behind.
// The slices may overlap if dst does not begin behind src: each step loads before it stores, and a store reaches
// no byte of src that is still to be loaded.
func unmask(dst, src []byte, key uint32) uint32 {
	dst = dst[:len(src)]
	key64 := uint64(key)<<32 | uint64(key)
	for len(src) >= 32 {
		d, s := dst[:32], src[:32]
		a := binary.LittleEndian.Uint64(s) ^ key64
		b := binary.LittleEndian.Uint64(s[8:]) ^ key64
		c := binary.LittleEndian.Uint64(s[16:]) ^ key64
		e := binary.LittleEndian.Uint64(s[24:]) ^ key64
		binary.LittleEndian.PutUint64(d, a)
		binary.LittleEndian.PutUint64(d[8:], b)
		binary.LittleEndian.PutUint64(d[16:], c)
		binary.LittleEndian.PutUint64(d[24:], e)
		dst, src = dst[32:], src[32:]
	}
	for len(src) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^key64)
		dst, src = dst[8:], src[8:]
	}
	for i, b := range src {
		dst[i] = b ^ byte(key)
		key = bits.RotateLeft32(key, -8)
	}
	return key
}
