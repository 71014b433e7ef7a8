package illegal

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"strings"
	"time"

	"github.com/uniomq/unio/mqtt"
)

// WillTopic is where the wills of the cases go. Their payload is the case's name.
const WillTopic = "illegal/will"

// patience is how long an answer may take.
const patience = 20 * time.Second

// Run plays a case on a fresh connection, which it closes. The error says what came instead of what is wanted.
func Run(nc net.Conn, c Case) error {
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	r := &reader{nc: nc, version: c.Version}
	if c.Connected {
		if err := r.hello(&c); err != nil {
			return err
		}
	}
	// What cannot be written any more was refused before: the answer tells.
	_, _ = nc.Write(c.Send)
	switch {
	case c.Cut:
		half, ok := nc.(interface{ CloseWrite() error })
		if !ok {
			return fmt.Errorf("a %T cannot be closed by half", nc)
		}
		_ = half.CloseWrite() // fails if the server was quicker
	case c.Connected || strings.HasSuffix(c.Want, goesOn):
		_, _ = nc.Write(packet(0xC0))
	}
	if got := r.outcome(); got != c.Want {
		return fmt.Errorf("got %q, want %q", got, c.Want)
	}
	if strings.HasSuffix(c.Want, goesOn) {
		return r.probe(&c)
	}
	return nil
}

// clientID makes a client id that servers of all versions must take, of 23 characters at most, out of the case's name.
func (c *Case) clientID() string {
	h := fnv.New64a()
	_, _ = io.WriteString(h, c.Name)
	return fmt.Sprintf("i%dx%016x", c.Version, h.Sum64())
}

// reader reads what the server sends.
type reader struct {
	nc      net.Conn
	version mqtt.Version
	p       []byte
}

// hello connects, with a will.
func (r *reader) hello(c *Case) error {
	const willQoS1 = 0x08
	cat := catalogue{version: c.Version}
	will := join(cat.properties(), text(WillTopic), text(c.Name))
	if _, err := r.nc.Write(packet(0x10, cat.connect(cleanStart|willFlag|willQoS1), text(c.clientID()), will)); err != nil {
		return err
	}
	p, got, err := r.next()
	if err != nil {
		return fmt.Errorf("CONNECT: %w", err)
	}
	if k, ok := p.(*mqtt.Connack); !ok || k.Reason != 0 {
		return fmt.Errorf("CONNECT was answered by %s", got)
	}
	return nil
}

// outcome collects what comes until the connection closes or PINGREQ is answered.
func (r *reader) outcome() string {
	var all []string
	for {
		p, words, err := r.next()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return strings.Join(append(all, "nothing more"), ", ")
		case err != nil:
			return strings.Join(append(all, closes), ", ")
		case p.Type() == mqtt.PINGRESP:
			return strings.Join(append(all, goesOn), ", ")
		}
		all = append(all, words)
	}
}

// probe finds out whether the session works: the client subscribes, publishes, and gets that.
func (r *reader) probe(c *Case) error {
	cat, name := catalogue{version: c.Version}, "illegal/"+c.clientID()
	subscribe := packet(0x82, u16(700), cat.properties(), text(name), []byte{0})
	publish := packet(0x32, text(name), u16(701), cat.properties(), []byte(c.Name))
	if _, err := r.nc.Write(join(subscribe, publish)); err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	var acknowledged, came bool
	for !acknowledged || !came {
		p, words, err := r.next()
		if err != nil {
			return fmt.Errorf("afterwards: %w", err)
		}
		switch p := p.(type) {
		case *mqtt.Suback:
		case *mqtt.Ack:
			acknowledged = p.Kind == mqtt.PUBACK && p.PacketID == 701 && p.Reason == 0
		case *mqtt.Publish:
			came = string(p.Payload) == c.Name
		default:
			return fmt.Errorf("afterwards: %s", words)
		}
	}
	return nil
}

// next returns the next packet, and it in the words of Want.
func (r *reader) next() (mqtt.Packet, string, error) {
	for {
		frame, rest, err := mqtt.Split(r.p, mqtt.MaxPacketSize)
		if err != nil {
			return nil, "", err
		}
		if frame != nil {
			r.p = rest
			v := r.version
			if mqtt.Type(frame[0]>>4) == mqtt.CONNACK && len(frame) == 4 {
				v = mqtt.V311 // a refusal that all versions understand
			}
			p, err := mqtt.Decode(v, frame)
			if err != nil {
				return nil, "", fmt.Errorf("the server sent % X: %w", frame, err)
			}
			return p, describe(p, frame), nil
		}
		buf := make([]byte, 1024)
		n, err := r.nc.Read(buf)
		r.p = append(r.p, buf[:n]...)
		if n == 0 && err != nil {
			return nil, "", err
		}
	}
}

// describe writes a packet of a server in the words of Want.
func describe(p mqtt.Packet, frame []byte) string {
	switch p := p.(type) {
	case *mqtt.Connack:
		return fmt.Sprintf("CONNACK 0x%02X", frame[3]) // as it stands there: the codec knows 3.1.1's as reasons of 5.0
	case *mqtt.Disconnect:
		return fmt.Sprintf("DISCONNECT 0x%02X", byte(p.Reason))
	case *mqtt.Ack:
		return fmt.Sprintf("%v 0x%02X", p.Kind, byte(p.Reason))
	case *mqtt.Auth:
		return fmt.Sprintf("AUTH 0x%02X", byte(p.Reason))
	case *mqtt.Suback:
		return fmt.Sprintf("SUBACK % X", p.Reasons)
	case *mqtt.Unsuback:
		return fmt.Sprintf("UNSUBACK % X", p.Reasons)
	default:
		return p.Type().String()
	}
}
