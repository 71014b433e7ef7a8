// Package control answers requests that clients publish to topics below $CONTROL. Each such topic is an endpoint; what its
// handler answers goes to TOPIC/response, to the client that asked and to nobody else, if it has a subscription to it and may receive
// it.
//
// Whether a client may ask is the Authorizer's to say, before the endpoint gets the request. What is published on $CONTROL or below it is never routed
// nor retained, and the engine takes no will to it, so nobody can give himself out for an endpoint.
//
// It starts no goroutine: a handler runs in one of the client's connection, which is not read meanwhile, and never in an event loop.
//
//	b := broker.Make()
//	endpoints := control.New(b)
//	endpoints.Handle("$CONTROL/broker/v1", func(c *broker.Client, payload []byte) []byte { return answer(payload) })
//	err := b.Start(broker.Options{Interceptors: []broker.Interceptor{endpoints}})
package control

import (
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
)

// Prefix is what the topics of endpoints begin with.
const Prefix = "$CONTROL/"

// ResponseSuffix is what an endpoint's topic has behind it where it answers.
const ResponseSuffix = "/response"

// A Handler answers one request of a client; nil: with nothing. The payload is valid during the call. It may block for
// as long as the client may wait for its acknowledgement, and is called from many goroutines.
type Handler func(c *broker.Client, payload []byte) (response []byte)

// A ThenHandler is a Handler with something to do once the response is sent, nil for nothing. If then returns an error, which
// wraps a mqtt.ReasonCode, the client is disconnected with it, when its request is acknowledged.
type ThenHandler func(c *broker.Client, payload []byte) (response []byte, then func() error)

// Endpoints are the handlers by topic. All methods may be called at any time.
type Endpoints struct {
	mu     sync.Mutex // held by Handle
	table  atomic.Pointer[map[string]ThenHandler]
	broker *broker.Broker
}

var _ broker.Blocking = (*Endpoints)(nil)

// New returns no endpoints yet. Responses are sent through b.
func New(b *broker.Broker) *Endpoints {
	e := &Endpoints{broker: b}
	e.table.Store(&map[string]ThenHandler{})
	return e
}

// Handle makes h the handler of a topic, from the next request on; nil takes the endpoint away. A listener's mount point is a part of the topic.
func (e *Endpoints) Handle(topic string, h Handler) {
	if h == nil {
		e.HandleThen(topic, nil)
		return
	}
	e.HandleThen(topic, func(c *broker.Client, payload []byte) ([]byte, func() error) { return h(c, payload), nil })
}

// HandleThen is Handle for a ThenHandler.
func (e *Endpoints) HandleThen(topic string, h ThenHandler) {
	e.mu.Lock()
	defer e.mu.Unlock()
	table := maps.Clone(*e.table.Load())
	if h == nil {
		delete(table, topic)
	} else {
		table[topic] = h
	}
	e.table.Store(&table)
}

// Concerns implements broker.Selective.
func (e *Endpoints) Concerns(topic []byte) bool { return broker.IsControl(topic) }

// MayBlock implements broker.Blocking: handlers hash passwords and write files.
func (e *Endpoints) MayBlock() bool { return true }

// Intercept takes every message to $CONTROL and below it and has it answered.
func (e *Endpoints) Intercept(c *broker.Client, p *mqtt.Publish) error {
	topic := string(p.Topic)
	response, then := NotAvailable(), func() error { return nil }
	if h := (*e.table.Load())[topic]; h != nil {
		var after func() error
		if response, after = h(c, p.Payload); after != nil {
			then = after
		}
	}
	if response != nil {
		// The topic is a name, and short enough, or nobody has a subscription to it.
		_, _ = e.broker.PublishTo(c.ID, &store.Message{Topic: topic + ResponseSuffix, Payload: response})
	}
	if err := then(); err != nil {
		return fmt.Errorf("%w: %w", broker.ErrTaken, err)
	}
	return broker.ErrTaken
}

// NotAvailable returns the answer of an endpoint that does not exist, or not for this client.
func NotAvailable() []byte { return Error("endpoint not available") }

// Error returns the answer to a request that cannot be understood as a whole, as Mosquitto gives it.
func Error(text string) []byte {
	b, _ := json.Marshal(struct {
		Error string `json:"error"`
	}{text})
	return b
}
