package broker

import (
	"context"
	"fmt"

	"github.com/uniomq/unio/broker/internal/session"
	"github.com/uniomq/unio/mqtt"
)

// exchange runs the enhanced authentication of a CONNECT [MQTT-4.12].
// [MQTT-4.12.0-2, -4, -6]
func (c *conn) exchange(ctx context.Context, auth Authenticator, in *handshakeReader, p *mqtt.Connect, connack *mqtt.Connack) error {
	method := string(p.Properties.AuthMethod)
	c.withExtra().authMethod = method
	x, err := auth.Exchange(ctx, c.client, method)
	if err != nil {
		return authError(err)
	}
	data := append([]byte(nil), p.Properties.AuthData...)
	for {
		reply, done, err := x.Next(ctx, data)
		if err != nil {
			return authError(err)
		}
		if done {
			connack.Properties.SetAuthMethod(method) // [MQTT-4.12.0-5]
			if len(reply) > 0 {
				connack.Properties.SetAuthData(reply)
			}
			return nil
		}
		c.writeAuth(mqtt.ContinueAuthentication, reply)
		if data, err = c.readAuth(in); err != nil {
			return err
		}
	}
}

// readAuth waits for the client's next AUTH before CONNACK; anything else but DISCONNECT is an error.
func (c *conn) readAuth(in *handshakeReader) ([]byte, error) {
	frame, err := in.next()
	if err != nil {
		return nil, err
	}
	p, err := mqtt.Decode(c.version, frame)
	if err != nil {
		return nil, err
	}
	c.received(p)
	switch a := p.(type) {
	case *mqtt.Auth:
		if err := c.checkAuth(a, mqtt.ContinueAuthentication); err != nil {
			return nil, err
		}
		return append([]byte(nil), a.Properties.AuthData...), nil
	case *mqtt.Disconnect:
		return nil, errDisconnects
	default:
		return nil, mqtt.ProtocolError // [MQTT-3.1.2-30]
	}
}

// checkAuth refuses an AUTH with another reason or method than the one at CONNECT [MQTT-4.12.0-3, -5].
// [MQTT-4.12.1-1]
func (c *conn) checkAuth(a *mqtt.Auth, want mqtt.ReasonCode) error {
	if a.Reason != want || c.extra.authMethod == "" || string(a.Properties.AuthMethod) != c.extra.authMethod {
		return mqtt.ProtocolError
	}
	return nil
}

// [MQTT-3.15.2-1]
func (c *conn) writeAuth(code mqtt.ReasonCode, data []byte) {
	a := mqtt.Auth{Reason: code}
	a.Properties.SetAuthMethod(c.extra.authMethod)
	if len(data) > 0 {
		a.Properties.SetAuthData(data)
	}
	bt := c.b.newBatch()
	defer bt.finish(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase < session.Closing {
		bt.packet(c, &a)
	}
}

// reauthenticate handles AUTH from a client that is connected already [MQTT-4.12.1]. A step
// may block, so each runs in a goroutine of its own, while other packets go on.
// [MQTT-4.12.0-7]
func (c *conn) reauthenticate(a *mqtt.Auth) error {
	e := c.extra
	if e == nil || !e.stepping.CompareAndSwap(false, true) {
		return mqtt.ProtocolError // there was none at CONNECT, or AUTH before the answer to the last one
	}
	x, want := e.reauth, mqtt.ContinueAuthentication
	if x == nil {
		want = mqtt.ReAuthenticate
	}
	auth := c.b.options.Load().Authenticator
	if err := c.checkAuth(a, want); err != nil || auth == nil {
		return mqtt.ProtocolError
	}
	data := append([]byte(nil), a.Properties.AuthData...)
	c.b.wg.Add(1)
	go c.reauthStep(auth, x, data)
	return nil
}

func (c *conn) reauthStep(auth Authenticator, x Exchange, data []byte) {
	defer c.b.wg.Done()
	var err error
	defer func() {
		if err != nil {
			c.interrupt(fmt.Errorf("re-authentication: %w", err)) // [MQTT-4.12.1-2]
		}
	}()
	defer c.contain(&err, nil)
	ctx, cancel := context.WithTimeout(c.b.ctx, c.b.options.Load().ConnectTimeout)
	defer cancel()
	if x == nil {
		if x, err = auth.Exchange(ctx, c.client, c.extra.authMethod); err != nil {
			err = authError(err)
			return
		}
	}
	reply, done, err2 := x.Next(ctx, data)
	if err2 != nil {
		err = authError(err2)
		return
	}
	code := mqtt.ContinueAuthentication
	if done {
		x, code = nil, mqtt.Success
	}
	c.extra.reauth = x
	c.extra.stepping.Store(false)
	c.writeAuth(code, reply)
}
