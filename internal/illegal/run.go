package illegal

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// Run plays a case on a fresh connection, which it closes. The error says what came instead of the wanted.
func Run(nc net.Conn, c Case) error {
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	r := &reader{nc: nc, version: c.Version}
	if c.Connected {
		cat := catalogue{version: c.Version}
		hello := packet(0x10, cat.connect(cleanStart), text("case-"+c.Name))
		if len(c.Name) > maxName {
			hello = packet(0x10, cat.connect(cleanStart), text("case-"+c.Name[:maxName]))
		}
		if _, err := nc.Write(hello); err != nil {
			return err
		}
		got, err := r.next()
		if err != nil {
			return fmt.Errorf("CONNECT: %w", err)
		}
		if got != "CONNACK 0x00" {
			return fmt.Errorf("CONNECT was answered by %s", got)
		}
	}
	// What cannot be written any more was refused before: the answer tells.
	_, _ = nc.Write(c.Send)
	if c.Connected {
		_, _ = nc.Write([]byte{0xC0, 0})
	} else if c.Want != closes && strings.HasSuffix(c.Want, goesOn) {
		return fmt.Errorf("%q is for connected clients", c.Want)
	}
	if got := r.outcome(); got != c.Want {
		return fmt.Errorf("got %q, want %q", got, c.Want)
	}
	return nil
}

const (
	patience = 20 * time.Second
	maxName  = 60 // MQTT 3.1 brokers need not take longer client ids; this one does
)

// reader reads what the server sends.
type reader struct {
	nc      net.Conn
	version mqtt.Version
	p       []byte
}

// outcome collects what comes until the connection closes or PINGREQ is answered.
func (r *reader) outcome() string {
	var got []string
	for {
		p, err := r.next()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return strings.Join(append(got, "nothing more"), ", ")
		case err != nil:
			return strings.Join(append(got, closes), ", ")
		case p == "PINGRESP":
			return strings.Join(append(got, goesOn), ", ")
		}
		got = append(got, p)
	}
}

// next returns the next packet in the words of Want.
func (r *reader) next() (string, error) {
	for {
		frame, rest, err := mqtt.Split(r.p, mqtt.MaxPacketSize)
		if err != nil {
			return "", err
		}
		if frame != nil {
			r.p = rest
			return describe(r.version, frame)
		}
		buf := make([]byte, 1024)
		n, err := r.nc.Read(buf)
		r.p = append(r.p, buf[:n]...)
		if n == 0 && err != nil {
			if errors.Is(err, io.EOF) && len(r.p) > 0 {
				return "", io.ErrUnexpectedEOF
			}
			return "", err
		}
	}
}
