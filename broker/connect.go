package broker

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/topic"
)

var (
	errNoConnect = errors.New("the first packet is not CONNECT")
	errStoreFull = fmt.Errorf("no room to store a session: %w", mqtt.QuotaExceeded)
	errShort     = fmt.Errorf("short of memory: %w", mqtt.QuotaExceeded)
	errAnonymous = fmt.Errorf("no user name: %w", mqtt.NotAuthorized)
	errEmptyID   = fmt.Errorf("empty client id: %w", mqtt.ClientIdentifierNotValid)
	// errKeepAlive has the code that Mosquitto gives: none of 3.1.1 is about the keep alive.
	errKeepAlive = fmt.Errorf("a keep alive beyond max_keepalive: %w", mqtt.ClientIdentifierNotValid)
	errIDPrefix  = fmt.Errorf("client id without an allowed prefix: %w", mqtt.NotAuthorized)
	// errExpired ends a connection at Client.Expires. A will is published: the client did not say goodbye [MQTT-3.1.2-8].
	errExpired     = fmt.Errorf("what the client was let in with has expired: %w", mqtt.MaximumConnectTime)
	errDisconnects = errors.New("client disconnected during authentication")
)

// connect reads CONNECT, decides on it, and attaches the session. It blocks, with the deadline set
// on the socket. On an error the client has been told what the specification names. judged is what
// rejudge goes by.
// [MQTT-3.1.4-5, -6]
func (c *conn) connect(deadline time.Time, judged uint64, g *guest) (rest []byte, err error) {
	in := handshakeReader{c: c, guest: g, limit: c.b.options.Load().MaxConnectSize}
	var p mqtt.Connect
	frame, err := in.first()
	if err != nil {
		return nil, err
	}
	err = p.Decode(0, frame)
	c.version = p.Version
	if err != nil {
		c.refuse(err)
		return nil, err
	}
	c.client.Version, c.client.CleanStart, c.client.HasWill, c.client.Bridge = p.Version, p.CleanStart, p.Will != nil, p.Bridge
	c.client.ID, c.client.Username = p.ClientID, p.Username
	c.client.HasUsername = p.HasUsername && p.Username != "" // an empty one is none, as for Mosquitto
	c.received(&p)
	connack := mqtt.Connack{}
	ctx, cancel := context.WithDeadline(context.WithValue(c.b.ctx, loginKey{}, c), deadline)
	defer cancel()
	if err = c.accept(&p, &connack); err == nil {
		err = c.authenticateConnect(ctx, &in, &p, &connack)
	}
	if err == nil {
		err = c.mayConnect()
	}
	if err == nil && p.Will != nil {
		c.withExtra().will, err = c.newWill(p.Will)
	}
	if !c.client.Expires.IsZero() {
		c.withExtra()
	}
	nc := c.nc
	if err == nil {
		err = c.rejudge(ctx, nc, &judged)
	}
	if err == nil {
		err = c.nc.SetDeadline(time.Time{})
	}
	if err == nil {
		c.lastSeen.Store(time.Now().UnixNano())
		c.adopt()
		err = c.b.attach(ctx, c, p.CleanStart, &connack)
	}
	if err != nil {
		c.refuse(err)
		return nil, err
	}
	// A change may have come too late for the last answer, and too early to see c in Clients.
	if err := c.rejudge(ctx, nc, &judged); err != nil {
		c.interrupt(err)
	}
	if at := c.client.Expires; !at.IsZero() {
		c.extra.lease = time.AfterFunc(time.Until(at), func() { c.interrupt(errExpired) })
	}
	if c.keepAlive > 0 {
		c.b.wheel.add(c, c.keepAlive)
	}
	return in.p, nil
}

func (c *conn) received(p mqtt.Packet) {
	if event := c.b.options.Load().Events.Received; event != nil {
		event(c.client, p)
	}
}

