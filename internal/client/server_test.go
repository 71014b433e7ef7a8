package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/internal/client"
	"github.com/uniomq/unio/internal/memnet"
	"github.com/uniomq/unio/mqtt"
)

// refuser lets nobody in.
type refuser struct{}

func (refuser) Authenticate(context.Context, *broker.Client, []byte) error { return mqtt.NotAuthorized }

func (refuser) Exchange(context.Context, *broker.Client, string) (broker.Exchange, error) {
	return nil, mqtt.BadAuthenticationMethod
}

// server is the other end of a connection, which a test plays by hand.
type server struct {
	t       *testing.T
	conn    net.Conn
	version mqtt.Version
	buf     []byte
}

// scripted returns a client connected to a server that the test plays. It must run in
// a bubble of synctest.
func scripted(t *testing.T, o client.Options) (*client.Client, *server) {
	t.Helper()
	return scriptedWith(t, o, &mqtt.Connack{})
}

func scriptedWith(t *testing.T, o client.Options, ack *mqtt.Connack) (*client.Client, *server) {
	t.Helper()
	ours, theirs := memnet.Pipe()
	s := &server{t: t, conn: theirs, version: max(o.Connect.Version, mqtt.V311)}
	s.send(ack) // the client reads it after it wrote CONNECT
	c := connect(t, ours, o)
	s.next()
	t.Cleanup(func() { _ = theirs.Close() })
	return c, s
}

func (s *server) send(p mqtt.Packet) {
	s.t.Helper()
	if _, err := s.conn.Write(p.Append(nil, s.version)); err != nil {
		s.t.Error(err)
	}
}

// next returns the next packet, nil at the end of the stream.
func (s *server) next() mqtt.Packet {
	s.t.Helper()
	for {
		frame, rest, err := mqtt.Split(s.buf, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		if frame != nil {
			s.buf = rest
			p, err := mqtt.Decode(s.version, bytes.Clone(frame))
			if err != nil {
				s.t.Fatal(err)
			}
			return p
		}
		chunk := make([]byte, 1024)
		n, err := s.conn.Read(chunk)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			s.t.Fatal(err)
		}
		s.buf = append(s.buf, chunk[:n]...)
	}
}

// expect reads packets and compares their wire forms.
func (s *server) expect(want ...mqtt.Packet) {
	s.t.Helper()
	for _, w := range want {
		got := s.next()
		if got == nil {
			s.t.Fatalf("the end instead of %v", w.Type())
		}
		if sub, ok := w.(*mqtt.Subscribe); ok && len(sub.Subscriptions) == 0 && got.Type() == mqtt.SUBSCRIBE {
			continue // any SUBSCRIBE
		}
		if g, w := got.Append(nil, s.version), w.Append(nil, s.version); !bytes.Equal(g, w) {
			s.t.Fatalf("%v %x, want %x", got.Type(), g, w)
		}
	}
}

func message(qos byte, id uint16, dup bool) *mqtt.Publish {
	return &mqtt.Publish{QoS: qos, PacketID: id, Dup: dup, Topic: []byte("t"), Payload: fmt.Append(nil, id)}
}

func ack(kind mqtt.Type, id uint16) *mqtt.Ack { return &mqtt.Ack{Kind: kind, PacketID: id} }

func TestUnacknowledgedMessagesAreRepeatedOnTheNextConnection(t *testing.T) {
	t.Parallel()
	for _, present := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			o := client.Options{Session: new(client.Session), Inflight: 2}
			c, s := scripted(t, o)
			var deliveries []*client.Delivery
			for i, qos := range []byte{2, 1, 2, 1} {
				d, err := c.TryPublish(message(qos, uint16(i+1), false))
				if err != nil {
					t.Fatal(err)
				}
				deliveries = append(deliveries, d)
			}
			s.expect(message(2, 1, false), message(1, 2, false))
			s.send(ack(mqtt.PUBREC, 1))
			s.expect(ack(mqtt.PUBREL, 1))
			_ = s.conn.Close()
			<-c.Done()
			if err := c.Err(); !errors.Is(err, client.ErrLost) {
				t.Error(err)
			}
			_ = c.Close()
			if n := o.Session.Pending(); n != 4 {
				t.Errorf("%d messages pending, want 4", n)
			}

			c, s = scriptedWith(t, o, &mqtt.Connack{SessionPresent: present})
			if present {
				s.expect(ack(mqtt.PUBREL, 1), message(1, 2, true))
			} else {
				s.expect(message(2, 1, false), message(1, 2, false))
				s.send(ack(mqtt.PUBREC, 1))
				s.expect(ack(mqtt.PUBREL, 1))
			}
			s.send(ack(mqtt.PUBCOMP, 1))
			s.expect(message(2, 3, false))
			s.send(ack(mqtt.PUBACK, 2))
			s.expect(message(1, 4, false))
			s.send(ack(mqtt.PUBACK, 4))
			s.send(ack(mqtt.PUBREC, 3))
			s.expect(ack(mqtt.PUBREL, 3))
			s.send(ack(mqtt.PUBCOMP, 3))
			for _, d := range deliveries {
				<-d.Done()
			}
			_ = c.Close()
		})
	}
}

