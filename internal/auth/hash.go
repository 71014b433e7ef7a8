package auth

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Algorithm is a way to hash passwords.
type Algorithm uint8

// The algorithms of password files. The zero value is the one to use.
const (
	Argon2id   Algorithm = iota // "$argon2id$...", Mosquitto 2.1 and later
	PBKDF2                      // "$7$...", PBKDF2 with HMAC-SHA-512, Mosquitto 2.0 and later
	SHA512                      // "$6$...", one round of SHA-512, all of Mosquitto
	bcryptHash                  // "$2b$...", not of password files: see ParseForeignHash
)

// algorithmNames are the names that mosquitto_passwd -H knows.
var algorithmNames = [...]string{Argon2id: "argon2id", PBKDF2: "sha512-pbkdf2", SHA512: "sha512"}

// String returns the name that "unio passwd -H" knows.
func (a Algorithm) String() string {
	if int(a) >= len(algorithmNames) {
		return "bcrypt"
	}
	return algorithmNames[a]
}

// ParseAlgorithm returns the algorithm of a name.
func ParseAlgorithm(name string) (Algorithm, error) {
	for a, n := range algorithmNames {
		if n == name {
			return Algorithm(a), nil
		}
	}
	return 0, fmt.Errorf("unknown hash type '%s', expected %s", name, strings.Join(algorithmNames[:], ", "))
}

// DefaultIterations is the number of PBKDF2's iterations if none is given, as in
// Mosquitto 2.1.
const DefaultIterations = 1000

// The limits of what a file may ask of each CONNECT. They are far above what is in use,
// and keep a mistyped digit from stopping the broker.
const (
	maxIterations = 10_000_000 // of PBKDF2: some seconds
	maxTime       = 1000       // passes of Argon2
	maxMemory     = 1 << 20    // KiB of Argon2: 1 GiB
	maxSalt       = 1024       // bytes
	minArgon2Sum  = 16         // bytes
	maxArgon2Sum  = 1024       // bytes
)

// The parameters of new hashes: those of Mosquitto. Mosquitto 2.0 reads no other length
// of salt than 12 bytes, 2.1 that and 64.
const (
	argon2Version = argon2.Version
	newTime       = 1
	newMemory     = 47104 // KiB
	newThreads    = 1
	newArgon2Salt = 64
	newSHA512Salt = 12
)

// A Hash is the salted hash of one password, as a line of a password file has it behind
// the user name. It does not change.
type Hash struct {
	params
	salt, sum []byte
	nobodys   bool // no user's: no password matches
}

// params are what determines the cost of a check.
type params struct {
	algorithm  Algorithm
	iterations uint32 // passes of Argon2, iterations of PBKDF2
	memory     uint32 // KiB, Argon2 only
	threads    uint8  // Argon2 only
	length     int    // bytes of sum
}

// NewHash hashes a password with a salt of its own. Iterations are PBKDF2's, 0 is
// DefaultIterations; the other algorithms do not use them.
func NewHash(a Algorithm, iterations int, password []byte) (*Hash, error) {
	h := &Hash{params: params{algorithm: a, length: sha512.Size}}
	salt := newSHA512Salt
	switch a {
	case Argon2id:
		h.iterations, h.memory, h.threads = newTime, newMemory, newThreads
		salt = newArgon2Salt
	case PBKDF2:
		if iterations == 0 {
			iterations = DefaultIterations
		}
		if iterations < 1 || iterations > maxIterations {
			return nil, fmt.Errorf("expected 1 to %d iterations, not %d", maxIterations, iterations)
		}
		h.iterations = uint32(iterations)
		if ambiguous(a, password) {
			return nil, fmt.Errorf("expected a password that does not end in NUL, for %v", a)
		}
	case SHA512:
	default:
		return nil, fmt.Errorf("%v hashes are only read", a)
	}
	h.salt = make([]byte, salt)
	_, _ = rand.Read(h.salt) // it does not fail, see crypto/rand
	var err error
	h.sum, err = h.hash(password)
	return h, err
}

// Matches reports whether the password is the one that was hashed, and not empty: nobody logs in
// with an empty password, even if a file has its hash. It takes the same time for every password
// of one length.
func (h *Hash) Matches(password []byte) bool { return h.matches(password) && len(password) > 0 }

func (h *Hash) matches(password []byte) bool {
	if h.algorithm == bcryptHash {
		return h.matchesBcrypt(password)
	}
	sum, err := h.hash(password)
	return err == nil && subtle.ConstantTimeCompare(sum, h.sum) == 1 && !ambiguous(h.algorithm, password)
}

// ambiguous reports whether the algorithm does not tell the password from another one:
// HMAC fills its key up with NULs [RFC 2104, 2], so to PBKDF2 those at the end of a
// password are nothing. Such passwords are refused; NUL is a byte like any other.
func ambiguous(a Algorithm, password []byte) bool {
	return a == PBKDF2 && len(password) > 0 && password[len(password)-1] == 0
}

