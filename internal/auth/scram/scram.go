package scram

import (
	"context"

	"github.com/xdg-go/scram"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/auth"
)

// Name is the backend's name in auth_chain.
const Name = "scram"

// Backend knows the users of a file.
type Backend struct{ file *File }

var (
	_ auth.Backend   = (*Backend)(nil)
	_ auth.Exchanger = (*Backend)(nil)
	_ auth.Validator = (*Backend)(nil)
)

// New returns a backend for the users of a file.
func New(f *File) *Backend { return &Backend{f} }

// Name returns Name.
func (*Backend) Name() string { return Name }

// Check says that a client without enhanced authentication is none for this backend.
func (*Backend) Check(context.Context, *auth.Request) (auth.Answer, error) {
	return auth.Unknown("no AUTH"), nil
}

// Valid reports whether the user has the credentials that the client has proved to know.
func (b *Backend) Valid(c *broker.Client, proof any) bool {
	now, known := b.file.users[c.Username]
	return known && proof == now.String()
}

// Exchange begins one, for the methods SCRAM-SHA-256 and SCRAM-SHA-512.
func (b *Backend) Exchange(_ context.Context, _ *broker.Client, method string) auth.Exchange {
	for i, m := range methods {
		if m.name != method {
			continue
		}
		x := &exchange{file: b.file}
		server, err := m.hash.NewServer(func(user string) (scram.StoredCredentials, error) {
			c, known := b.file.find(user, i)
			x.known = known
			return c, nil
		})
		if err != nil {
			return nil
		}
		x.conversation = server.NewConversation()
		return x
	}
	return nil
}

// exchange is one conversation.
type exchange struct {
	file         *File
	conversation *scram.ServerConversation
	known        bool
}

// Next takes a message of the client. An unknown user fails at the end, as a wrong password does.
func (x *exchange) Next(_ context.Context, data []byte) ([]byte, *auth.Answer, error) {
	reply, err := x.conversation.Step(string(data))
	user := x.conversation.Username()
	switch {
	case err != nil:
		reason := "wrong password"
		if x.conversation.Username() == "" || !x.conversation.Done() {
			reason = "a message that is none of SCRAM"
		} else if !x.known {
			reason = "unknown user"
		}
		return nil, &auth.Answer{Verdict: auth.Deny, Reason: reason, Username: user}, nil
	case !x.conversation.Done():
		return []byte(reply), nil, nil
	case !x.conversation.Valid() || !x.known:
		return nil, &auth.Answer{Verdict: auth.Deny, Reason: "unknown user", Username: user}, nil
	}
	if id := x.conversation.AuthzID(); id != "" && id != user {
		return nil, &auth.Answer{Verdict: auth.Deny, Reason: "the client asks to be somebody else", Username: user}, nil
	}
	return []byte(reply), &auth.Answer{Verdict: auth.Allow, Reason: "SCRAM", Username: user, Proof: x.file.users[user].String()}, nil
}