func TestQoS2MessageIsDeliveredOnceAcrossConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var in inbox
		o := client.Options{Session: new(client.Session), OnPublish: in.add}
		c, s := scripted(t, o)
		s.send(message(2, 7, false))
		s.expect(ack(mqtt.PUBREC, 7))
		_ = s.conn.Close()
		<-c.Done()
		_ = c.Close()
		c, s = scriptedWith(t, o, &mqtt.Connack{SessionPresent: true})
		s.send(message(2, 7, true))
		s.expect(ack(mqtt.PUBREC, 7))
		s.send(ack(mqtt.PUBREL, 7))
		s.expect(ack(mqtt.PUBCOMP, 7))
		s.send(message(2, 7, false)) // another message with the same identifier
		s.expect(ack(mqtt.PUBREC, 7))
		if got := in.all(); !slices.Equal(got, []string{"t q2 7", "t q2 7"}) {
			t.Errorf("got %q", got)
		}
		_ = c.Close()
	})
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, client.Options{Inflight: 1, Queue: 2})
		for i := range uint16(2) {
			if _, err := c.TryPublish(message(1, i+1, false)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.TryPublish(message(1, 3, false)); !errors.Is(err, client.ErrQueueFull) {
			t.Errorf("third message: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.Publish(ctx, message(1, 3, false)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for room: %v", err)
		}
		accepted := make(chan error)
		go func() {
			_, err := c.Publish(t.Context(), message(1, 3, false))
			accepted <- err
		}()
		synctest.Wait()
		s.expect(message(1, 1, false))
		s.send(ack(mqtt.PUBACK, 1))
		if err := <-accepted; err != nil {
			t.Error(err)
		}
		_ = c.Close()
		if _, err := c.TryPublish(message(0, 0, false)); !errors.Is(err, client.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestBytesWaitingToBeWrittenAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, client.Options{Timeout: time.Minute})
		p := &mqtt.Publish{Topic: []byte("t"), Payload: make([]byte, 1<<19)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var err error
		sent := 0
		for ; err == nil; sent++ {
			_, err = c.Publish(ctx, p)
		}
		// The peer's buffer, what writeLoop holds, and what waits.
		if most := (memnet.MaxBuffered + 3*client.MaxBuffered) / len(p.Payload); sent > most+1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d messages accepted, at most %d expected; %v", sent, most, err)
		}
		<-c.Done() // the write timeout
		if err := c.Err(); !errors.Is(err, client.ErrLost) {
			t.Error(err)
		}
		_ = c.Close()
	})
}

func TestLimitsOfTheServerAreRespected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var limits mqtt.Connack
		limits.Properties.SetMaximumQoS(1)
		limits.Properties.SetRetainAvailable(false)
		limits.Properties.SetMaximumPacketSize(20)
		limits.Properties.SetReceiveMaximum(1)
		c, s := scriptedWith(t, client.Options{Connect: mqtt.Connect{Version: mqtt.V5}}, &limits)
		for _, refused := range []struct {
			p    *mqtt.Publish
			want error
		}{
			{message(2, 0, false), client.ErrQoSNotSupported},
			{&mqtt.Publish{Topic: []byte("t"), Retain: true}, client.ErrRetainNotAllowed},
			{&mqtt.Publish{Topic: []byte("t"), Payload: make([]byte, 20)}, client.ErrPacketTooLarge},
		} {
			if _, err := c.TryPublish(refused.p); !errors.Is(err, refused.want) {
				t.Errorf("%v, want %v", err, refused.want)
			}
		}
		for i := range uint16(2) {
			if _, err := c.TryPublish(message(1, i+1, false)); err != nil {
				t.Fatal(err)
			}
		}
		s.expect(message(1, 1, false))
		if _, err := c.TryPublish(message(0, 0, false)); err != nil { // overtakes the window
			t.Fatal(err)
		}
		s.expect(message(0, 0, false))
		s.send(ack(mqtt.PUBACK, 1))
		s.expect(message(1, 2, false))
		_ = c.Close()
	})
}

