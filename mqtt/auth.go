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
	// Unlike in DISCONNECT, the length of the properties may not be left out behind a reason code (3.15.2.1 of the standard).
	a.Reason = ReasonCode(r.byte())
	if !allowedReasons[AUTH].has(a.Reason) {
		r.fail(errReason)
	}
	a.Properties.decode(&r, AUTH)
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
