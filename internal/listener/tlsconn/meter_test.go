package tlsconn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"
)

// certificateOf makes a client certificate with so many bytes of nothing.
func certificateOf(t *testing.T, size int) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:    big.NewInt(1),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: make([]byte, size)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestHandshakeIsMeteredAndBounded has clients with larger and larger certificates, which
// crypto/tls takes whole into memory.
func TestHandshakeIsMeteredAndBounded(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	for _, c := range []struct {
		certificate, room int
		want              error
	}{
		{1000, 10_000, nil},
		{80_000, 200_000, nil},
		{80_000, 60_000, full},
		{110_000, 200_000, errLongHandshake},
	} {
		serverConfig, clientConfig := config(t)
		serverConfig.ClientAuth, clientConfig.Certificates = tls.RequireAnyClientCert, []tls.Certificate{certificateOf(t, c.certificate)}
		a, b := dial(t)
		client := make(chan error, 1)
		go func() { client <- tls.Client(b, clientConfig).Handshake() }()
		server, most := Server(a, serverConfig), 0
		server.Meter(func(held int) error {
			if most = held; held > c.room {
				return full
			}
			return nil
		})
		err := server.HandshakeContext(t.Context())
		if !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil && (most < c.certificate || most > c.certificate+10_000) {
			t.Errorf("%+v: %d bytes were held", c, most)
		}
		_ = server.Close()
		if err := <-client; err != nil && c.want == nil {
			t.Errorf("%+v: the client: %v", c, err)
		}
	}
}