func (h *Hash) hash(password []byte) ([]byte, error) {
	switch h.algorithm {
	case Argon2id:
		return argon2.IDKey(password, h.salt, h.iterations, h.memory, h.threads, uint32(h.length)), nil
	case PBKDF2:
		return pbkdf2.Key(sha512.New, string(password), h.salt, int(h.iterations), h.length)
	default:
		d := sha512.New()
		d.Write(password)
		d.Write(h.salt)
		return d.Sum(nil), nil
	}
}

// String returns the hash as a password file has it.
func (h *Hash) String() string {
	switch h.algorithm {
	case bcryptHash:
		return string(h.sum)
	case Argon2id:
		b := base64.RawStdEncoding
		return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2Version,
			h.memory, h.iterations, h.threads, b.EncodeToString(h.salt), b.EncodeToString(h.sum))
	case PBKDF2:
		b := base64.StdEncoding
		return fmt.Sprintf("$7$%d$%s$%s", h.iterations, b.EncodeToString(h.salt), b.EncodeToString(h.sum))
	default:
		b := base64.StdEncoding
		return fmt.Sprintf("$6$%s$%s", b.EncodeToString(h.salt), b.EncodeToString(h.sum))
	}
}

// hashPrefixes are how hashes begin, and what each is to look like.
var hashPrefixes = [...]struct {
	prefix, form string
	algorithm    Algorithm
}{
	{"$argon2id$", "$argon2id$v=19$m=KIB,t=PASSES,p=THREADS$SALT$HASH", Argon2id},
	{"$7$", "$7$ITERATIONS$SALT$HASH", PBKDF2},
	{"$6$", "$6$SALT$HASH", SHA512},
}

// looksHashed reports whether a text begins as a hash does.
func looksHashed(text string) bool {
	for _, p := range hashPrefixes {
		if strings.HasPrefix(text, p.prefix) {
			return true
		}
	}
	return false
}

// ParseHash reads a hash as a password file has it. The error says what was expected.
func ParseHash(text string) (*Hash, error) {
	for _, p := range hashPrefixes {
		rest, found := strings.CutPrefix(text, p.prefix)
		if !found {
			continue
		}
		fields := strings.Split(rest, "$")
		if len(fields) != strings.Count(p.form, "$")-1 {
			return nil, fmt.Errorf("expected %s", p.form)
		}
		h := &Hash{params: params{algorithm: p.algorithm}}
		if err := h.parse(fields); err != nil {
			return nil, fmt.Errorf("expected %s, but %w", p.form, err)
		}
		return h, nil
	}
	return nil, errors.New("expected a hashed password ($argon2id$, $7$ or $6$), not plain text or another hash; " +
		"`unio passwd -U FILE` hashes the plain text passwords of a file")
}

// parse reads the fields between the dollar signs, from behind the algorithm's name.
func (h *Hash) parse(fields []string) error {
	var err error
	encoding := base64.StdEncoding
	minLength, maxLength := sha512.Size, sha512.Size
	switch h.algorithm {
	case Argon2id:
		encoding = base64.RawStdEncoding
		minLength, maxLength = minArgon2Sum, maxArgon2Sum
		if err = h.parseArgon2(fields[0], fields[1]); err != nil {
			return err
		}
	case PBKDF2:
		if h.iterations, err = number("ITERATIONS", fields[0], 1, maxIterations); err != nil {
			return err
		}
	default:
	}
	fields = fields[len(fields)-2:]
	if h.salt, err = encoding.DecodeString(fields[0]); err != nil || len(h.salt) == 0 || len(h.salt) > maxSalt {
		return fmt.Errorf("SALT is not base64 of 1 to %d bytes", maxSalt)
	}
	h.sum, err = encoding.DecodeString(fields[1])
	h.length = len(h.sum)
	if err != nil || h.length < minLength || h.length > maxLength {
		if minLength == maxLength {
			return fmt.Errorf("HASH is not base64 of %d bytes", minLength)
		}
		return fmt.Errorf("HASH is not base64 of %d to %d bytes", minLength, maxLength)
	}
	return nil
}

// parseArgon2 reads the version and the parameters.
func (h *Hash) parseArgon2(version, parameters string) error {
	if version != "v="+strconv.Itoa(argon2Version) {
		return fmt.Errorf("the version is %q", version)
	}
	ps := strings.Split(parameters, ",")
	if len(ps) != 3 {
		return fmt.Errorf("the parameters are %q", parameters)
	}
	var values [3]uint32
	for i, p := range [3]struct {
		name     string
		min, max uint32
	}{{"m", 8, maxMemory}, {"t", 1, maxTime}, {"p", 1, 255}} {
		text, found := strings.CutPrefix(ps[i], p.name+"=")
		if !found {
			return fmt.Errorf("the parameters are %q", parameters)
		}
		var err error
		if values[i], err = number(p.name, text, p.min, p.max); err != nil {
			return err
		}
	}
	h.memory, h.iterations, h.threads = values[0], values[1], uint8(values[2])
	if h.memory < 8*uint32(h.threads) { // RFC 9106, 3.1
		return fmt.Errorf("m is less than 8 times p")
	}
	return nil
}

func number(name, text string, least, most uint32) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n < uint64(least) || n > uint64(most) {
		return 0, fmt.Errorf("%s is %q, not %d to %d", name, text, least, most)
	}
	return uint32(n), nil
}
