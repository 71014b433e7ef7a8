package stored

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/uniomq/unio/internal/cli/exit"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/disk"
)

// owner says whose session something belongs to.
type owner struct {
	ClientID   string `json:"client_id,omitempty"`
	MountPoint string `json:"mount_point,omitempty"` // of the client's listener
}

func ownerOf(s *disk.Stored) owner { return owner{s.ClientID, s.MountPoint} }

func (o owner) String() string {
	text := strconv.Quote(o.ClientID)
	if o.MountPoint != "" {
		text += " mount-point " + strconv.Quote(o.MountPoint)
	}
	return text
}

// listedSession is a session in JSON.
type listedSession struct {
	Type string `json:"type"` // session
	owner
	Connected     bool       `json:"connected"`  // when the store was written last
	Expiry        uint32     `json:"expiry"`     // Session Expiry Interval
	ExpiresAt     *time.Time `json:"expires_at"` // null: never, or connected
	Subscriptions int        `json:"subscriptions"`
	Queued        int        `json:"queued"`
	InFlight      int        `json:"in_flight"`
	Received      int        `json:"received"`
}

// listedTotal ends a list in JSON.
type listedTotal struct {
	Type     string `json:"type"` // total
	Sessions int    `json:"sessions"`
	Queued   int    `json:"queued"`
	InFlight int    `json:"in_flight"`
	Retained int    `json:"retained"`
}

func listCommand(f *storeFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list {-c FILE | --store FOLDER} [--json]",
		Short: "List the sessions, with what each has",
		Args:  exit.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.read(func(r *disk.Reader) error { return list(cmd.OutOrStdout(), r, asJSON) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON, an object a line")
	return cmd
}

func list(out io.Writer, r *disk.Reader, asJSON bool) error {
	var sessions []listedSession
	total := listedTotal{Type: "total"}
	err := r.Sessions(func(s *disk.Stored) error {
		l := listed(s)
		sessions = append(sessions, l)
		total.Queued, total.InFlight = total.Queued+l.Queued, total.InFlight+l.InFlight
		return nil
	})
	if err != nil {
		return err
	}
	err = r.Retained(func(*store.Message) error {
		total.Retained++
		return nil
	})
	if err != nil {
		return err
	}
	total.Sessions = len(sessions)
	slices.SortFunc(sessions, func(a, b listedSession) int {
		return cmp.Or(cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.MountPoint, b.MountPoint))
	})
	w := bufio.NewWriter(out)
	if asJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		for i := range sessions {
			_ = e.Encode(&sessions[i]) // an error of writing comes from Flush
		}
		_ = e.Encode(&total)
		return w.Flush()
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLIENT ID\tEXPIRES\tSUBSCRIPTIONS\tQUEUED\tIN FLIGHT\tRECEIVED")
	for i := range sessions {
		s := &sessions[i]
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\n", s.owner, s.expires(), s.Subscriptions, s.Queued, s.InFlight, s.Received)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nSessions: %d, with %d messages queued and %d in flight. Retained messages: %d.\n",
		total.Sessions, total.Queued, total.InFlight, total.Retained)
	return w.Flush()
}

func listed(s *disk.Stored) listedSession {
	return listedSession{
		Type: "session", owner: ownerOf(s), Connected: s.Attached, Expiry: s.Expiry, ExpiresAt: instant(s.ExpiresAt),
		Subscriptions: len(s.Subscriptions), Queued: s.Queued, InFlight: s.InFlight, Received: len(s.Received),
	}
}

// expires says when a session expires. That of a connected client begins to count when the broker starts again.
func (s *listedSession) expires() string {
	switch {
	case s.ExpiresAt != nil:
		return s.ExpiresAt.Format(time.RFC3339)
	case s.Connected && s.Expiry != store.ExpiryNever:
		return fmt.Sprintf("after %d s", s.Expiry)
	}
	return "never"
}

// instant is a time for JSON, nil for the zero time.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}
