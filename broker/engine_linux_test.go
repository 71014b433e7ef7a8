package broker

import "testing"

func TestConnectionsThatAreReadyShareABuffer(t *testing.T) {
	t.Parallel()
	const buffer = 16 << 10
	for _, c := range []struct{ ready, partial, want int }{
		{1, 0, buffer},
		{2, 0, buffer / 2},
		{4, 100, minShare},
		{100, minShare - 1, minShare},
		{100, minShare, buffer}, // the rest of a large packet
	} {
		if got := share(buffer, c.ready, c.partial); got != c.want {
			t.Errorf("%d ready, %d bytes of a packet there: %d; want %d", c.ready, c.partial, got, c.want)
		}
	}
}
