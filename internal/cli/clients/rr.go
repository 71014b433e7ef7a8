package clients

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/uniomq/unio/internal/client"
	"github.com/uniomq/unio/mqtt"
)

// requester is one run of rr.
type requester struct {
	cfg     *clientConfig
	out     *output
	printer printer
	over    chan struct{} // closed when the answer came
	once    sync.Once

	mu   sync.Mutex
	sent time.Time // when the request was sent; zero: not yet
}

// runRR publishes a request and prints the first message on the response topic.
func runRR(ctx context.Context, c *clientConfig, s streams) error {
	if err := c.readPayload(s.in); err != nil {
		return err
	}
	r := &requester{cfg: c, out: s.out, printer: printer{c, s.out}, over: make(chan struct{})}
	link, err := c.newLink(s.out, r.receive)
	if err != nil {
		return err
	}
	conn, err := link.open(ctx)
	if err != nil {
		return err
	}
	ending, stop := c.ending(ctx)
	defer stop()
	return conclude(ending, link, conn, r.exchange(ending, conn), r.over)
}

// exchange subscribes, publishes the request and waits for the answer.
func (r *requester) exchange(ctx context.Context, conn *client.Client) error {
	subscription := mqtt.Subscription{Filter: r.cfg.response, Options: r.cfg.subscribeOptions()}
	ack, err := conn.Subscribe(ctx, &mqtt.Subscribe{
		Subscriptions: []mqtt.Subscription{subscription}, Properties: r.cfg.properties("subscribe"),
	})
	if err != nil {
		return err
	}
	if allFailed(ack.Reasons) {
		return failed("All subscription requests were denied.")
	}
	p := &mqtt.Publish{
		Topic: []byte(r.cfg.topics[0]), Payload: r.cfg.text, QoS: r.cfg.qos, Properties: r.cfg.properties("publish"),
	}
	p.Properties.SetResponseTopic(r.cfg.response)
	r.mu.Lock()
	r.sent = time.Now()
	r.mu.Unlock()
	if _, err := conn.Publish(ctx, p); err != nil {
		if conn.Err() != nil {
			return err
		}
		return failed("Error: %v.", err)
	}
	select {
	case <-r.over:
		return errDone
	case <-conn.Done():
		return conn.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// receive handles a message. It runs in the goroutine of the client that reads.
func (r *requester) receive(p *mqtt.Publish) {
	if r.cfg.noRetained && p.Retain {
		return
	}
	r.once.Do(func() {
		now := time.Now()
		r.mu.Lock()
		sent := r.sent
		r.mu.Unlock()
		if r.cfg.latency && !sent.IsZero() {
			r.out.write(fmt.Appendf(nil, "Latency: %.6f s\n", now.Sub(sent).Seconds()))
		}
		r.printer.print(message{p, now})
		close(r.over)
	})
}
