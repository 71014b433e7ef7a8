package access

import (
	"context"
	"log/slog"
	"sync"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/mosqlog"
	"github.com/uniomq/unio/internal/part"
	"github.com/uniomq/unio/mqtt"
)

// Review is the last part of a server: when all others use another configuration, it disconnects
// the clients that would not be let in any more, and ends what the rules do not allow any more.
type Review struct {
	log    *slog.Logger
	broker *broker.Broker
	access *Access

	running sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	stop   context.CancelFunc
	closed bool
}

// NewReview returns one of the clients of b, by what a says.
func NewReview(log *slog.Logger, b *broker.Broker, a *Access) *Review {
	return &Review{log: log, broker: b, access: a}
}

// Prepare implements part.Part.
func (r *Review) Prepare(cfg *config.Config) (part.Prepared, error) {
	return part.Prepared{Use: func() { r.use(cfg.ExplainToClient) }}, nil
}

// Start implements part.Part.
func (*Review) Start() error { return nil }

// Close implements part.Part.
func (r *Review) Close(context.Context) error {
	r.mu.Lock()
	r.closed = true
	if r.stop != nil {
		r.stop()
	}
	r.mu.Unlock()
	r.running.Wait()
	return nil
}

// use judges everybody by what is in force. Those that others have to be asked about are judged after
// use has returned.
func (r *Review) use(explain bool) {
	r.access.Audit.Write("reload")
	r.broker.RejudgeLogins()
	r.disconnectInvalid(explain)
	r.broker.Recheck(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if r.stop != nil {
		r.stop() // the one under way
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	r.running.Go(func() { r.recheck(ctx) })
}

// disconnectInvalid disconnects the clients whose user is gone or has another password,
// that are anonymous where this is not allowed any more, or that the rules do not let connect any more.
func (r *Review) disconnectInvalid(explain bool) {
	for _, c := range r.broker.Clients() {
		if !r.access.Authenticator.Valid(c) {
			r.revoke(c)
			continue
		}
		if a := (broker.Access{Client: c, Action: broker.ActionConnect}); !r.access.Authorizer.Authorize(a) {
			var cause error = mqtt.NotAuthorized
			if explain {
				cause = broker.WithReason(cause, r.access.Authorizer.Reason(a))
			}
			r.log.Log(context.Background(), mosqlog.LevelNotice, "Client "+c.ID+" may not be connected any more: "+r.access.Authorizer.Reason(a))
			r.broker.DisconnectClient(c, cause)
		}
	}
}

// recheckers is how many connected clients are asked about at once.
const recheckers = 4

// recheck asks those backends that must ask somebody else whether the clients that they let in would be let in still, and
// disconnects those that would not. Who cannot be asked about stays.
func (r *Review) recheck(ctx context.Context) {
	clients := make(chan *broker.Client)
	var done sync.WaitGroup
	for range recheckers {
		done.Go(func() {
			for c := range clients {
				valid, err := r.access.Authenticator.Recheck(ctx, c)
				switch {
				case err != nil && ctx.Err() == nil:
					r.access.fault("recheck", err)
				case err == nil && !valid:
					r.revoke(c)
				}
			}
		})
	}
	for _, c := range r.broker.Clients() {
		if ctx.Err() != nil {
			break
		}
		clients <- c
	}
	close(clients)
	done.Wait()
}

// revoke disconnects a client that would not be let in any more.
func (r *Review) revoke(c *broker.Client) {
	if r.broker.DisconnectClient(c, mqtt.NotAuthorized) {
		r.access.Audit.Write("revoked", describe(c)...)
	}
}
