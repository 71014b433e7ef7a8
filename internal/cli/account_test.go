package cli

import (
	"errors"
	"os/user"
	"reflect"
	"strconv"
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
	who, err = accountOf("ignored", "54321", "")
	if want := (&account{name: "user id 54321", uid: 54321, gid: 54321, groups: []int{54321}}); err != nil || !reflect.DeepEqual(who, want) {
		t.Errorf("PUID alone, of nobody here: got %+v, %v", who, err)
	}
	fallback, err := accountOf(fallbackUser, "", "")
	if err != nil {
		t.Fatal(err)
	}
	number := strconv.Itoa(fallback.uid)
	who, err = accountOf("ignored", number, "")
	if fallback.name = "user id " + number; err != nil || !reflect.DeepEqual(who, fallback) {
		t.Errorf("PUID alone: got %+v, %v, want %+v", who, err, fallback)
	}
	who, err = accountOf(fallbackUser, "", "567")
	if want := (&account{name: fallbackUser, uid: fallback.uid, gid: 567, groups: []int{567}}); err != nil || !reflect.DeepEqual(who, want) {
		t.Errorf("PGID alone: got %+v, %v", who, err)
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
