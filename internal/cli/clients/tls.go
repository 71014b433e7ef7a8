package clients

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/uniomq/unio/internal/files"
)

// tlsPort is the port that TLS is expected on without further options.
const tlsPort = 8883

// tlsConfig is what the options say about TLS.
type tlsConfig struct {
	caFile, caPath, cert, key string
	ciphers, version, alpn    string
	psk, pskIdentity          string
	keyForm, keyLog           string
	insecure, osCerts, off    bool
}

func (t *tlsConfig) flags(fs *pflag.FlagSet) {
	fs.StringVar(&t.caFile, "cafile", "", "use TLS and trust the certificate authorities in `FILE`")
	fs.StringVar(&t.caPath, "capath", "", "use TLS and trust the certificate authorities in the folder `PATH`")
	fs.StringVar(&t.cert, "cert", "", "the client's certificate `FILE`")
	fs.StringVar(&t.key, "key", "", "the client's private key `FILE`")
	fs.StringVar(&t.keyForm, "keyform", "", "`FORM` of the key: pem")
	fs.StringVar(&t.ciphers, "ciphers", "", "cipher suites for TLS 1.2 as `LIST`, with colons between")
	fs.StringVar(&t.version, "tls-version", "", "accept TLS `VERSION` or later: tlsv1.2 or tlsv1.3 (tlsv1.2)")
	fs.StringVar(&t.alpn, "tls-alpn", "", "ask for the application `PROTOCOL`")
	fs.StringVar(&t.keyLog, "tls-keylog", "", "write the session keys to `FILE`, to look into the traffic")
	fs.BoolVar(&t.insecure, "insecure", false, "do not check the name in the server's certificate")
	fs.BoolVar(&t.osCerts, "tls-use-os-certs", false, "use TLS and trust the system's certificate authorities")
	fs.BoolVar(&t.off, "no-tls", false, "do not use TLS, whatever other options say")
	fs.StringVar(&t.psk, "psk", "", "not available: pre-shared `KEY`")
	fs.StringVar(&t.pskIdentity, "psk-identity", "", "not available: `IDENTITY` of the pre-shared key")
	for _, engine := range []string{"tls-engine", "tls-engine-kpass-sha1"} {
		fs.Func(engine, "not available: OpenSSL's engines", func(string) error {
			return badUsage("--%s is not supported: TLS does not use OpenSSL here.", engine)
		})
	}
}

// check finds options that do not fit.
func (t *tlsConfig) check() error {
	switch {
	case (t.cert == "") != (t.key == ""):
		return badUsage("Both certfile and keyfile must be provided if one of them is set.")
	case t.keyForm != "" && t.key == "":
		return badUsage("If keyform is set, keyfile must be also specified.")
	case t.keyForm != "" && t.keyForm != "pem":
		return failed("Error: Problem setting key form, only 'pem' is supported.")
	case t.psk != "" && (t.caFile != "" || t.caPath != ""):
		return badUsage("Only one of --psk or --cafile/--capath may be used at once.")
	case t.psk != "" && t.pskIdentity == "":
		return badUsage("--psk-identity required if --psk used.")
	case t.psk != "" && !t.off:
		return failed("Error: TLS with a pre-shared key (--psk) is not supported yet.")
	}
	return nil
}

// wanted reports whether TLS is to be used with a server on the port.
func (t *tlsConfig) wanted(port int) bool {
	return !t.off && (t.caFile != "" || t.caPath != "" || t.osCerts || port == tlsPort)
}

// config returns the configuration for connections to host.
func (t *tlsConfig) config(host string) (*tls.Config, error) {
	cfg := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	switch t.version {
	case "", "tlsv1.2":
	case "tlsv1.3":
		cfg.MinVersion = tls.VersionTLS13
	default:
		return nil, failed("Error: Problem setting TLS options, check the options are valid.")
	}
	if t.alpn != "" {
		cfg.NextProtos = []string{t.alpn}
	}
	var err error
	if cfg.CipherSuites, err = cipherSuites(t.ciphers); err != nil {
		return nil, err
	}
	if cfg.RootCAs, err = t.authorities(); err != nil {
		return nil, err
	}
	if t.cert != "" {
		pair, err := tls.LoadX509KeyPair(t.cert, t.key)
		if err != nil {
			return nil, failed("Error: Unable to load client certificate \"%s\" with key \"%s\": %v.", t.cert, t.key, err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	if t.keyLog != "" {
		const mode = 0o600
		if cfg.KeyLogWriter, _, err = files.Append(t.keyLog, mode); err != nil {
			return nil, failed("Error: Unable to open file \"%s\".", t.keyLog)
		}
	}
	if t.insecure {
		verifyChainOnly(cfg)
	}
	return cfg, nil
}

// verifyChainOnly makes cfg accept any name in a certificate that a trusted authority
// signed. --insecure says no more than that.
func verifyChainOnly(cfg *tls.Config) {
	cfg.InsecureSkipVerify = true // VerifyConnection does what is left of it
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		o := x509.VerifyOptions{Roots: cfg.RootCAs, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			o.Intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(o)
		return err
	}
}

// authorities returns the trusted certificates; nil stands for the system's.
func (t *tlsConfig) authorities() (*x509.CertPool, error) {
	if t.caFile == "" && t.caPath == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if t.osCerts {
		if system, err := x509.SystemCertPool(); err == nil {
			pool = system
		}
	}
	files := []string{}
	if t.caFile != "" {
		files = append(files, t.caFile)
	}
	if t.caPath != "" {
		in, err := filepath.Glob(filepath.Join(t.caPath, "*.crt"))
		if err != nil || len(in) == 0 {
			return nil, failed("Error: Problem setting TLS options: File not found.")
		}
		files = append(files, in...)
	}
	for _, name := range files {
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, failed("Error: Problem setting TLS options: File not found.")
		}
		if !pool.AppendCertsFromPEM(pem) && name == t.caFile {
			return nil, failed("Error: Unable to load CA certificates, check cafile \"%s\".", name)
		}
	}
	return pool, nil
}

// cipherSuites turns OpenSSL's or IANA's names of TLS 1.2's cipher suites into numbers.
func cipherSuites(list string) ([]uint16, error) {
	if list == "" {
		return nil, nil
	}
	var suites []uint16
	for name := range strings.SplitSeq(list, ":") {
		found := false
		for _, s := range tls.CipherSuites() {
			openssl := strings.NewReplacer("TLS_", "", "_WITH", "", "AES_128", "AES128", "AES_256", "AES256", "_", "-").Replace(s.Name)
			openssl = strings.Replace(openssl, "CHACHA20-POLY1305-SHA256", "CHACHA20-POLY1305", 1)
			if name == s.Name || name == openssl {
				suites, found = append(suites, s.ID), true
			}
		}
		if !found {
			return nil, failed("Error: Unable to set TLS ciphers. Check cipher list \"%s\": %s is not known.", list, name)
		}
	}
	return suites, nil
}
