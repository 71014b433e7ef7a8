package mqtt

import "testing"

// TestACodeInEachPacketIsOneThatItMayCarry goes through all codes that fail.
func TestACodeInEachPacketIsOneThatItMayCarry(t *testing.T) {
	t.Parallel()
	for _, kind := range []Type{CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT} {
		for r := UnspecifiedError; r < 0xC0; r++ {
			in := r.In(kind)
			if allowed := allowedReasons[kind]; !allowed.has(in) || !in.Failed() || allowed.has(r) && in != r {
				t.Errorf("%v in %v is %v", r, kind, in)
			}
		}
	}
	for _, k := range []struct {
		r    ReasonCode
		in   Type
		want ReasonCode
	}{
		{Banned, DISCONNECT, NotAuthorized},
		{BadUserNameOrPassword, DISCONNECT, NotAuthorized},
		{ServerUnavailable, DISCONNECT, ServerBusy},
		{SessionTakenOver, CONNACK, ServerUnavailable},
		{MessageRateTooHigh, PUBACK, QuotaExceeded},
		{KeepAliveTimeout, PUBACK, UnspecifiedError},
	} {
		if in := k.r.In(k.in); in != k.want {
			t.Errorf("%v in %v is %v, want %v", k.r, k.in, in, k.want)
		}
	}
}