// refuse answers CONNECT with the error's reason code. An error without one, such as a broken connection, gets no
// answer, nor does another protocol.
// [MQTT-3.2.2-5, -7]
func (c *conn) refuse(err error) {
	if errors.Is(err, mqtt.ErrProtocolLevel) {
		c.version = mqtt.V311 // [MQTT-3.1.2-2] in the form that any version understands
	}
	var code mqtt.ReasonCode
	if !errors.As(err, &code) || c.version == 0 {
		return
	}
	if c.version < mqtt.V5 && (code == mqtt.MalformedPacket || code == mqtt.ProtocolError || code == mqtt.TopicNameInvalid) {
		return // [MQTT-3.1.4-1, MQTT-3.2.2-6] 3.1.1 has no return code for these
	}
	bt := c.b.newBatch()
	defer bt.finish(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	connack := mqtt.Connack{Reason: code.In(mqtt.CONNACK)}
	setReason(&connack.Properties, err, c.maxPacket)
	c.told = bt.packet(c, &connack)
}

// handshakeReader reads the packets before CONNACK. Memory grows with what arrives, up to limit,
// and as far as there is room in the lobby.
type handshakeReader struct {
	c     *conn
	guest *guest
	limit uint32 // what is left of MaxConnectSize
	p     []byte // arrived and not returned by next
	kept  int    // bytes of the buffer in which CONNECT is, which stays until the client is let in
	size  int    // bytes of the buffer of p, unless it is that one
}

// first returns CONNECT. Whoever speaks something else is told from it by the first bytes, without waiting for what would be a packet.
// [MQTT-3.1.0-1]
func (r *handshakeReader) first() ([]byte, error) {
	for len(r.p) == 0 {
		if err := r.read(); err != nil {
			return nil, err
		}
	}
	if r.p[0] != byte(mqtt.CONNECT)<<4 {
		if what := foreign(r.p); what != "" {
			return nil, fmt.Errorf("%w but %s: %w", errNoConnect, what, mqtt.ProtocolError)
		}
		if mqtt.Type(r.p[0]>>4) != mqtt.CONNECT {
			return nil, fmt.Errorf("%w: %w", errNoConnect, mqtt.ProtocolError)
		}
	}
	frame, err := r.next()
	r.kept, r.size = r.size, 0
	return frame, err
}

// foreign names the protocol that some first bytes are of, if it is one that is met at the wrong door.
func foreign(p []byte) string {
	for _, f := range foreigners {
		if bytes.HasPrefix(p, []byte(f.prefix)) {
			return f.name
		}
	}
	return ""
}

var foreigners = []struct{ prefix, name string }{
	{"\x16\x03", "TLS, which this listener does not speak"},
	{"GET ", "HTTP, which this listener does not speak"},
	{"POST ", "HTTP, which this listener does not speak"},
	{"HEAD ", "HTTP, which this listener does not speak"},
	{"PROXY ", "a PROXY header, and enable_proxy_protocol is off"},
	{"\r\n\r\n\x00\r\nQUIT\n", "a PROXY header, and enable_proxy_protocol is off"},
}

func (r *handshakeReader) next() ([]byte, error) {
	for {
		frame, rest, err := mqtt.Split(r.p, r.limit)
		if err != nil {
			return nil, err
		}
		if frame != nil {
			r.p = rest
			r.limit = max(r.limit-uint32(len(frame)), 1) // no packet is so short; 0 would be none
			r.c.b.counters.add(&traffic{packetsReceived: 1, bytesReceived: int64(len(frame))})
			return frame, nil
		}
		if err := r.read(); err != nil {
			return nil, err
		}
	}
}

// read waits for more.
func (r *handshakeReader) read() error {
	lobby := &r.c.b.lobby
	if len(r.p) == cap(r.p) {
		size := max(min(max(firstRead, 2*len(r.p)), int(r.limit)), len(r.p)+maxHeader)
		if err := lobby.hold(r.guest, r.kept+size); err != nil {
			return err
		}
		r.p, r.size = append(make([]byte, 0, size), r.p...), size
	}
	if err := lobby.owe(r.guest, true); err != nil {
		return err
	}
	n, err := r.c.nc.Read(r.p[len(r.p):cap(r.p)])
	if err := lobby.owe(r.guest, false); err != nil {
		return err
	}
	r.p = r.p[:len(r.p)+n]
	if n > 0 {
		return nil
	}
	return err
}

const (
	firstRead = 512 // bytes of the buffer that a handshake begins with
	maxHeader = 5   // bytes that a packet's type and length have at most
)

// accept checks what CONNECT asks for against the limits and fills in CONNACK.
// [MQTT-3.1.4-2]
func (c *conn) accept(p *mqtt.Connect, connack *mqtt.Connack) error {
	l := c.b.options.Load()
	if c.b.short.Load() {
		return errShort
	}
	if c.extra != nil && c.extra.identifyErr != nil {
		return authError(c.extra.identifyErr)
	}
	if t := c.client.Transport; t != nil && t.Username != "" {
		p.Username, p.HasUsername = t.Username, true
		c.client.Username, c.client.HasUsername = t.Username, true
	}
	if c.lo.RefuseAnonymous && !c.client.HasUsername && !p.Properties.Has(mqtt.PropAuthMethod) {
		return errAnonymous
	}
	if err := c.identify(p, connack); err != nil {
		return err
	}
	if err := c.crowded(); err != nil {
		return err
	}
	c.maxPacket, c.receiveMaximum = mqtt.MaxPacketSize, 65535
	if p.Version < mqtt.V5 {
		if !p.CleanStart {
			c.expiry = l.maxSessionExpiry()
		}
		return c.setKeepAlive(p, connack)
	}
	props := &p.Properties
	c.terse = props.Has(mqtt.PropRequestProblemInfo) && props.RequestProblemInfo == 0
	if props.Has(mqtt.PropMaximumPacketSize) {
		c.maxPacket = props.MaximumPacketSize
	}
	if props.Has(mqtt.PropReceiveMaximum) {
		c.receiveMaximum = props.ReceiveMaximum
	}
	if props.Has(mqtt.PropTopicAliasMaximum) {
		c.aliasMaximum = props.TopicAliasMaximum
	}
	c.describe(props, connack)
	return c.setKeepAlive(p, connack)
}

// describe fills in what a v5 CONNACK says of the broker.
// [MQTT-3.2.2-9]
func (c *conn) describe(props *mqtt.Properties, connack *mqtt.Connack) {
	l, out := c.b.options.Load(), &connack.Properties
	if n := c.lo.MaxTopicAlias; n > 0 {
		out.SetTopicAliasMaximum(n)
	}
	if l.RefuseRetained {
		out.SetRetainAvailable(false)
	}
	if n := c.lo.maxQoS(); n < 2 {
		out.SetMaximumQoS(n)
	}
	out.SetMaximumPacketSize(l.MaxPacketSize)
	out.SetReceiveMaximum(l.MaxInflight)
	if props.Has(mqtt.PropSessionExpiry) {
		c.expiry = min(props.SessionExpiry, l.maxSessionExpiry())
		if c.expiry != props.SessionExpiry {
			out.SetSessionExpiry(c.expiry)
		}
	}
	if props.Has(mqtt.PropRequestResponseInfo) && props.RequestResponseInfo == 1 && l.ResponseInformation != nil {
		if info := l.ResponseInformation(c.client); info != "" { // [MQTT-3.1.2-28] only if asked for
			out.SetResponseInfo(info)
		}
	}
}

// identify settles the client id.
// [MQTT-3.1.3-5]
func (c *conn) identify(p *mqtt.Connect, connack *mqtt.Connack) error {
	if len(c.lo.Versions) > 0 && !slices.Contains(c.lo.Versions, p.Version) {
		return mqtt.UnsupportedProtocolVersion
	}
	if c.lo.UsernameAsClientID {
		if p.Username == "" {
			return errAnonymous
		}
		c.client.ID = p.Username
	}
	if c.client.ID == "" {
		if err := c.assignID(p, connack); err != nil {
			return err
		}
	}
	if strings.ContainsRune(c.client.ID, 0) { // a user name may be anything; see store.Key
		return mqtt.ClientIdentifierNotValid
	}
	for _, prefix := range c.lo.ClientIDPrefixes {
		if strings.HasPrefix(c.client.ID, prefix) {
			return nil
		}
	}
	if len(c.lo.ClientIDPrefixes) > 0 {
		return errIDPrefix
	}
	return nil
}

// assignID gives a client without id one [MQTT-3.1.3-6], which before v5 needs a clean session
// [MQTT-3.1.3-8], and does not exist in 3.1.
// [MQTT-3.2.2-16]
func (c *conn) assignID(p *mqtt.Connect, connack *mqtt.Connack) error {
	if p.Version == mqtt.V31 || c.lo.RefuseEmptyClientID || p.Version == mqtt.V311 && !p.CleanStart {
		return errEmptyID
	}
	c.client.ID = c.lo.AutoIDPrefix + uuid()
	if p.Version == mqtt.V5 {
		connack.Properties.SetAssignedClientID(c.client.ID) // [MQTT-3.1.3-7]
	}
	return nil
}

// uuid returns a random UUID (version 4 of RFC 9562) in capital letters, as Mosquitto writes them.
func uuid() string {
	var p [16]byte
	_, _ = rand.Read(p[:]) // it never fails
	p[6], p[8] = p[6]&0x0F|0x40, p[8]&0x3F|0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", p[:4], p[4:6], p[6:8], p[8:10], p[10:])
}

// setKeepAlive settles the keep alive. A v5 client is told the maximum if it asks for more [MQTT-3.1.2-21]; no keep alive
// at all is more than any maximum but the largest. Older clients cannot be told, and are refused.
// [MQTT-3.2.2-22]
func (c *conn) setKeepAlive(p *mqtt.Connect, connack *mqtt.Connack) error {
	limit, ask := c.b.options.Load().MaxKeepAlive, p.KeepAlive
	if ask > limit || ask == 0 && limit < 65535 {
		if p.Version < mqtt.V5 {
			return errKeepAlive
		}
		ask = limit
		connack.Properties.SetServerKeepAlive(ask)
	}
	c.client.KeepAlive = ask
	c.keepAlive = time.Duration(ask) * time.Second * 3 / 2
	return nil
}

// authenticateConnect asks the Authenticator, if there is one.
func (c *conn) authenticateConnect(ctx context.Context, in *handshakeReader, p *mqtt.Connect, connack *mqtt.Connack) error {
	extended := p.Properties.Has(mqtt.PropAuthMethod)
	auth := c.b.options.Load().Authenticator
	if auth == nil {
		if extended {
			return mqtt.BadAuthenticationMethod // [MQTT-4.12.0-1]
		}
		return nil
	}
	if extended {
		return c.exchange(ctx, auth, in, p, connack)
	}
	return authError(auth.Authenticate(ctx, c.client, p.Password))
}

func authError(err error) error {
	var code mqtt.ReasonCode
	if err == nil || errors.As(err, &code) {
		return err
	}
	return fmt.Errorf("%w: %w", err, mqtt.NotAuthorized)
}

// checkTopic judges a topic name from a client.
func (b *Broker) checkTopic(name []byte) error {
	if topic.ValidName(name) != nil {
		return mqtt.TopicNameInvalid
	}
	if topic.Levels(name) > b.options.Load().MaxTopicLevels {
		return errTooDeep
	}
	return nil
}

var (
	errTooDeep        = fmt.Errorf("too many topic levels: %w", mqtt.TopicNameInvalid)
	errMountedTooLong = fmt.Errorf("topic too long behind the mount point: %w", mqtt.TopicNameInvalid)
)
