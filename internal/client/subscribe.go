package client

import (
	"context"
	"fmt"

	"github.com/uniomq/unio/mqtt"
)

// Subscribe sends SUBSCRIBE and waits for its SUBACK. The packet identifier is the
// client's to set. A subscription that the server refuses is no error: see the reasons.
func (c *Client) Subscribe(ctx context.Context, s *mqtt.Subscribe) (*mqtt.Suback, error) {
	answer, err := c.request(ctx, func(id uint16) mqtt.Packet {
		s.PacketID = id
		return s
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	suback, ok := answer.(*mqtt.Suback)
	if !ok || len(suback.Reasons) != len(s.Subscriptions) {
		return nil, c.misanswered("SUBSCRIBE")
	}
	return suback, nil
}

// Unsubscribe sends UNSUBSCRIBE and waits for its UNSUBACK.
func (c *Client) Unsubscribe(ctx context.Context, u *mqtt.Unsubscribe) (*mqtt.Unsuback, error) {
	answer, err := c.request(ctx, func(id uint16) mqtt.Packet {
		u.PacketID = id
		return u
	})
	if err != nil {
		return nil, fmt.Errorf("unsubscribe: %w", err)
	}
	unsuback, ok := answer.(*mqtt.Unsuback)
	if !ok {
		return nil, c.misanswered("UNSUBSCRIBE")
	}
	return unsuback, nil
}

// misanswered ends the connection.
func (c *Client) misanswered(request string) error {
	err := &mqtt.Error{Reason: mqtt.ProtocolError, Detail: "the answer does not fit the " + request}
	c.leave(&mqtt.Disconnect{Reason: err.Reason}, err)
	return err
}

// request sends a packet with a new identifier and waits for the answer.
func (c *Client) request(ctx context.Context, packet func(id uint16) mqtt.Packet) (mqtt.Packet, error) {
	answer := make(chan mqtt.Packet, 1)
	c.mu.Lock()
	if c.err != nil || c.leaving {
		defer c.mu.Unlock()
		return nil, c.ended()
	}
	id, err := c.nextID()
	if err == nil {
		c.requests[id] = answer
		c.send(packet(id))
	}
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	defer func() {
		c.mu.Lock()
		delete(c.requests, id)
		c.mu.Unlock()
	}()
	select {
	case p := <-answer:
		return p, nil
	case <-c.done:
		return nil, c.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// answered gives an answer to the one who waits for it.
func (c *Client) answered(id uint16, p mqtt.Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer := c.requests[id]; answer != nil {
		delete(c.requests, id) // a second answer finds nobody
		answer <- p
	}
}
