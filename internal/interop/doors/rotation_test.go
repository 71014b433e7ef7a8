//go:build unix

package doors

import (
	"crypto/tls"
	"fmt"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/uniomq/unio/internal/testenv"
)

// crowd are clients over TLS that publish at QoS 1 as fast as they are answered, and one that receives.
type crowd struct {
	t      *testing.T
	pki    *pki
	port   int
	quit   chan struct{}
	wg     sync.WaitGroup
	acked  atomic.Int64 // messages
	made   atomic.Int64 // connections of those that come and go
	lost   atomic.Int64 // connections
	mu     sync.Mutex
	copies map[string]int // of the messages that were received
}

// connect connects a client that notices when it loses its connection.
func (c *crowd) connect(id string, change func(*paho.ClientOptions)) (paho.Client, error) {
	o := paho.NewClientOptions().AddBroker(fmt.Sprintf("ssl://127.0.0.1:%d", c.port)).SetClientID(id)
	o.SetAutoReconnect(false).SetConnectTimeout(patience).SetKeepAlive(time.Minute)
	o.SetTLSConfig(c.pki.clientConfig())
	o.SetConnectionLostHandler(func(_ paho.Client, err error) {
		c.lost.Add(1)
		c.t.Errorf("%s has lost its connection: %v", id, err)
	})
	if change != nil {
		change(o)
	}
	client := paho.NewClient(o)
	return client, finish(client.Connect())
}

// leave says goodbye. Disconnect comes back as soon as that is on its way, if it is given time: with none, it comes back before, and the
// same identifier's next connection would take this one over, which is a loss of it.
func leave(client paho.Client) { client.Disconnect(uint(patience.Milliseconds())) }

func finish(token paho.Token) error {
	if !token.WaitTimeout(patience) {
		return fmt.Errorf("no answer within %v", patience)
	}
	return token.Error()
}

// publish publishes one message and counts it if it is acknowledged.
func (c *crowd) publish(client paho.Client, text string) bool {
	if err := finish(client.Publish("rotation", 1, false, text)); err != nil {
		c.t.Errorf("%s: %v", text, err)
		return false
	}
	c.acked.Add(1)
	return true
}

func (c *crowd) over() bool {
	select {
	case <-c.quit:
		return true
	default:
		return false
	}
}

// start starts everybody: those that stay, and those that come and go.
func (c *crowd) start(stay, comeAndGo int) {
	c.t.Helper()
	sub, err := c.connect("subscriber", nil)
	if err == nil {
		err = finish(sub.Subscribe("rotation", 1, func(_ paho.Client, m paho.Message) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.copies[string(m.Payload())]++
		}))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { leave(sub) })
	for i := range stay {
		id := fmt.Sprintf("stays-%d", i)
		client, err := c.connect(id, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		c.wg.Go(func() {
			defer leave(client)
			for n := 0; !c.over() && c.publish(client, fmt.Sprintf("%s %d", id, n)); n++ {
			}
		})
	}
	for i := range comeAndGo {
		id := fmt.Sprintf("comes-%d", i)
		c.wg.Go(func() {
			for n := 0; !c.over(); n++ {
				client, err := c.connect(id, nil)
				if err != nil {
					c.t.Errorf("%s, connection %d: %v", id, n, err)
					return
				}
				c.made.Add(1)
				ok := c.publish(client, fmt.Sprintf("%s %d", id, n))
				leave(client)
				if !ok {
					return
				}
			}
		})
	}
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(patience); !so(); <-look.C {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %v", what, patience)
		}
	}
}

// stop ends the publishing and checks that nothing is missing.
func (c *crowd) stop() {
	c.t.Helper()
	close(c.quit)
	c.wg.Wait()
	last, err := c.connect("last", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.publish(last, "last")
	leave(last)
	waitFor(c.t, "the last message", func() bool { // it is behind all others
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.copies["last"] > 0
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := int64(len(c.copies)); got != c.acked.Load() {
		c.t.Errorf("%d messages were acknowledged and %d were received", c.acked.Load(), got)
	}
	for text, n := range c.copies {
		if n != 1 {
			c.t.Errorf("%q was received %d times", text, n)
		}
	}
}

// serial is that of the certificate that a new connection gets.
func (c *crowd) serial() *big.Int {
	c.t.Helper()
	nc, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", fmt.Sprintf("127.0.0.1:%d", c.port), c.pki.clientConfig())
	if err != nil {
		c.t.Fatal(err)
	}
	defer nc.Close()
	return nc.ConnectionState().PeerCertificates[0].SerialNumber
}

// Certificates are replaced while clients are busy: those that are connected stay, new ones get the new certificate, nothing is lost; a pair
// that does not fit is named in the log, and the old one stays in force.
func TestCertificatesAreReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	port := testenv.FreePort(t)
	b := startBroker(t, p.listen(port, "connection_messages false")...)
	c := &crowd{t: t, pki: p, port: port, quit: make(chan struct{}), copies: map[string]int{}}
	c.start(6, 2)
	const inForce, refused = "^listener .*: new files of TLS are in force", "listener .*: the files of TLS have changed and are not used: .*"
	current := p.server
	renew := func(write func(*testing.T, string, []byte)) {
		t.Helper()
		next := issue(t, t.TempDir(), "server", p.ca, forServer)
		mark, made, acked := b.Mark(), c.made.Load(), c.acked.Load()
		write(t, p.server.file, next.text())
		write(t, p.server.pem, next.keyText())
		b.awaitFrom(mark, inForce)
		if got := c.serial(); got.Cmp(next.x509.SerialNumber) != 0 {
			t.Errorf("a new connection got certificate %v; want %v", got, next.x509.SerialNumber)
		}
		current = next
		waitFor(t, "progress", func() bool { return c.made.Load() >= made+4 && c.acked.Load() >= acked+100 }) // so that each certificate is used
	}
	overwrite := func(t *testing.T, path string, content []byte) { writeFile(t, path, content) }
	renew(replace)
	renew(overwrite)
	spoil := func(name, path string, content []byte, line string) {
		t.Helper()
		mark := b.Mark()
		replace(t, path, content)
		b.awaitFrom(mark, refused+line)
		if got := c.serial(); got.Cmp(current.x509.SerialNumber) != 0 {
			t.Errorf("%s: a new connection got certificate %v; want the old one, %v", name, got, current.x509.SerialNumber)
		}
	}
	spoil("another key", p.server.pem, p.client.keyText(), "keyfile .*server.key: it does not fit the certificate in certfile .*server.crt")
	spoil("no certificate", p.server.file, []byte("nonsense\n"), "certfile .*server.crt: ")
	spoil("an empty file", p.server.file, nil, "certfile .*server.crt: ")
	renew(replace)
	renew(overwrite)
	// A reload with a broken pair leaves all as it is, too.
	mark := b.Mark()
	replace(t, p.server.pem, p.client.keyText())
	b.reload()
	b.awaitFrom(mark, "The configuration was not reloaded: what was in force stays in force")
	if got := c.serial(); got.Cmp(current.x509.SerialNumber) != 0 {
		t.Error("a reload with a broken pair has taken it")
	}
	renew(replace)
	c.stop()
	t.Logf("%d messages, %d connections", c.acked.Load(), c.made.Load())
}
