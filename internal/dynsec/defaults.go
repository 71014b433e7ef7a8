package dynsec

import "strings"

// setDefaultACLAccess says what holds where no ACL decides. It disconnects nobody: what it changes holds from the next message on.
func (r *request) setDefaultACLAccess(v *value) (any, string) {
	items, ok := v.list("acls")
	if !ok {
		return nil, "Missing/invalid actions array"
	}
	for _, item := range items {
		name, ok := item.str("acltype")
		if allow := item.get("allow"); ok && allow != nil && allow.kind == boolean {
			for i := range accesses {
				if strings.EqualFold(accesses[i].name, name) {
					r.content.defaults[i] = allow.on
				}
			}
			r.log("setDefaultACLAccess", "acltype", name, "allow", allow.on)
		}
	}
	r.touch()
	return nil, ""
}

func (r *request) getDefaultACLAccess(*value) (any, string) {
	type accessJSON struct {
		Type  string `json:"acltype"`
		Allow bool   `json:"allow"`
	}
	var data struct {
		ACLs []accessJSON `json:"acls"`
	}
	for i := range accesses {
		data.ACLs = append(data.ACLs, accessJSON{accesses[i].name, r.content.defaults[i]})
	}
	r.log("getDefaultACLAccess")
	return data, ""
}

// getDetails says how much there is.
func (r *request) getDetails(*value) (any, string) {
	c := r.content
	r.log("getDetails")
	return struct {
		Clients     int   `json:"clientCount"`
		Groups      int   `json:"groupCount"`
		Roles       int   `json:"roleCount"`
		ChangeIndex int64 `json:"changeIndex"`
	}{len(c.clients), len(c.groups), len(c.roles), c.changeIndex}, ""
}