func TestMisbehavingServerIsToldAndLeft(t *testing.T) {
	t.Parallel()
	limits := func() (p mqtt.Properties) {
		p.SetReceiveMaximum(1)
		p.SetTopicAliasMaximum(1)
		p.SetMaximumPacketSize(100)
		return p
	}
	aliased := func(topic string, alias uint16) *mqtt.Publish {
		p := &mqtt.Publish{Topic: []byte(topic)}
		p.Properties.SetTopicAlias(alias)
		return p
	}
	for name, test := range map[string]struct {
		packets []mqtt.Packet
		want    mqtt.ReasonCode
	}{
		"receive maximum": {[]mqtt.Packet{message(2, 1, false), message(2, 2, false)}, mqtt.ReceiveMaximumExceeded},
		"alias too high":  {[]mqtt.Packet{aliased("a", 2)}, mqtt.TopicAliasInvalid},
		"alias unknown":   {[]mqtt.Packet{aliased("", 1)}, mqtt.ProtocolError},
		"packet too long": {[]mqtt.Packet{&mqtt.Publish{Topic: []byte("t"), Payload: make([]byte, 100)}}, mqtt.PacketTooLarge},
		"of a client":     {[]mqtt.Packet{&mqtt.Pingreq{}}, mqtt.ProtocolError},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, client.Options{Connect: mqtt.Connect{Version: mqtt.V5, Properties: limits()}})
				for _, p := range test.packets {
					s.send(p)
				}
				for {
					p := s.next()
					if p == nil {
						t.Fatal("no DISCONNECT")
					}
					if d, ok := p.(*mqtt.Disconnect); ok {
						if d.Reason != test.want {
							t.Errorf("DISCONNECT %v, want %v", d.Reason, test.want)
						}
						break
					}
				}
				<-c.Done()
				if err := c.Err(); !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				_ = c.Close()
			})
		})
	}
}

func TestTopicAliasOfTheServerIsResolved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var in inbox
		o := client.Options{Connect: mqtt.Connect{Version: mqtt.V5}, OnPublish: in.add}
		o.Connect.Properties.SetTopicAliasMaximum(5)
		c, s := scripted(t, o)
		for _, topic := range []string{"a/b", "", ""} {
			p := &mqtt.Publish{Topic: []byte(topic), Payload: []byte("x")}
			p.Properties.SetTopicAlias(5)
			s.send(p)
		}
		synctest.Wait()
		if got, want := in.all(), []string{"a/b q0 x", "a/b q0 x", "a/b q0 x"}; !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		_ = c.Close()
	})
}

func TestServerThatDoesNotAnswerPingsIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, client.Options{Connect: mqtt.Connect{KeepAlive: 10}})
		began := time.Now()
		<-c.Done()
		if err := c.Err(); !errors.Is(err, client.ErrKeepAlive) || time.Since(began) != 20*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		_ = c.Close()
	})
}

func TestDisconnectOfTheServerIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, client.Options{Connect: mqtt.Connect{Version: mqtt.V5}})
		s.send(&mqtt.Disconnect{Reason: mqtt.SessionTakenOver})
		<-c.Done()
		var d *client.DisconnectedError
		if err := c.Err(); !errors.As(err, &d) || !errors.Is(err, mqtt.SessionTakenOver) {
			t.Error(err)
		}
		if err := c.Disconnect(t.Context(), nil); !errors.Is(err, mqtt.SessionTakenOver) {
			t.Errorf("Disconnect: %v", err)
		}
	})
}

// TestMessageAtHandIsAcknowledgedBeforeDisconnect: what OnPublish was given must not come again.
func TestMessageAtHandIsAcknowledgedBeforeDisconnect(t *testing.T) {
	t.Parallel()
	for qos, want := range map[byte]mqtt.Type{1: mqtt.PUBACK, 2: mqtt.PUBREC} {
		synctest.Test(t, func(t *testing.T) {
			handling, goOn := make(chan struct{}), make(chan struct{})
			c, s := scripted(t, client.Options{OnPublish: func(*mqtt.Publish) {
				close(handling)
				<-goOn
			}})
			s.send(message(qos, 7, false))
			<-handling
			left := make(chan struct{})
			go func() {
				disconnect(t, c)
				close(left)
			}()
			synctest.Wait() // Disconnect waits for the server
			close(goOn)
			s.expect(ack(want, 7), &mqtt.Disconnect{})
			<-left
		})
	}
}

func TestDisconnectDoesNotWaitForASilentServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, client.Options{})
		began := time.Now()
		disconnect(t, c)
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v", took)
		}
		s.expect(&mqtt.Disconnect{})
		if p := s.next(); p != nil {
			t.Errorf("%v after DISCONNECT", p.Type())
		}
	})
}

func TestAnswerThatDoesNotFitEndsTheConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, client.Options{Connect: mqtt.Connect{Version: mqtt.V5}})
		s.send(&mqtt.Suback{PacketID: 1, Reasons: []mqtt.ReasonCode{0, 0}}) // nobody asked: ignored
		synctest.Wait()
		go s.send(&mqtt.Suback{PacketID: 1, Reasons: []mqtt.ReasonCode{0, 0}})
		_, err := c.Subscribe(t.Context(), &mqtt.Subscribe{Subscriptions: []mqtt.Subscription{{Filter: "a"}}})
		if !errors.Is(err, mqtt.ProtocolError) {
			t.Error(err)
		}
		_ = c.Close()
	})
}
