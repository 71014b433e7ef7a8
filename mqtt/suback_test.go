package mqtt

import (
	"bytes"
	"testing"
)

var subackCases = []wireCase{
	{
		name: "each code", versions: before5, wire: "90 06 000a 00 01 02 80",
		packet: &Suback{PacketID: 10, Reasons: []ReasonCode{GrantedQoS0, GrantedQoS1, GrantedQoS2, UnspecifiedError}},
	},
	{
		name: "each code", versions: only5, wire: "90 0f 000a 00 00 01 02 80 83 87 8f 91 97 9e a1 a2",
		packet: &Suback{PacketID: 10, Reasons: []ReasonCode{
			GrantedQoS0, GrantedQoS1, GrantedQoS2, UnspecifiedError, ImplementationSpecificError, NotAuthorized,
			TopicFilterInvalid, PacketIdentifierInUse, QuotaExceeded, SharedSubscriptionsNotSupported,
			SubscriptionIdentifiersNotSupported, WildcardSubscriptionsNotSupported,
		}},
	},
	{
		name: "properties", versions: only5, wire: "90 10 000a 0c 1f 0002 'ok' 26 0001 'k' 0001 'v' 01",
		packet: &Suback{
			PacketID: 10, Reasons: []ReasonCode{GrantedQoS1},
			Properties: props(func(p *Properties) { p.SetReasonString("ok"); p.AddUser("k", "v") }),
		},
	},
}

func TestSuback(t *testing.T) {
	t.Parallel()
	testWire(t, subackCases)
}

func TestSubackBefore5WritesEachFailureAs0x80(t *testing.T) {
	t.Parallel()
	s := &Suback{PacketID: 10, Reasons: []ReasonCode{NotAuthorized, GrantedQoS2, QuotaExceeded}}
	for _, v := range before5 {
		if got, want := s.Append(nil, v), wire("90 05 000a 80 02 80"); !bytes.Equal(got, want) {
			t.Errorf("%v: got %x, want %x", v, got, want)
		}
	}
}
