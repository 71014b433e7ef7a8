package account

import (
	"errors"
	"os/user"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestUserComesFromNameOrPUIDAndPGID(t *testing.T) {
	t.Parallel()
	who, err := named("root", "", "")
	if who != nil || err != nil {
		t.Errorf("root stays root: got %+v, %v", who, err)
	}
	who, err = named("ignored", "1234", "567")
	if want := (&Account{Name: "user id 1234", UID: 1234, GID: 567, Groups: []int{567}}); err != nil || !reflect.DeepEqual(who, want) {
		t.Errorf("got %+v, %v", who, err)
	}
	who, err = named("ignored", "54321", "")
	if want := (&Account{Name: "user id 54321", UID: 54321, GID: 54321, Groups: []int{54321}}); err != nil || !reflect.DeepEqual(who, want) {
		t.Errorf("PUID alone, of nobody here: got %+v, %v", who, err)
	}
	fallback, err := named(FallbackUser, "", "")
	if err != nil {
		t.Fatal(err)
	}
	number := strconv.Itoa(fallback.UID)
	who, err = named("ignored", number, "")
	if fallback.Name = "user id " + number; err != nil || !reflect.DeepEqual(who, fallback) {
		t.Errorf("PUID alone: got %+v, %v, want %+v", who, err, fallback)
	}
	who, err = named(FallbackUser, "", "567")
	if want := (&Account{Name: FallbackUser, UID: fallback.UID, GID: 567, Groups: []int{567}}); err != nil || !reflect.DeepEqual(who, want) {
		t.Errorf("PGID alone: got %+v, %v", who, err)
	}
	for _, wrong := range []string{"-1", "x", "4294967296"} {
		if _, err := named("root", "", wrong); err == nil || !strings.Contains(err.Error(), "PGID") {
			t.Errorf("PGID %s: %v", wrong, err)
		}
	}
	if _, err := named("no-such-user-here", "", ""); err == nil || !strings.Contains(err.Error(), `not "no-such-user-here"`) {
		t.Errorf("got %v", err)
	}
	who, err = named(UsualUser, "", "")
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) || err == nil && (who.UID == 0 || len(who.Groups) == 0) {
		t.Errorf("got %+v, %v", who, err) // mosquitto or nobody
	}
}
