package acl

import (
	"fmt"
	"strings"

	"github.com/uniomq/unio/broker"
)

// is says what the condition was held against.
func (c *condition) is(f *facts, q *broker.Access) string {
	cl := f.client
	or := func(s string) string {
		if s == "" {
			return "none"
		}
		return s
	}
	list := func(s []string) string { return or(strings.Join(s, ", ")) }
	yesNo := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	switch c.key.id {
	case keyUser:
		return or(cl.Username)
	case keyAnonymous:
		return yesNo(!cl.HasUsername)
	case keyClient:
		return cl.ID
	case keyGroup:
		return list(f.groups)
	case keyRole:
		return list(cl.Attributes[broker.AttributeRole])
	case keyAttribute:
		return list(cl.Attributes[c.name])
	case keyAddress:
		return or(f.address)
	case keyListener:
		return or(cl.Listener)
	case keyPort:
		return fmt.Sprint(f.port)
	case keyVersion:
		return cl.Version.String()
	case keyCleanStart:
		return yesNo(cl.CleanStart)
	case keyHasWill:
		return yesNo(cl.HasWill)
	case keyQoS:
		return fmt.Sprint(q.QoS)
	case keyRetain:
		return yesNo(q.Retain)
	case keyDup:
		return yesNo(q.Dup)
	case keySize:
		return fmt.Sprint(q.Size)
	case keyShared:
		return yesNo(q.Share != "")
	case keyShare:
		return or(q.Share)
	default:
		return c.isTransport(cl.Transport)
	}
}

func (c *condition) isTransport(t *broker.Transport) string {
	if t == nil {
		t = &broker.Transport{}
	}
	value := map[keyID]string{
		keyTLS: "yes", keyCN: t.CommonName, keySAN: strings.Join(t.Names, ", "), keySubject: t.Subject,
		keyFingerprint: t.Fingerprint, keyPSK: t.PSKIdentity,
	}[c.key.id]
	switch {
	case c.key.id == keyTLS && t.TLS == "":
		return "no"
	case value == "":
		return "none"
	}
	return value
}
