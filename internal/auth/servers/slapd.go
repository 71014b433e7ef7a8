package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/uniomq/unio/internal/testenv"
)

// Slapd is an OpenLDAP server.
type Slapd struct {
	URL, TLSURL string
	CA          []byte // of its certificate, in PEM
}

// Suffix is the root of its tree, and RootDN who may do everything there, with Password.
const (
	Suffix = "dc=example,dc=com"
	RootDN = "cn=admin," + Suffix
)

// LDAP starts OpenLDAP with the entries of an LDIF. Users may log in and read everything, others nothing.
func LDAP(t testing.TB, ldif string) Slapd {
	t.Helper()
	server, add := testenv.Program(t, "slapd", "slapd"), testenv.Program(t, "slapadd", "slapd")
	dir, port, tlsPort := folder(t), freePort(t), freePort(t)
	cert, key := selfSigned(t)
	config := strings.Join([]string{
		"include /etc/ldap/schema/core.schema", "include /etc/ldap/schema/cosine.schema", "include /etc/ldap/schema/inetorgperson.schema",
		"modulepath /usr/lib/ldap", "moduleload back_mdb",
		"TLSCertificateFile " + write(t, filepath.Join(dir, "cert.pem"), string(cert)),
		"TLSCertificateKeyFile " + write(t, filepath.Join(dir, "key.pem"), string(key)),
		"database mdb", "maxsize 10485760", "suffix \"" + Suffix + "\"", "rootdn \"" + RootDN + "\"", "rootpw " + Password, "directory " + dir,
		"access to attrs=userPassword by anonymous auth by self write by * none", "access to * by users read by * none", "",
	}, "\n")
	conf := write(t, filepath.Join(dir, "slapd.conf"), config)
	run(t, dir, add, "-f", conf, "-l", write(t, filepath.Join(dir, "tree.ldif"), ldif))
	s := Slapd{URL: "ldap://" + net.JoinHostPort(host, port), TLSURL: "ldaps://" + net.JoinHostPort(host, tlsPort), CA: cert}
	start(t, dir, port, syscall.SIGTERM, server, "-d", "0", "-f", conf, "-h", s.URL+" "+s.TLSURL)
	return s
}

// selfSigned returns a certificate for host, and its key, in PEM.
func selfSigned(t testing.TB) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(host)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}
