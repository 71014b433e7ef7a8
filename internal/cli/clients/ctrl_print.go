package clients

import (
	"encoding/json"
	"fmt"
	"io"
)

// What follows prints answers as mosquitto_ctrl 2.1 does.

// printList returns what prints the names of a list.
func printList(member string) func(io.Writer, json.RawMessage) error {
	return func(w io.Writer, data json.RawMessage) error {
		var d map[string]json.RawMessage
		var names []string
		if err := json.Unmarshal(data, &d); err != nil {
			return err
		}
		if err := json.Unmarshal(d[member], &names); err != nil {
			return err
		}
		for _, name := range names {
			fmt.Fprintln(w, name)
		}
		return nil
	}
}

// named is an item of a list, with its priority.
type named struct {
	Rolename, Groupname, Username, Address string
	Priority                               *int
}

func (n named) name() string { return n.Rolename + n.Groupname + n.Username + n.Address }

// printItems prints a label and the items behind it, each on a line.
func printItems(w io.Writer, width int, label string, items []named, priorities bool) {
	for _, item := range items {
		fmt.Fprintf(w, "%-*s %s", width, label, item.name())
		if priorities {
			priority := -1
			if item.Priority != nil {
				priority = *item.Priority
			}
			fmt.Fprintf(w, " (priority: %d)", priority)
		}
		fmt.Fprintln(w)
		label = ""
	}
}

func printClient(w io.Writer, data json.RawMessage) error {
	var d struct {
		Client struct {
			Username, ClientID         string
			Disabled                   bool
			Roles, Groups, Connections []named
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	c, width := &d.Client, len("Connections:")
	fmt.Fprintf(w, "%-*s %s\n", width, "Username:", c.Username)
	if c.ClientID != "" {
		fmt.Fprintf(w, "%-*s %s\n", width, "Clientid:", c.ClientID)
	} else {
		fmt.Fprintln(w, "Clientid:")
	}
	if c.Disabled {
		fmt.Fprintf(w, "%-*s %v\n", width, "Disabled:", c.Disabled)
	}
	printItems(w, width, "Roles:", c.Roles, true)
	printItems(w, width, "Groups:", c.Groups, true)
	printItems(w, width, "Connections:", c.Connections, false)
	return nil
}

func printGroup(w io.Writer, data json.RawMessage) error {
	var d struct {
		Group struct {
			Groupname      string
			Roles, Clients []named
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	fmt.Fprintf(w, "Groupname: %s\n", d.Group.Groupname)
	printItems(w, len("Groupname:"), "Roles:", d.Group.Roles, true)
	printItems(w, len("Groupname:"), "Clients:", d.Group.Clients, false)
	return nil
}

func printRole(w io.Writer, data json.RawMessage) error {
	var d struct {
		Role struct {
			Rolename string
			ACLs     []struct {
				ACLType, Topic string
				Priority       int
				Allow          bool
			}
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	fmt.Fprintf(w, "Rolename: %s\n", d.Role.Rolename)
	label := "ACLs:"
	for _, a := range d.Role.ACLs {
		word := "deny "
		if a.Allow {
			word = "allow"
		}
		fmt.Fprintf(w, "%-9s %-20s : %s : %s (priority: %d)\n", label, a.ACLType, word, a.Topic, a.Priority)
		label = ""
	}
	return nil
}

func printAnonymousGroup(w io.Writer, data json.RawMessage) error {
	var d struct{ Group named }
	err := json.Unmarshal(data, &d)
	fmt.Fprintln(w, d.Group.Groupname)
	return err
}

func printAccess(w io.Writer, data json.RawMessage) error {
	var d struct {
		ACLs []struct {
			ACLType string
			Allow   bool
		}
	}
	err := json.Unmarshal(data, &d)
	for _, a := range d.ACLs {
		word := "deny"
		if a.Allow {
			word = "allow"
		}
		fmt.Fprintf(w, "%-20s : %s\n", a.ACLType, word)
	}
	return err
}

func printDetails(w io.Writer, data json.RawMessage) error {
	var d struct{ ClientCount, GroupCount, RoleCount, ChangeIndex int64 }
	err := json.Unmarshal(data, &d)
	fmt.Fprintf(w, "Clients: %d\nGroups: %d\nRoles: %d\nChange index: %d\n", d.ClientCount, d.GroupCount, d.RoleCount, d.ChangeIndex)
	return err
}

func printListeners(w io.Writer, data json.RawMessage) error {
	var d struct {
		Listeners []struct {
			Port       *int
			Protocol   string
			SocketPath string `json:"socket-path"`
			Address    string `json:"bind-address"`
			TLS        bool
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	for i, l := range d.Listeners {
		fmt.Fprintf(w, "Listener %d:\n", i+1)
		if l.Port != nil {
			fmt.Fprintf(w, "  Port:              %d\n", *l.Port)
		}
		for _, line := range [][2]string{{"Protocol:", l.Protocol}, {"Socket path:", l.SocketPath}, {"Bind address:", l.Address}} {
			if line[1] != "" {
				fmt.Fprintf(w, "  %-18s %s\n", line[0], line[1])
			}
		}
		fmt.Fprintf(w, "  TLS:               %v\n\n", l.TLS)
	}
	return nil
}

func printPlugins(w io.Writer, data json.RawMessage) error {
	var d struct {
		Plugins []struct {
			Name, Version string
			Endpoints     []string `json:"control-endpoints"`
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	for _, p := range d.Plugins {
		fmt.Fprintf(w, "%-18s %s\n", "Plugin:", p.Name)
		if p.Version != "" {
			fmt.Fprintf(w, "%-18s %s\n", "Version:", p.Version)
		}
		label := "Control endpoints:"
		for _, e := range p.Endpoints {
			fmt.Fprintf(w, "%-18s %s\n", label, e)
			label = ""
		}
	}
	return nil
}
