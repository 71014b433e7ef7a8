package broker

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/uniomq/unio/mqtt"
)

// may asks the Authorizer, and tells of a denial.
func (o *Options) may(a Access) bool {
	allowed := false
	if o.Authorizer == nil {
		allowed = WithoutRules(a)
	} else {
		allowed = o.Authorizer.Authorize(a)
	}
	if allowed {
		return true
	}
	if event := o.Events.Denied; event != nil {
		event(a)
	}
	return false
}

// mayConnect asks the Authorizer whether the client, which is authenticated, may connect.
func (c *conn) mayConnect() error {
	o := c.b.options.Load()
	if a := (Access{Client: c.client, Action: ActionConnect}); !o.may(a) {
		return o.denial(a)
	}
	return nil
}

// mayChange asks the Authorizer about a subscription that is to begin or to end. If it may not, bt.why says why.
func (c *conn) mayChange(bt *batch, a Access) bool {
	if bt.o.may(a) {
		return true
	}
	bt.why = c.why(bt.o, a)
	return false
}

// why returns what the client is told of a denial in an acknowledgement.
func (c *conn) why(o *Options, a Access) string {
	if o.Explain == nil || c.version < mqtt.V5 || c.terse {
		return ""
	}
	return reasonString(o.Explain(a))
}

// denial is the error of a CONNECT that the Authorizer has refused.
func (o *Options) denial(a Access) error {
	if o.Explain == nil {
		return mqtt.NotAuthorized
	}
	return WithReason(mqtt.NotAuthorized, o.Explain(a))
}

// WithReason returns an error that is err, with a reason string that a v5 client is told in CONNACK or DISCONNECT.
func WithReason(err error, text string) error {
	if text = reasonString(text); text == "" {
		return err
	}
	return &reasoned{err, text}
}

type reasoned struct {
	error
	text string
}

func (r *reasoned) Unwrap() error { return r.error }

// maxReason bounds a reason string, in bytes.
const maxReason = 1024

// reasonString makes text one that may be sent: UTF-8 without NUL [MQTT-1.5.4-1, -2], and not long.
func reasonString(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
	if len(text) <= maxReason {
		return text
	}
	n := maxReason
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// because returns bt.why and forgets it.
func (bt *batch) because() string {
	why := bt.why
	bt.why = ""
	return why
}

// because takes bt.why over, if a is not explained yet: there is one reason string for all filters of a packet.
func (a *ack) because(bt *batch) {
	if why := bt.because(); a.why == "" {
		a.why = why
	}
}

// reasonRoom is what a packet with a reason string has besides that string and reason codes, at most.
const reasonRoom = 32

// explain sets the reason string of an acknowledgement, unless the packet would be too large for the client.
// [MQTT-3.4.2-2, MQTT-3.5.2-2, MQTT-3.9.2-1, MQTT-3.11.2-1]
func (c *conn) explain(p *mqtt.Properties, a *ack) {
	if a.why != "" && len(a.why)+len(a.reasons)+reasonRoom <= int(c.maxPacket) {
		p.SetReasonString(a.why)
	}
}

// setReason is explain for CONNACK and DISCONNECT, by the error that they tell.
// [MQTT-3.2.2-19, MQTT-3.14.2-3]
func setReason(p *mqtt.Properties, err error, maxPacket uint32) {
	if r, ok := errors.AsType[*reasoned](err); ok && len(r.text)+reasonRoom <= int(maxPacket) {
		p.SetReasonString(r.text)
	}
}
