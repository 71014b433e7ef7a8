package certs

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Options say where certificates are and what is asked of clients. The words in brackets are those of mosquitto.conf.
type Options struct {
	// CertFile [certfile] and KeyFile [keyfile] are the server's certificate, followed by those of intermediate authorities, and its
	// private key, both PEM. Needed, unless ACME is set.
	CertFile, KeyFile string
	// CAFile [cafile] and CAPath [capath] are the authorities that sign clients' certificates: a PEM file, and a folder of them of
	// which the files *.pem, *.crt, *.cer and OpenSSL's hashed links (0a1b2c3d.0) are read. Those that vouch for the server's
	// certificate are sent with it if CertFile has none but it.
	CAFile, CAPath string
	// CRLFile [crlfile] has revocation lists, PEM or DER, several in a row if PEM.
	CRLFile string
	// RequireCertificate [require_certificate] makes clients show a certificate.
	RequireCertificate bool
	// DisableClientDateChecks [disable_client_cert_date_checks] accepts certificates of clients, and of the authorities above them, that
	// are expired or not yet valid. Revocation lists keep their dates.
	DisableClientDateChecks bool
	// MinVersion [tls_version] is tlsv1.2, which is the default, or tlsv1.3.
	MinVersion string
	// Ciphers [ciphers] is a list in OpenSSL's language that chooses cipher suites for TLS 1.2.
	Ciphers string
	// CiphersTLS13 [ciphers_tls1.3] names cipher suites for TLS 1.3. They are checked, but all three are always in use.
	CiphersTLS13 string
	// ALPN are the application protocols spoken, best first. With a client that offers none of them none is chosen, and the handshake goes
	// on, although RFC 7301, 3.2 would have it refused: Mosquitto does not look at ALPN, and devices offer what their library came with.
	ALPN []string
	// KeyLog receives the secrets of each session in the format of NSS, to look into traffic with other tools.
	KeyLog io.Writer
	// ACME obtains the certificate from an authority instead of reading it.
	ACME *ACME
	// Now is the clock; nil stands for time.Now.
	Now func() time.Time
}

func (o *Options) now() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}

// Limits on what is read.
const (
	// MaxFile is the size in bytes of the largest file that is read. Revocation lists are the large ones.
	MaxFile = 64 << 20
	// MaxFolderFiles is how many files of CAPath are read.
	MaxFolderFiles = 10_000
)

// Warning is something that the operator should know but that is no reason to refuse the configuration.
type Warning struct {
	Option string // the word of mosquitto.conf
	File   string // "" if the option is no file
	Text   string
}

func (w Warning) String() string {
	if w.File == "" {
		return w.Option + ": " + w.Text
	}
	return fmt.Sprintf("%s %s: %s", w.Option, w.File, w.Text)
}

// OptionError says which option, or which file of one, is unusable, and why.
type OptionError struct {
	Option string // the word of mosquitto.conf
	File   string // empty: the option names none
	Err    error
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("%s: %v", strings.TrimSpace(e.Option+" "+e.File), e.Err)
}

func (e *OptionError) Unwrap() error { return e.Err }

// Use is what a file's certificate or list is there for.
type Use string

// The uses of what is loaded.
const (
	Server      Use = "server"      // the server's own certificate, or an intermediate one sent with it
	Authority   Use = "authority"   // signs clients' certificates
	Revocations Use = "revocations" // a revocation list; NotAfter is its NextUpdate, zero if it has none
)

// Info describes a certificate or revocation list that is in force.
type Info struct {
	Use                 Use
	File                string
	Subject             string // as Subject gives it; of a revocation list, its issuer
	Issuer              string
	Serial              string // hexadecimal; of a revocation list its number
	NotBefore, NotAfter time.Time
	DNSNames            []string
	Fingerprint         string // as Fingerprint gives it; of a revocation list ""
}
