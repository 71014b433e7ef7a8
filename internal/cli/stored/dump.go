package stored

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/mqtt"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/disk"
)

// dumpKinds are what can be dumped.
var dumpKinds = []string{"sessions", "subscriptions", "queued", "retained"}

// dump writes what is stored.
type dump struct {
	kinds map[string]bool
	json  bool
	w     *bufio.Writer
	enc   *json.Encoder
}

func dumpCommand(f *storeFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "dump {-c FILE | --store FOLDER} [--json] [sessions] [subscriptions] [queued] [retained]",
		Short: "Write all that is stored, or some kinds of it",
		Long: `Dump writes everything that is stored, a line for each thing; with arguments only what they
name. Queued are the messages for a client, those in flight included, and the packet ids of QoS 2 messages that came from it.`,
		Args: func(_ *cobra.Command, args []string) error {
			for _, a := range args {
				if !slices.Contains(dumpKinds, a) {
					return exit.With(exit.Invalid, fmt.Errorf("expected %s, not %q", strings.Join(dumpKinds, ", "), a))
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = dumpKinds
			}
			d := &dump{kinds: make(map[string]bool), json: asJSON}
			for _, a := range args {
				d.kinds[a] = true
			}
			return f.read(func(r *disk.Reader) error { return d.run(cmd.OutOrStdout(), r) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON, an object a line, with whole payloads")
	return cmd
}

func (d *dump) run(out io.Writer, r *disk.Reader) error {
	d.w = bufio.NewWriter(out)
	d.enc = json.NewEncoder(d.w)
	d.enc.SetEscapeHTML(false)
	err := r.Sessions(func(s *disk.Stored) error { return d.session(r, s) })
	if err == nil && d.kinds["retained"] {
		err = r.Retained(func(m *store.Message) error {
			d.write(&dumpedMessage{Type: "retained", QoS: m.QoS, Retain: true, content: contentOf(m)})
			return nil
		})
	}
	return errors.Join(err, d.w.Flush())
}

// line is something that can be dumped.
type line interface{ text() string }

// write writes one line. An error of writing comes from Flush.
func (d *dump) write(l line) {
	if d.json {
		_ = d.enc.Encode(l)
		return
	}
	_, _ = d.w.WriteString(l.text() + "\n")
}

func (d *dump) session(r *disk.Reader, s *disk.Stored) error {
	if d.kinds["sessions"] {
		l := listed(s)
		d.write(&l)
		if w := s.Will; w != nil {
			d.write(&dumpedMessage{
				Type: "will", owner: ownerOf(s), QoS: w.Message.QoS, Retain: w.Message.Retain, Due: instant(w.At), content: contentOf(w.Message),
			})
		}
	}
	if d.kinds["subscriptions"] {
		for _, sub := range s.Subscriptions {
			d.write(subscriptionOf(ownerOf(s), sub))
		}
	}
	if !d.kinds["queued"] {
		return nil
	}
	for _, id := range s.Received {
		d.write(&dumpedReceived{Type: "received", owner: ownerOf(s), PacketID: id})
	}
	return r.Queue(s.Ref, func(del *store.Delivery) error {
		d.write(&dumpedMessage{
			Type: "queued", owner: ownerOf(s), Ordinal: del.Ordinal, State: stateNames[del.State], PacketID: del.PacketID,
			QoS: del.QoS, Retain: del.Retain, SubscriptionID: del.SubscriptionID, content: contentOf(del.Message),
		})
		return nil
	})
}

// stateNames are how far a delivery has come.
var stateNames = [...]string{store.Queued: "queued", store.Sent: "sent", store.Released: "released"}

func (s *listedSession) text() string {
	text := fmt.Sprintf("session %s expires %s", s.owner, s.expires())
	if s.Connected {
		text += " connected"
	}
	return text
}

type dumpedSubscription struct {
	Type string `json:"type"` // subscription
	owner
	Filter            string `json:"filter"`
	QoS               byte   `json:"qos"`
	NoLocal           bool   `json:"no_local"`
	RetainAsPublished bool   `json:"retain_as_published"`
	RetainHandling    byte   `json:"retain_handling"`
	ID                uint32 `json:"id,omitempty"`
}

func subscriptionOf(of owner, s store.Subscription) *dumpedSubscription {
	o := mqtt.SubscribeOptions(s.Options)
	return &dumpedSubscription{
		Type: "subscription", owner: of, Filter: s.Filter, QoS: o.QoS(), NoLocal: o.NoLocal(), RetainAsPublished: o.RetainAsPublished(),
		RetainHandling: o.RetainHandling(), ID: s.ID,
	}
}

func (s *dumpedSubscription) text() string {
	text := fmt.Sprintf("subscription %s %q qos %d", s.owner, s.Filter, s.QoS)
	if s.NoLocal {
		text += " no-local"
	}
	if s.RetainAsPublished {
		text += " retain-as-published"
	}
	if s.RetainHandling != 0 {
		text += fmt.Sprintf(" retain-handling %d", s.RetainHandling)
	}
	if s.ID != 0 {
		text += fmt.Sprintf(" id %d", s.ID)
	}
	return text
}

type dumpedReceived struct {
	Type string `json:"type"` // received
	owner
	PacketID uint16 `json:"packet_id"`
}

func (r *dumpedReceived) text() string {
	return fmt.Sprintf("received %s packet-id %d", r.owner, r.PacketID)
}

// dumpedMessage is a queued or retained message, or a will.
type dumpedMessage struct {
	Type string `json:"type"` // queued, retained, will
	owner
	Ordinal        uint64     `json:"ordinal,omitempty"`
	State          string     `json:"state,omitempty"`
	PacketID       uint16     `json:"packet_id,omitempty"`
	QoS            byte       `json:"qos"`
	Retain         bool       `json:"retain"`
	SubscriptionID uint32     `json:"subscription_id,omitempty"`
	Due            *time.Time `json:"due,omitempty"` // of a will
	content
}

// content is what a message has, whoever gets it.
type content struct {
	Topic           string      `json:"topic"`
	Payload         *string     `json:"payload,omitempty"`        // if it is text
	Binary          []byte      `json:"payload_base64,omitempty"` // if it is not
	ExpiresAt       *time.Time  `json:"expires_at,omitempty"`
	Publisher       string      `json:"publisher,omitempty"`
	Username        string      `json:"username,omitempty"`
	Listener        string      `json:"listener,omitempty"`
	PayloadFormat   *byte       `json:"payload_format,omitempty"`
	ContentType     string      `json:"content_type,omitempty"`
	ResponseTopic   string      `json:"response_topic,omitempty"`
	CorrelationData []byte      `json:"correlation_data_base64,omitempty"`
	User            [][2]string `json:"user_properties,omitempty"`
}

func contentOf(m *store.Message) content {
	c := content{Topic: m.Topic, ExpiresAt: instant(m.Expires), Publisher: m.ClientID, Username: m.Username, Listener: m.Listener}
	if utf8.Valid(m.Payload) {
		text := string(m.Payload)
		c.Payload = &text
	} else {
		c.Binary = m.Payload
	}
	if len(m.Properties) == 0 {
		return c
	}
	var props mqtt.Properties
	if props.DecodeForwarded(m.Properties) != nil {
		return c // what the broker cannot make sense of either
	}
	if props.Has(mqtt.PropPayloadFormat) {
		c.PayloadFormat = &props.PayloadFormat
	}
	c.ContentType, c.ResponseTopic, c.CorrelationData = string(props.ContentType), string(props.ResponseTopic), props.CorrelationData
	for _, u := range props.User {
		c.User = append(c.User, [2]string{string(u.Name), string(u.Value)})
	}
	return c
}

// maxDumpedPayload is how many bytes of a payload are in a line of text.
const maxDumpedPayload = 64

func (m *dumpedMessage) text() string {
	var b strings.Builder
	b.WriteString(m.Type)
	if m.ClientID != "" {
		fmt.Fprintf(&b, " %s", m.owner)
	}
	if m.State != "" {
		fmt.Fprintf(&b, " %d %s", m.Ordinal, m.State)
	}
	if m.PacketID != 0 {
		fmt.Fprintf(&b, " packet-id %d", m.PacketID)
	}
	fmt.Fprintf(&b, " qos %d", m.QoS)
	if m.Retain && m.Type != "retained" {
		b.WriteString(" retain")
	}
	if m.SubscriptionID != 0 {
		fmt.Fprintf(&b, " subscription-id %d", m.SubscriptionID)
	}
	for _, at := range []struct {
		word string
		time *time.Time
	}{{"due", m.Due}, {"expires", m.ExpiresAt}} {
		if at.time != nil {
			fmt.Fprintf(&b, " %s %s", at.word, at.time.Format(time.RFC3339))
		}
	}
	payload := m.Binary
	if m.Payload != nil {
		payload = []byte(*m.Payload)
	}
	fmt.Fprintf(&b, " %q %d bytes %q", m.Topic, len(payload), payload[:min(len(payload), maxDumpedPayload)])
	if len(payload) > maxDumpedPayload {
		b.WriteString("...")
	}
	return b.String()
}
