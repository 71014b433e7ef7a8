package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/bcrypt"
)

// maxBcryptCost bounds what a hash may ask of each CONNECT: about 4 s.
const maxBcryptCost = 16

// maxBcryptPassword is what of a password bcrypt looks at, in bytes.
const maxBcryptPassword = 72

// ParseForeignHash reads a hash of a database that others write, too: those of password files, and bcrypt ("$2a$", "$2b$", "$2y$").
func ParseForeignHash(text string) (*Hash, error) {
	if !strings.HasPrefix(text, "$2") {
		h, err := ParseHash(text)
		if err != nil && !looksHashed(text) {
			return nil, fmt.Errorf("expected a hashed password ($argon2id$, $7$, $6$ or $2b$), not plain text or another hash")
		}
		return h, err
	}
	const length = len("$2b$10$") + 22 + 31 // salt and hash in bcrypt's base64
	cost, err := bcrypt.Cost([]byte(text))
	if err != nil || len(text) != length {
		return nil, fmt.Errorf("expected $2b$COST$ and %d characters of salt and hash", length-len("$2b$10$"))
	}
	if cost > maxBcryptCost {
		return nil, fmt.Errorf("expected a cost of at most %d, not %d", maxBcryptCost, cost)
	}
	return &Hash{params: params{algorithm: bcryptHash, iterations: uint32(cost), length: length}, sum: []byte(text)}, nil
}

// matchesBcrypt refuses passwords that bcrypt does not tell from others: it looks at the first 72 bytes, and repeats the
// password with a NUL behind it until it has as many, so that "a" is "a\x00a".
func (h *Hash) matchesBcrypt(password []byte) bool {
	matches := bcrypt.CompareHashAndPassword(h.sum, password) == nil
	return matches && len(password) <= maxBcryptPassword && bytes.IndexByte(password, 0) < 0
}

// A Decoy makes the hash that an unknown user's password is checked against: one like the last that a known user had, so that
// the time does not tell whether a user exists. Its zero value is usable.
type Decoy struct{ last atomic.Pointer[Hash] }

// Like makes the next decoys cost what h does.
func (d *Decoy) Like(h *Hash) { d.last.Store(h) }

// Hash returns a hash that no password matches.
func (d *Decoy) Hash() *Hash {
	like := d.last.Load()
	if like == nil {
		like = &Hash{params: params{algorithm: PBKDF2, iterations: DefaultIterations, length: 64}, salt: make([]byte, newSHA512Salt)}
	}
	if like.algorithm == bcryptHash {
		// Another salt's hash of unknown text: the end of the text is the hash.
		sum := bytes.Clone(like.sum)
		copy(sum[len(sum)-31:], bytes.Repeat([]byte("."), 31))
		return &Hash{params: like.params, sum: sum, nobodys: true}
	}
	return like.decoy()
}

// decoy returns a hash that costs what h does, and that no password matches.
func (h *Hash) decoy() *Hash {
	decoy := &Hash{params: h.params, salt: make([]byte, len(h.salt)), sum: make([]byte, h.length), nobodys: true}
	_, _ = rand.Read(decoy.salt)
	_, _ = rand.Read(decoy.sum)
	return decoy
}

// Check checks a client's password against the hash that a database has for its user.
func (d *Decoy) Check(ctx context.Context, gate *Gate, r *Request, text string) (Answer, error) {
	hash, err := ParseForeignHash(text)
	if err != nil {
		return Answer{}, fmt.Errorf("user %q: %w", r.Client.Username, err)
	}
	d.Like(hash)
	ok, err := gate.Matches(ctx, r, hash)
	switch {
	case err != nil:
		return Answer{}, err
	case !ok:
		return Denied("wrong password"), nil
	}
	return Answer{Verdict: Allow, Reason: "password", Proof: text}, nil
}

// Unknown is Check for a user that the database does not have.
func (d *Decoy) Unknown(ctx context.Context, gate *Gate, r *Request) (Answer, error) {
	_, err := gate.Matches(ctx, r, d.Hash())
	return Unknown("unknown user"), err
}
