package cli

import (
	"errors"
	"os/user"
	"reflect"
	"strings"
	"testing"
)

func TestTheUserToChangeTo(t *testing.T) {
	t.Parallel()
	who, err := accountOf("root", "", "")
	if who != nil || err != nil {
		t.Errorf("root stays root: got %+v, %v", who, err)
	}
	who, err = accountOf("ignored", "1234", "567")
	if want := (&account{name: "user id 1234", uid: 1234, gid: 567, groups: []int{567}}); err != nil || !reflect.DeepEqual(who, want) {
		t.Errorf("got %+v, %v", who, err)
	}
	if who, err = accountOf("ignored", "12", ""); err != nil || who.uid != 12 || who.gid != 0 {
		t.Errorf("got %+v, %v", who, err)
	}
	for _, wrong := range []string{"-1", "x", "4294967296"} {
		if _, err := accountOf("root", "", wrong); err == nil || !strings.Contains(err.Error(), "PGID") {
			t.Errorf("PGID %s: %v", wrong, err)
		}
	}
	if _, err := accountOf("no-such-user-here", "", ""); err == nil || !strings.Contains(err.Error(), `not "no-such-user-here"`) {
		t.Errorf("got %v", err)
	}
	who, err = accountOf(usualUser, "", "")
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) || err == nil && (who.uid == 0 || len(who.groups) == 0) {
		t.Errorf("got %+v, %v", who, err) // mosquitto or nobody
	}
}
