package session

import "testing"

func TestPhaseOnlyGoesOn(t *testing.T) {
	t.Parallel()
	for from := Opening; from <= Gone; from++ {
		for to := Opening; to <= Gone; to++ {
			p := from
			if was := p.Enter(to); was != from || p != max(from, to) {
				t.Errorf("from %d to %d: was %d, is %d", from, to, was, p)
			}
		}
	}
}
