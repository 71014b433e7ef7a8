package clients

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/uniomq/unio/internal/client"
	"github.com/uniomq/unio/mqtt"
)

// reconnectDelay is how long sub, and pub with -l, wait before they connect again.
const reconnectDelay = time.Second

// publisher is one run of pub.
type publisher struct {
	cfg  *clientConfig
	out  *output
	link *clientLink
	conn *client.Client
	last []*client.Delivery // not known to be acknowledged yet
}

// runPub publishes what the options say.
func runPub(ctx context.Context, c *clientConfig, s streams) error {
	if err := c.readPayload(s.in); err != nil {
		return err
	}
	link, err := c.newLink(s.out, nil)
	if err != nil {
		return err
	}
	p := &publisher{cfg: c, out: s.out, link: link}
	if p.conn, err = link.open(ctx); err != nil {
		return err
	}
	defer func() { _ = p.conn.Close() }()
	if c.payload == payloadLines {
		err = p.lines(ctx, s.in)
	} else {
		err = p.message(ctx)
	}
	if err != nil {
		return err
	}
	link.disconnect(p.conn, mqtt.NormalDisconnection)
	return nil
}

// packet returns the PUBLISH with the payload.
func (p *publisher) packet(payload []byte) *mqtt.Publish {
	m := &mqtt.Publish{QoS: p.cfg.qos, Retain: p.cfg.retain, Payload: payload, Properties: p.cfg.properties("publish")}
	if len(p.cfg.topics) > 0 {
		m.Topic = []byte(p.cfg.topics[0])
	}
	return m
}

// message publishes one message, as often as --repeat says, and waits for each
// acknowledgement.
func (p *publisher) message(ctx context.Context) error {
	for i := range p.cfg.repeat {
		if i > 0 && p.cfg.repeatDelay > 0 {
			select {
			case <-time.After(p.cfg.repeatDelay):
			case <-p.conn.Done():
				return lossError(p.conn.Err())
			}
		}
		packet := p.packet(p.cfg.text)
		if len(packet.Topic) == 0 && !packet.Properties.Has(mqtt.PropTopicAlias) {
			p.out.errorf("Error: Invalid input. Does your topic contain '+' or '#'?\n") // as Mosquitto's, which then ends with status 0
			return nil
		}
		d, err := p.conn.Publish(ctx, packet)
		if err != nil {
			return p.refused(err)
		}
		select {
		case <-d.Done():
			p.report(d)
		case <-p.conn.Done():
			return lossError(p.conn.Err())
		}
	}
	return nil
}

// refused reports a message that was not sent; nil means that the tool ends as if it
// had been, as Mosquitto's does.
func (p *publisher) refused(err error) error {
	var text string
	switch {
	case errors.Is(err, client.ErrQoSNotSupported):
		text = "Message QoS not supported on broker, try a lower QoS."
	case errors.Is(err, client.ErrRetainNotAllowed):
		text = "Retained messages not supported on broker."
	case errors.Is(err, client.ErrPacketTooLarge):
		text = "Message payload is too large."
	default:
		return lossError(err)
	}
	p.out.errorf("Error: %s\n", text)
	return nil
}

// report warns if the server refused the message.
func (p *publisher) report(d *client.Delivery) {
	if d.Reason().Failed() {
		p.out.errorf("Warning: Publish %d failed: %s.\n", d.PacketID(), reasonText(d.Reason()))
	}
}

// lines publishes each line of standard input. A lost connection is made again, and
// what was not acknowledged is repeated.
func (p *publisher) lines(ctx context.Context, in io.Reader) error {
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadBytes('\n')
		if n := len(line); n > 0 && line[n-1] == '\n' {
			line = line[:n-1]
		} else if err != nil && n == 0 {
			break
		}
		if err := p.line(ctx, line); err != nil {
			return err
		}
		if err != nil {
			break
		}
	}
	return p.settle(ctx)
}

// line publishes one line, on a new connection if need be.
func (p *publisher) line(ctx context.Context, line []byte) error {
	for {
		d, err := p.conn.Publish(ctx, p.packet(line))
		if err == nil {
			p.last = append(p.last, d)
			p.collect()
			return nil
		}
		if p.conn.Err() == nil {
			return p.refused(err)
		}
		if err := p.reconnect(ctx); err != nil {
			return err
		}
	}
}

// collect reports the deliveries that are done at the front.
func (p *publisher) collect() {
	for len(p.last) > 0 {
		select {
		case <-p.last[0].Done():
			p.report(p.last[0])
			p.last = p.last[1:]
		default:
			return
		}
	}
}

// settle waits until everything is acknowledged.
func (p *publisher) settle(ctx context.Context) error {
	for len(p.last) > 0 {
		select {
		case <-p.last[0].Done():
			p.collect()
		case <-p.conn.Done():
			if err := p.reconnect(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// reconnect replaces the connection, which has ended.
func (p *publisher) reconnect(ctx context.Context) error {
	_ = p.conn.Close()
	conn, err := p.link.reopen(ctx)
	if err != nil {
		return err
	}
	p.conn = conn
	return nil
}

// reopen connects again and again until the server answers. A refusal ends that.
func (l *clientLink) reopen(ctx context.Context) (*client.Client, error) {
	for {
		select {
		case <-time.After(reconnectDelay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		c, err := l.open(ctx)
		var plain *plainError
		if err == nil || ctx.Err() != nil || errors.As(err, &plain) && plain.refused {
			return c, err
		}
	}
}
