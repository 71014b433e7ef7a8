package certs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// reader reads files and remembers what it saw, so that a change can be told from a mere touch.
type reader struct {
	ctx     context.Context
	sum     hash.Hash
	files   []string // that were asked for, whether they are there or not
	folders []string
}

func newReader(ctx context.Context) *reader { return &reader{ctx: ctx, sum: sha256.New()} }

func (r *reader) digest() [sha256.Size]byte { return [sha256.Size]byte(r.sum.Sum(nil)) }

// read returns a file's content, or a *OptionError.
func (r *reader) read(option, file string) ([]byte, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	r.files = append(r.files, file)
	content, err := readFile(file)
	if err != nil {
		fmt.Fprintf(r.sum, "%s: %v\n", file, err)
		return nil, &OptionError{Option: option, File: file, Err: err}
	}
	fmt.Fprintf(r.sum, "%s: %d bytes\n", file, len(content))
	r.sum.Write(content)
	return content, nil
}

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, errors.New("it is a folder; want a file")
	}
	content, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case len(content) > MaxFile:
		return nil, fmt.Errorf("it is larger than %d bytes", MaxFile)
	case len(bytes.TrimSpace(content)) == 0:
		return nil, errors.New("it is empty")
	}
	return content, nil
}

// withoutPath takes the path off an error, since OptionError names it.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// hashedLink is the name of a link that "openssl rehash" makes for a certificate.
var hashedLink = regexp.MustCompile(`^[0-9a-f]{8}\.[0-9]+$`)

// list returns the files of a folder of certificates, sorted.
func (r *reader) list(option, folder string) ([]string, error) {
	r.folders = append(r.folders, folder)
	entries, err := os.ReadDir(folder)
	if err != nil {
		err = withoutPath(err)
		fmt.Fprintf(r.sum, "%s: %v\n", folder, err)
		return nil, &OptionError{Option: option, File: folder, Err: err}
	}
	var files []string
	for _, e := range entries {
		name := e.Name()
		isCert := slices.Contains([]string{".pem", ".crt", ".cer"}, filepath.Ext(name)) || hashedLink.MatchString(name)
		if e.IsDir() || name[0] == '.' || !isCert {
			continue
		}
		files = append(files, filepath.Join(folder, name))
	}
	if len(files) > MaxFolderFiles {
		return nil, &OptionError{Option: option, File: folder, Err: fmt.Errorf("it holds more than %d files", MaxFolderFiles)}
	}
	return files, nil
}

// blocks returns the PEM blocks of content whose type is among types.
func blocks(content []byte, types ...string) []*pem.Block {
	var out []*pem.Block
	for {
		var b *pem.Block
		if b, content = pem.Decode(content); b == nil {
			return out
		}
		if slices.Contains(types, b.Type) {
			out = append(out, b)
		}
	}
}

// The types of PEM blocks. The second is what old software writes.
var (
	certificateTypes = []string{"CERTIFICATE", "X509 CERTIFICATE"}
	keyTypes         = []string{"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"}
)

// certificates parses all PEM certificates in content. skipped are those that do not parse, with the reason.
func certificates(content []byte) (certs []*x509.Certificate, skipped []error, err error) {
	for i, b := range blocks(content, certificateTypes...) {
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			skipped = append(skipped, fmt.Errorf("certificate %d in it cannot be read: %w", i+1, err))
			continue
		}
		certs = append(certs, c)
	}
	switch {
	case len(certs) > 0:
		return certs, skipped, nil
	case len(skipped) > 0:
		return nil, nil, skipped[0]
	}
	return nil, nil, fmt.Errorf("no certificate in it; want PEM, \"-----BEGIN CERTIFICATE-----\"%s", hint(content))
}

// hint says what content seems to be instead.
func hint(content []byte) string {
	switch {
	case content[0] == 0x30: // a SEQUENCE
		return "; it looks like DER, which \"openssl x509 -inform DER\" turns into PEM"
	case len(blocks(content, keyTypes...)) > 0:
		return "; it holds a private key"
	case len(blocks(content, certificateTypes...)) > 0:
		return "; it holds a certificate"
	case len(blocks(content, "X509 CRL")) > 0:
		return "; it holds a revocation list"
	case len(blocks(content, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")) > 0:
		return "; it holds a request that an authority has yet to sign"
	}
	return ""
}
