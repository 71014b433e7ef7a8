package illegal

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// Play runs cases, so many at a time, against the server that dial connects to. Meanwhile a bystander must get, at QoS 1
// and exactly once, the will of every case that does not take it back. The error has all that was wrong.
func Play(dial func() (net.Conn, error), cases []Case, workers int) error {
	nc, err := dial()
	if err != nil {
		return err
	}
	defer nc.Close()
	b, err := newBystander(nc)
	if err != nil {
		return fmt.Errorf("bystander: %w", err)
	}
	var wills []string
	for _, c := range cases {
		if c.Connected && !c.Farewell {
			wills = append(wills, c.Name)
		}
	}
	watched := make(chan error, 1)
	go func() { watched <- b.watch(wills) }()
	return errors.Join(runAll(dial, cases, workers), <-watched)
}

func runAll(dial func() (net.Conn, error), cases []Case, workers int) error {
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		failed []error
		queue  = make(chan Case)
	)
	for range workers {
		wg.Go(func() {
			for c := range queue {
				nc, err := dial()
				if err == nil {
					err = Run(nc, c)
				}
				if err != nil {
					mu.Lock()
					failed = append(failed, fmt.Errorf("%s: % X: %w", c.Name, c.Send[:min(len(c.Send), 64)], err))
					mu.Unlock()
				}
			}
		})
	}
	for _, c := range cases {
		queue <- c
	}
	close(queue)
	wg.Wait()
	return errors.Join(failed...)
}

// bystander is a client that must not notice what others do.
type bystander struct{ reader }

const (
	bystanderID = "illegal-bystander"
	lastWords   = "this is the last message"
)

func newBystander(nc net.Conn) (*bystander, error) {
	b := &bystander{reader{nc: nc, version: mqtt.V311}}
	cat := catalogue{version: b.version}
	subscribe := packet(0x82, u16(1), text(WillTopic), []byte{1})
	if _, err := nc.Write(join(packet(0x10, cat.connect(cleanStart), text(bystanderID)), subscribe)); err != nil {
		return nil, err
	}
	for _, want := range []string{"CONNACK 0x00", "SUBACK 01"} {
		if err := nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return nil, err
		}
		_, got, err := b.next()
		if err != nil {
			return nil, fmt.Errorf("waiting for %s: %w", want, err)
		}
		if got != want {
			return nil, fmt.Errorf("got %q, want %q", got, want)
		}
	}
	return b, nil
}

// watch reads until all wills have come, and a message of the bystander's own behind them.
func (b *bystander) watch(wills []string) error {
	missing := make(map[string]bool, len(wills))
	for _, name := range wills {
		missing[name] = true
	}
	var failed []error
	if len(missing) == 0 {
		failed = append(failed, b.conclude())
	}
	for {
		payload, err := b.message()
		if err != nil {
			return errors.Join(append(failed, fmt.Errorf("bystander: %w; no will of %q", err, keys(missing)))...)
		}
		switch {
		case payload == lastWords && len(missing) == 0:
			return errors.Join(failed...)
		case !missing[payload]:
			failed = append(failed, fmt.Errorf("bystander: %q came, unwanted or once more", payload))
			continue
		}
		delete(missing, payload)
		if len(missing) == 0 {
			failed = append(failed, b.conclude())
		}
	}
}

func (b *bystander) conclude() error {
	_, err := b.nc.Write(packet(0x30, text(WillTopic), []byte(lastWords)))
	return err
}

// message returns the payload of the next message, and acknowledges it.
func (b *bystander) message() (string, error) {
	if err := b.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	p, words, err := b.next()
	if err != nil {
		return "", err
	}
	m, ok := p.(*mqtt.Publish)
	if !ok {
		return "", fmt.Errorf("got %s", words)
	}
	payload := string(m.Payload)
	if m.QoS == 0 {
		return payload, nil
	}
	_, err = b.nc.Write(packet(0x40, u16(int(m.PacketID))))
	return payload, err
}

func keys(set map[string]bool) []string {
	var out []string
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
