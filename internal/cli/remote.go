package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// remoteAPI is the HTTP API of a running broker.
type remoteAPI struct {
	url          string
	login        string
	passwordFile string
	caFile       string
}

// Limits of what a broker may answer.
const (
	remoteTimeout = 30 * time.Second
	maxRemoteBody = 16 << 20
)

// addFlags adds the flags that name a broker.
func (a *remoteAPI) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&a.url, "url", "", "ask the broker whose HTTP API has this `URL`, such as http://127.0.0.1:8080")
	fs.StringVar(&a.login, "login", "", "the user `NAME` to ask with")
	fs.StringVar(&a.passwordFile, "password-file", "", "a `FILE` with the password to ask with, - for standard input; without it the environment has UNIO_PASSWORD")
	fs.StringVar(&a.caFile, "cafile", "", "a `FILE` with the authorities that vouch for the broker; without it those of the system")
}

// get asks for a path and decodes the answer into v.
func (a *remoteAPI) get(ctx context.Context, path string, query url.Values, v any) error {
	u, err := url.Parse(a.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errors.New("expected --url to be http://HOST:PORT or https://HOST:PORT, without a login")
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	u = u.JoinPath(path)
	u.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, remoteTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	if a.login != "" {
		password, err := a.password()
		if err != nil {
			return err
		}
		r.SetBasicAuth(a.login, password)
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxRemoteBody))
	switch {
	case err != nil:
		return fmt.Errorf("answer of %s: %w", a.url, err)
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("%s answers %s: %s", a.url, answer.Status, refusalOf(body))
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("answer of %s: %w", a.url, err)
	}
	return nil
}

// client returns a client that follows no redirects: the login is for this broker alone.
func (a *remoteAPI) client() (*http.Client, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if a.caFile != "" {
		text, err := os.ReadFile(a.caFile)
		if err != nil {
			return nil, fmt.Errorf("--cafile: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--cafile: expected certificates in PEM in %s", a.caFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// password returns the password, without the line's end behind it.
func (a *remoteAPI) password() (string, error) {
	var text []byte
	var err error
	switch a.passwordFile {
	case "":
		return os.Getenv("UNIO_PASSWORD"), nil
	case "-":
		text, err = io.ReadAll(os.Stdin)
	default:
		text, err = os.ReadFile(a.passwordFile)
	}
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// refusalOf returns what an answer other than 200 says, in a line.
func refusalOf(body []byte) string {
	var e struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(body, &e) // it may be plain text
	const most = 500
	return strings.TrimSpace(cmp.Or(e.Error, string(body[:min(len(body), most)])))
}
