package cli_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/testenv"
)

// authenticationFiles makes files for the options of authentication, by what they are called here.
func authenticationFiles(t *testing.T) *strings.Replacer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var replace []string
	for name, text := range map[string]string{
		"CERT":     string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		"SECRET":   strings.Repeat("s", 64),
		"PASSWORD": "secret\n", "HEADERS": "Authorization: Bearer x\n", "SCRAM": "# nobody\n",
		"JWKS": `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
	} {
		path := filepath.Join(dir, strings.ToLower(name))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replace = append(replace, "="+name, path)
	}
	return strings.NewReplacer(replace...)
}

// authenticationSets are options that go together. What is behind = is one of authenticationFiles.
var authenticationSets = []string{
	`auth_ban_attempts 5
auth_ban_delay 100
auth_ban_exempt 192.0.2.0/24 2001:db8::1
auth_ban_time 60
auth_ban_window 60
auth_cache_size 10
auth_cache_time 10
auth_cache_time_failed 1
auth_timeout 2
auth_scram_file =SCRAM
auth_chain scram transport`,
	`auth_http_url https://127.0.0.1:1/auth
auth_http_cafile =CERT
auth_http_field user %u
auth_http_field from %a
auth_http_format form
auth_http_header_file =HEADERS
auth_http_method post
auth_http_reply status`,
	`auth_jwt_jwks_url https://127.0.0.1:1/keys
auth_jwt_cafile =CERT
auth_jwt_jwks_refresh 60
auth_jwt_jwks_file =JWKS
auth_jwt_key_file =CERT
auth_jwt_secret_file =SECRET
auth_jwt_algorithms ES256 HS512 EdDSA
auth_jwt_attribute groups
auth_jwt_audience a
auth_jwt_check client %c
auth_jwt_issuer i
auth_jwt_leeway 5
auth_jwt_require_expiry false
auth_jwt_username_claim sub`,
	`auth_ldap_url ldap://127.0.0.1:1
auth_ldap_starttls true
auth_ldap_cafile =CERT
auth_ldap_base dc=x
auth_ldap_filter (uid=%u)
auth_ldap_bind_dn cn=x
auth_ldap_bind_password_file =PASSWORD
auth_ldap_group_attribute cn
auth_ldap_group_base dc=x
auth_ldap_group_filter (member=%d)`,
	`auth_ldap_url ldaps://127.0.0.1:1
auth_ldap_dn uid=%u,dc=x`,
	`auth_redis_url rediss://127.0.0.1:1/0
auth_redis_attributes groups site
auth_redis_cafile =CERT
auth_redis_field hash
auth_redis_key u:%u
auth_redis_password_file =PASSWORD`,
	`auth_sql_url postgres://mqtt@127.0.0.1:1/mqtt
auth_sql_connections 2
auth_sql_group_query SELECT g FROM m WHERE n = %u
auth_sql_password_file =PASSWORD
auth_sql_query SELECT h FROM u WHERE n = %u`,
}

func TestEachOptionOfAuthenticationStarts(t *testing.T) {
	t.Parallel()
	files := authenticationFiles(t)
	all := "\n" + strings.Join(authenticationSets, "\n")
	for _, o := range config.Options() {
		if strings.HasPrefix(o.Name, "auth_") && o.Since == "Unio" && !strings.Contains(all, "\n"+o.Name+" ") {
			t.Errorf("no set has %s", o.Name)
		}
	}
	for i, set := range authenticationSets {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			p := clitest.Run(t, "-c", clitest.File(t, fmt.Sprintf("listener %d 127.0.0.1", testenv.FreePort(t)), "user root", files.Replace(set)))
			p.Await("running$")
			p.Signal(os.Interrupt)
			if status := p.Status(); status != 0 || strings.Contains(p.Text(), "Warning: "+os.TempDir()) {
				t.Errorf("status %d\n%s", status, p.Text())
			}
		})
	}
}
