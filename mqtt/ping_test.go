package mqtt

import "testing"

var pingCases = []wireCase{
	{name: "PINGREQ", versions: every, wire: "c0 00", packet: &Pingreq{}},
	{name: "PINGRESP", versions: every, wire: "d0 00", packet: &Pingresp{}},
}

func TestPing(t *testing.T) {
	t.Parallel()
	testWire(t, pingCases)
}
