package mqtt

// Auth is the AUTH packet. It exists only in 5.0.
type Auth struct {
	Reason     ReasonCode
	Properties Properties
}

var _ Packet = (*Auth)(nil)

// Type returns AUTH.
func (*Auth) Type() Type { return AUTH }

// Decode implements [Packet].
func (a *Auth) Decode(v Version, frame []byte) error {
	_, r, err := body(frame, AUTH, v)
	if err != nil {
		return err
	}
	if v < V5 {
		return errAuthBefore5
	}
	a.Reason = Success
	a.Properties.Reset()
	if len(r.p) == 0 {
		return nil // success without properties
	}
	decodeReason(&r, AUTH, &a.Reason, &a.Properties)
	if err := r.end(); err != nil {
		return err
	}
	if !a.Properties.Has(PropAuthMethod) {
		return errAuthMethodUnset
	}
	return nil
}

// Append implements [Packet]. Before 5.0 it appends nothing.
func (a *Auth) Append(dst []byte, v Version) []byte {
	if v < V5 {
		return dst
	}
	n := reasonSize(a.Reason, &a.Properties, AUTH)
	dst = appendVarint(append(dst, byte(AUTH)<<4), n)
	return appendReason(dst, n, a.Reason, &a.Properties, AUTH)
}
