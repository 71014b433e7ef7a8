package psk

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"
)

// protector encrypts or decrypts the records of one direction. It counts them.
type protector interface {
	// seal appends what p becomes, without the record's header.
	seal(dst []byte, typ recordType, p []byte) []byte
	// open decrypts what followed a record's header, in place.
	open(typ recordType, p []byte) ([]byte, error)
	// overhead is by how many bytes a record may grow.
	overhead() int
}

// errMAC says no more than that: which check failed is nobody's business.
var errMAC error = &violation{alertBadRecordMAC, "a record is not authentic"}

// associated is what is authenticated besides a record's content (RFC 5246, 6.2.3.3).
type associated [13]byte

// next fills it in for a record, and counts. 2^64 records never come.
func (a *associated) next(sequence *uint64, typ recordType, length int) []byte {
	binary.BigEndian.PutUint64(a[:], *sequence)
	a[8] = byte(typ)
	binary.BigEndian.PutUint16(a[9:], version12)
	binary.BigEndian.PutUint16(a[11:], uint16(length))
	*sequence++
	return a[:]
}

// gcm is AES-GCM as in RFC 5288, 3: the nonce is a salt from the key block and eight bytes in the record, here
// the record's number, so that none comes twice.
type gcm struct {
	aead     cipher.AEAD
	sequence uint64
	nonce    [12]byte
	data     associated
}

func newGCM(_, key, iv []byte) protector {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the length of the key is the suite's
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	g := &gcm{aead: aead}
	copy(g.nonce[:], iv)
	return g
}

func (g *gcm) overhead() int { return 8 + g.aead.Overhead() }

func (g *gcm) seal(dst []byte, typ recordType, p []byte) []byte {
	binary.BigEndian.PutUint64(g.nonce[4:], g.sequence)
	dst = append(dst, g.nonce[4:]...)
	return g.aead.Seal(dst, g.nonce[:], p, g.data.next(&g.sequence, typ, len(p)))
}

func (g *gcm) open(typ recordType, p []byte) ([]byte, error) {
	if len(p) < g.overhead() {
		return nil, errMAC
	}
	copy(g.nonce[4:], p)
	p = p[8:]
	plain, err := g.aead.Open(p[:0], g.nonce[:], p, g.data.next(&g.sequence, typ, len(p)-g.aead.Overhead()))
	if err != nil {
		return nil, errMAC
	}
	return plain, nil
}

// chacha20 is ChaCha20-Poly1305 as in RFC 7905, 2: the nonce is the record's number, masked.
type chacha20 struct {
	aead     cipher.AEAD
	sequence uint64
	iv       [12]byte
	nonce    [12]byte
	data     associated
}

func newChaCha20(_, key, iv []byte) protector {
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		panic(err) // the length of the key is the suite's
	}
	c := &chacha20{aead: aead}
	copy(c.iv[:], iv)
	return c
}

func (c *chacha20) overhead() int { return c.aead.Overhead() }

func (c *chacha20) mask() []byte {
	clear(c.nonce[:4])
	binary.BigEndian.PutUint64(c.nonce[4:], c.sequence)
	subtle.XORBytes(c.nonce[:], c.nonce[:], c.iv[:])
	return c.nonce[:]
}

func (c *chacha20) seal(dst []byte, typ recordType, p []byte) []byte {
	nonce := c.mask()
	return c.aead.Seal(dst, nonce, p, c.data.next(&c.sequence, typ, len(p)))
}

func (c *chacha20) open(typ recordType, p []byte) ([]byte, error) {
	if len(p) < c.overhead() {
		return nil, errMAC
	}
	nonce := c.mask()
	plain, err := c.aead.Open(p[:0], nonce, p, c.data.next(&c.sequence, typ, len(p)-c.overhead()))
	if err != nil {
		return nil, errMAC
	}
	return plain, nil
}

// cbc is AES-CBC with HMAC-SHA-256, encrypt-then-MAC (RFC 7366, 3). Nothing is decrypted before the MAC over the initialization
// vector and the ciphertext holds, so that padding is no oracle.
type cbc struct {
	block    cipher.Block
	mac      hash.Hash
	sequence uint64
	sum      [sha256.Size]byte
	data     associated
}

func newCBC(mac, key, _ []byte) protector {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the length of the key is the suite's
	}
	return &cbc{block: block, mac: hmac.New(sha256.New, mac)}
}

// overhead is an initialization vector, padding of up to 256 bytes with its length, and a MAC.
func (c *cbc) overhead() int { return aes.BlockSize + 256 + sha256.Size }

// authenticate returns the MAC of a record's first part.
func (c *cbc) authenticate(typ recordType, p []byte) []byte {
	c.mac.Reset()
	c.mac.Write(c.data.next(&c.sequence, typ, len(p)))
	c.mac.Write(p)
	return c.mac.Sum(c.sum[:0])
}

func (c *cbc) seal(dst []byte, typ recordType, p []byte) []byte {
	start := len(dst)
	var iv [aes.BlockSize]byte
	_, _ = rand.Read(iv[:]) // never fails
	dst = append(dst, iv[:]...)
	dst = append(dst, p...)
	padding := aes.BlockSize - 1 - len(p)%aes.BlockSize
	for range padding + 1 {
		dst = append(dst, byte(padding))
	}
	content := dst[start+aes.BlockSize:]
	cipher.NewCBCEncrypter(c.block, iv[:]).CryptBlocks(content, content)
	return append(dst, c.authenticate(typ, dst[start:])...)
}

func (c *cbc) open(typ recordType, p []byte) ([]byte, error) {
	n := len(p) - sha256.Size
	if n < 2*aes.BlockSize || n%aes.BlockSize != 0 {
		return nil, errMAC
	}
	if subtle.ConstantTimeCompare(c.authenticate(typ, p[:n]), p[n:]) != 1 {
		return nil, errMAC
	}
	iv, content := p[:aes.BlockSize], p[aes.BlockSize:n]
	cipher.NewCBCDecrypter(c.block, iv).CryptBlocks(content, content)
	padding := int(content[len(content)-1])
	if padding >= len(content) {
		return nil, errMAC
	}
	plain := content[:len(content)-padding-1]
	for _, b := range content[len(plain):] {
		if int(b) != padding {
			return nil, errMAC
		}
	}
	return plain, nil
}
