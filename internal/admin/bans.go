package admin

import (
	"encoding/base64"
	"net/http"
	"slices"
	"time"
)

// A Ban keeps an address, a user name, or a user name at an address, out for a time.
type Ban struct {
	ID       string    `json:"id"`                // made by the endpoint
	Address  string    `json:"address,omitempty"` // an IP address or network; empty: any
	User     string    `json:"user,omitempty"`    // empty: any
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Attempts int       `json:"attempts"` // that led to it
}

// Bans are those that are in force.
type Bans interface {
	// Bans returns them, those that end first in front, without IDs.
	Bans() []Ban
	// LiftBan ends the one of that address and user name, and reports whether there was one.
	LiftBan(address, user string) bool
}

// BanEndpoints list bans and lift them.
func BanEndpoints(b Bans) []Endpoint {
	list := func(w http.ResponseWriter, _ *http.Request) {
		all := []Ban{}
		for _, ban := range b.Bans() {
			ban.ID = banID(&ban)
			all = append(all, ban)
		}
		writeJSON(w, http.StatusOK, map[string]any{"bans": all})
	}
	lift := func(w http.ResponseWriter, r *http.Request) {
		all := b.Bans()
		i := slices.IndexFunc(all, func(ban Ban) bool { return banID(&ban) == r.PathValue("id") })
		if i < 0 || !b.LiftBan(all[i].Address, all[i].User) {
			writeError(w, http.StatusNotFound, "there is no such ban")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
	return []Endpoint{
		{Pattern: "GET /api/v1/bans", Handler: http.HandlerFunc(list)},
		{Pattern: "DELETE /api/v1/bans/{id}", Handler: http.HandlerFunc(lift)},
	}
}

// banID names a ban in a path, in letters that need no escape there.
func banID(b *Ban) string {
	return base64.RawURLEncoding.EncodeToString([]byte(b.Address + "\x00" + b.User))
}
