package mqtt

import "testing"

var authCases = []wireCase{
	{name: "success", versions: only5, wire: "f0 00", packet: &Auth{}},
	{
		name: "every property", versions: only5,
		wire: "f0 16 18 14 15 0001 'm' 16 0001 'd' 1f 0002 'go' 26 0001 'k' 0001 'v'",
		packet: &Auth{Reason: ContinueAuthentication, Properties: props(func(p *Properties) {
			p.SetAuthMethod("m")
			p.SetAuthData([]byte("d"))
			p.SetReasonString("go")
			p.AddUser("k", "v")
		})},
	},
}

func TestAuth(t *testing.T) {
	t.Parallel()
	testWire(t, authCases)
}

func TestAuthBefore5IsNotWritten(t *testing.T) {
	t.Parallel()
	if got := (&Auth{}).Append([]byte("x"), V311); string(got) != "x" {
		t.Errorf("%x", got)
	}
}
