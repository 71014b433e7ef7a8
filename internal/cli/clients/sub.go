package clients

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/uniomq/unio/internal/client"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/topic"
)

// removalQueue is how many retained messages --remove-retained may be removing at a time.
const removalQueue = 1 << 20

// errDone ends a tool without an error.
var errDone = errors.New("done")

// subscriber is one run of sub.
type subscriber struct {
	cfg     *clientConfig
	out     *output
	printer printer
	link    *clientLink

	conn  atomic.Pointer[client.Client]
	count int // messages handled; of the goroutine that reads
	total atomic.Int64
	rows  map[string]int // --watch: the line of each topic
	over  chan struct{}  // closed when the messages asked for were received
	once  sync.Once
}

// runSub prints messages until something ends it.
func runSub(ctx context.Context, c *clientConfig, s streams) error {
	sub := &subscriber{
		cfg: c, out: s.out, printer: printer{c, s.out}, over: make(chan struct{}), rows: map[string]int{},
	}
	link, err := c.newLink(s.out, sub.receive)
	if err != nil {
		return err
	}
	link.options.Queue = removalQueue
	sub.link = link
	conn, err := link.open(ctx)
	if err != nil {
		return err
	}
	ending, stop := c.ending(ctx)
	defer stop()
	if c.watch {
		s.out.write([]byte("\x1b[2J\x1b[1;1H"))
	}
	for {
		sub.conn.Store(conn)
		err := sub.serve(ending, conn)
		if !errors.Is(err, client.ErrLost) {
			return sub.conclude(ending, err)
		}
		_ = conn.Close()
		if conn, err = link.reopen(ending); err != nil {
			return sub.conclude(ending, err)
		}
	}
}

// Causes of a context that ends a tool.
var (
	errTimedOut = errors.New("timed out")
	errSignal   = errors.New("signal")
)

// ending returns a context that ends with errTimedOut after -W, and with errSignal on
// SIGTERM or SIGINT.
func (c *clientConfig) ending(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	var timeout <-chan time.Time
	if c.timeout > 0 {
		timeout = time.After(c.timeout)
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-timeout:
			cancel(errTimedOut)
		case <-signals:
			cancel(errSignal)
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
		watching.Wait()
	}
}

// serve subscribes and waits for the end; ErrLost asks for another connection.
func (s *subscriber) serve(ctx context.Context, conn *client.Client) error {
	if len(s.cfg.topics) > 0 {
		p := &mqtt.Subscribe{Properties: s.cfg.properties("subscribe")}
		for _, t := range s.cfg.topics {
			p.Subscriptions = append(p.Subscriptions, mqtt.Subscription{Filter: t, Options: s.cfg.subscribeOptions()})
		}
		ack, err := conn.Subscribe(ctx, p)
		if err != nil {
			return err
		}
		if allFailed(ack.Reasons) {
			s.out.errorf("All subscription requests were denied.\n")
			return errDone
		}
	}
	for _, t := range s.cfg.unsubscribe {
		p := &mqtt.Unsubscribe{Filters: []string{t}, Properties: s.cfg.properties("unsubscribe")}
		if _, err := conn.Unsubscribe(ctx, p); err != nil {
			return err
		}
	}
	if s.cfg.exitOnSuback {
		return errDone
	}
	var tick <-chan time.Time
	if s.cfg.messageRate {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-tick:
			s.out.write(fmt.Appendf(nil, "%d\n", s.total.Swap(0)))
		case <-s.over:
			return errDone
		case <-conn.Done():
			return conn.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// subscribeOptions returns the options byte; before version 5.0 it is the QoS alone.
func (c *clientConfig) subscribeOptions() mqtt.SubscribeOptions {
	if c.version != mqtt.V5 {
		return mqtt.SubscribeOptions(c.qos)
	}
	o := c.subOptions | mqtt.SubscribeOptions(c.qos)
	if c.noRetained && o.RetainHandling() == 0 {
		o |= 2 << 4 // there is no need to send what is not printed
	}
	return o
}

func allFailed(reasons []mqtt.ReasonCode) bool {
	for _, r := range reasons {
		if !r.Failed() {
			return false
		}
	}
	return true
}

// conclude says good-bye, and returns the error for the reason to end.
func (s *subscriber) conclude(ctx context.Context, err error) error {
	return conclude(ctx, s.link, s.conn.Load(), err, s.over)
}

// conclude ends sub or rr after err. What the tool was to do may have been done in the
// same moment as something else happened: then that counts.
func conclude(ctx context.Context, link *clientLink, conn *client.Client, err error, over <-chan struct{}) error {
	select {
	case <-over:
		err = errDone
	default:
	}
	var plain *plainError
	cause := context.Cause(ctx)
	switch {
	case errors.Is(err, errDone):
		link.disconnect(conn, mqtt.NormalDisconnection)
		return nil
	case errors.Is(cause, errTimedOut):
		link.disconnect(conn, mqtt.DisconnectWithWill) // which before 5.0 is an ordinary one
		return &plainError{status: statusTimeout, text: "Timed out\n"}
	case cause != nil:
		link.disconnect(conn, mqtt.DisconnectWithWill)
		return nil
	case errors.As(err, &plain):
		return err
	}
	_ = conn.Close()
	if gone, ok := errors.AsType[*client.DisconnectedError](err); ok {
		return &plainError{status: int(gone.Packet.Reason), text: "Error: The broker disconnected: " + reasonText(gone.Packet.Reason) + ".\n"}
	}
	return lossError(err)
}

// finish notes that everything asked for was received.
func (s *subscriber) finish() { s.once.Do(func() { close(s.over) }) }

// receive handles a message. It runs in the goroutine of the client that reads.
func (s *subscriber) receive(p *mqtt.Publish) {
	select {
	case <-s.over:
		return
	default:
	}
	if s.cfg.retainedOnly && !p.Retain {
		s.finish()
		return
	}
	for _, filter := range s.cfg.filterOut {
		if topic.Match(filter, string(p.Topic)) {
			return
		}
	}
	if s.cfg.removeRetained && p.Retain {
		s.remove(p)
	}
	if s.cfg.noRetained && p.Retain {
		return
	}
	if s.cfg.randomFilter < 100 && rand.Float64()*100 >= s.cfg.randomFilter {
		return
	}
	s.total.Add(1)
	if !s.cfg.messageRate {
		s.show(p)
	}
	if s.count++; s.cfg.count > 0 && s.count == s.cfg.count {
		s.finish()
	}
}

// show prints a message, with --watch on the line of its topic.
func (s *subscriber) show(p *mqtt.Publish) {
	if s.cfg.watch {
		row, known := s.rows[string(p.Topic)]
		if !known {
			row = len(s.rows) + 1
			s.rows[string(p.Topic)] = row
		}
		s.out.write(fmt.Appendf(nil, "\x1b[%d;1H\x1b[2K", row))
	}
	s.printer.print(message{p, time.Now()})
}

// remove asks the server to drop a retained message.
func (s *subscriber) remove(p *mqtt.Publish) {
	conn := s.conn.Load()
	if conn == nil { // a message of an older session may come before we know the connection
		return
	}
	topicName := append([]byte(nil), p.Topic...)
	if _, err := conn.TryPublish(&mqtt.Publish{Topic: topicName, QoS: 1, Retain: true}); err != nil && conn.Err() == nil {
		s.out.errorf("Error: retained message on topic %s is not removed: %v\n", topicName, err)
	}
}
