package mqtt

import (
	"bytes"
	"testing"
)

var connackCases = []wireCase{
	{name: "accepted", versions: before5, wire: "20 02 00 00", packet: &Connack{}},
	{name: "session present", versions: only311, wire: "20 02 01 00", packet: &Connack{SessionPresent: true}},
	{name: "reserved byte", versions: only31, wire: "20 02 07 00", packet: &Connack{}, canonical: "20 02 00 00"},
	{name: "1", versions: before5, wire: "20 02 00 01", packet: &Connack{Reason: UnsupportedProtocolVersion}},
	{name: "2", versions: before5, wire: "20 02 00 02", packet: &Connack{Reason: ClientIdentifierNotValid}},
	{name: "3", versions: before5, wire: "20 02 00 03", packet: &Connack{Reason: ServerUnavailable}},
	{name: "4", versions: before5, wire: "20 02 00 04", packet: &Connack{Reason: BadUserNameOrPassword}},
	{name: "5", versions: before5, wire: "20 02 00 05", packet: &Connack{Reason: NotAuthorized}},
	{name: "accepted", versions: only5, wire: "20 03 01 00 00", packet: &Connack{SessionPresent: true}},
	{name: "refused", versions: only5, wire: "20 03 00 87 00", packet: &Connack{Reason: NotAuthorized}},
	{
		name: "every property", versions: only5,
		wire: "20 46 00 00 43 13 001e 22 000a 12 0002 'id' 15 0001 'm' 16 0001 'd' 25 00 11 0000000a" +
			" 27 00001000 21 0014 24 01 28 00 29 01 2a 00 1a 0001 'r' 1c 0001 's' 1f 0002 'ok' 26 0001 'k' 0001 'v' 26 0000 0000",
		packet: &Connack{Properties: props(func(p *Properties) {
			p.SetTopicAliasMaximum(10)
			p.SetRetainAvailable(false)
			p.SetAssignedClientID("id")
			p.SetServerKeepAlive(30)
			p.SetAuthMethod("m")
			p.SetAuthData([]byte("d"))
			p.SetSessionExpiry(10)
			p.SetMaximumQoS(1)
			p.SetMaximumPacketSize(4096)
			p.SetReceiveMaximum(20)
			p.SetWildcardAvailable(false)
			p.SetSubscriptionIDAvailable(true)
			p.SetSharedAvailable(false)
			p.SetResponseInfo("r")
			p.SetServerReference("s")
			p.SetReasonString("ok")
			p.AddUser("k", "v")
			p.AddUser("", "")
		})},
	},
}

func TestConnack(t *testing.T) {
	t.Parallel()
	testWire(t, connackCases)
}

func TestConnackWritesEveryReasonAsReturnCode(t *testing.T) {
	t.Parallel()
	want := map[ReasonCode]byte{
		Success: 0, UnsupportedProtocolVersion: 1, ClientIdentifierNotValid: 2, BadUserNameOrPassword: 4,
		BadAuthenticationMethod: 4, NotAuthorized: 5, Banned: 5, TopicNameInvalid: 5, RetainNotSupported: 5,
		QoSNotSupported: 5, PacketTooLarge: 5,
	}
	for r := range 256 {
		code, ok := want[ReasonCode(r)]
		if !ok {
			code = 3
		}
		got := (&Connack{Reason: ReasonCode(r)}).Append(nil, V311)
		if !bytes.Equal(got, []byte{0x20, 2, 0, code}) {
			t.Errorf("%v is written as %x, want return code %d", ReasonCode(r), got, code)
		}
	}
}

func TestRefusalIsWrittenWithoutSessionPresent(t *testing.T) {
	t.Parallel()
	c := &Connack{SessionPresent: true, Reason: ServerBusy}
	for _, v := range since311 {
		if got := c.Append(nil, v); got[2] != 0 {
			t.Errorf("%v: %x", v, got)
		}
	}
}
