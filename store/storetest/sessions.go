package storetest

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/uniomq/unio/store"
)

func testAttach(t *testing.T, f *fixture) {
	if at := f.attach(store.Attach{ClientID: "c"}); at.Ref != 0 || at.Present {
		t.Fatalf("nothing to keep, nothing kept: got %+v", at)
	}
	keep := store.Attach{ClientID: "c", Keep: true, Expiry: 60, Owner: "o"}
	first := f.attach(keep)
	if first.Ref == 0 || first.Present {
		t.Fatalf("new session: got %+v", first)
	}
	if again := f.attach(keep); again.Ref != first.Ref || !again.Present {
		t.Fatalf("resumed: got %+v, want ref %v", again, first.Ref)
	}
	if passing := f.attach(store.Attach{ClientID: "c"}); passing.Ref != first.Ref || !passing.Present {
		t.Fatalf("a stored session is resumed even if it is not to be kept longer: got %+v", passing)
	}
	keep.Clean = true
	if clean := f.attach(keep); clean.Present || clean.Ref == 0 || clean.Ref == first.Ref {
		t.Fatalf("clean: got %+v, want a session other than %v", clean, first.Ref)
	}
	if other := f.attach(store.Attach{ClientID: "d", Keep: true}); other.Present {
		t.Fatalf("another client has a session of its own: got %+v", other)
	}
	mounted := store.Attach{ClientID: "c", MountPoint: "a/", Keep: true, Expiry: 60}
	tenant := f.attach(mounted)
	if tenant.Present || tenant.Ref == 0 {
		t.Fatalf("under a mount point it is another session: got %+v", tenant)
	}
	if again := f.attach(mounted); again.Ref != tenant.Ref || !again.Present {
		t.Fatalf("resumed under the mount point: got %+v, want ref %v", again, tenant.Ref)
	}
	mounted.MountPoint = "b/"
	if other := f.attach(mounted); other.Present || other.Ref == tenant.Ref {
		t.Fatalf("under another mount point it is another session: got %+v", other)
	}
}

func testExpired(t *testing.T, f *fixture) {
	ref := f.session("c")
	f.commit(func(tx *store.Tx) { tx.Detach(ref, start, 60, time.Time{}) })
	early := f.attach(store.Attach{ClientID: "c", Keep: true, Now: start.Add(59 * time.Second)})
	if !early.Present {
		t.Fatal("the session expired before its time")
	}
	f.commit(func(tx *store.Tx) { tx.Detach(ref, start, 60, time.Time{}) })
	if late := f.attach(store.Attach{ClientID: "c", Keep: true, Now: start.Add(60 * time.Second)}); late.Present || late.Ref == ref {
		t.Fatalf("the session should have expired: got %+v", late)
	}
	ref = f.session("never")
	f.commit(func(tx *store.Tx) { tx.Detach(ref, start, store.ExpiryNever, time.Time{}) })
	if at := f.attach(store.Attach{ClientID: "never", Now: start.AddDate(200, 0, 0)}); !at.Present {
		t.Fatal("a session without expiry expired")
	}
}

func testReceived(t *testing.T, f *fixture) {
	ref := f.session("c")
	f.commit(func(tx *store.Tx) {
		tx.Receive(ref, 7, 1)
		tx.Receive(ref, 65535, 2)
		tx.Receive(ref, 9, 3)
		tx.Receive(ref, 9, 4) // another message
		tx.Release(ref, 7)
		tx.Release(ref, 1)
	})
	at := f.attach(store.Attach{ClientID: "c"})
	if want := map[uint16]uint64{9: 4, 65535: 2}; !maps.Equal(at.Received, want) {
		t.Fatalf("received are %v, want %v", at.Received, want)
	}
}

func testStaleRefs(t *testing.T, f *fixture) {
	old := f.session("c")
	f.enqueue(old, "lost")
	f.commit(func(tx *store.Tx) { tx.Remove(old) })
	ref := f.session("c")
	if ref == old {
		t.Fatal("a ref was used again")
	}
	f.commit(func(tx *store.Tx) {
		tx.Enqueue(old, delivery(1, "void"), store.Limit{})
		tx.Receive(old, 1, 1)
		tx.Detach(old, start, 0, time.Time{})
		tx.Remove(old)
	})
	f.want(ref, 0, 8)
	f.want(old, 0, 8)
	if at := f.attach(store.Attach{ClientID: "c"}); at.Ref != ref || len(at.Received) > 0 {
		t.Fatalf("a stale command reached the new session: %+v", at)
	}
}

func testClosed(t *testing.T, f *fixture) {
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 2)
	f.store.Commit(&store.Tx{Done: func(err error) { done <- err }})
	f.store.Attach(context.Background(), store.Attach{ClientID: "c"}, func(_ store.Attached, err error) { done <- err })
	for range 2 {
		if err := <-done; !errors.Is(err, store.ErrClosed) {
			t.Fatalf("after Close: got %v, want ErrClosed", err)
		}
	}
}

// testAttachThatIsGivenUp: whoever asked does not wait any more, and the session is as it was.
func testAttachThatIsGivenUp(t *testing.T, f *fixture) {
	ref := f.session("c")
	gaveUp := errors.New("gave up")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(gaveUp)
	for name, a := range map[string]store.Attach{
		"resume":   {ClientID: "c", Keep: true, Expiry: store.ExpiryNever, Owner: "other"},
		"end":      {ClientID: "c", Clean: true},
		"renew":    {ClientID: "c", Clean: true, Keep: true, Expiry: store.ExpiryNever},
		"begin":    {ClientID: "new", Keep: true, Expiry: store.ExpiryNever},
		"not kept": {ClientID: "none"},
	} {
		if at, err := f.tryAttachFor(ctx, a); !errors.Is(err, gaveUp) || at.Ref != 0 || at.Present {
			t.Errorf("%s: got %+v, %v", name, at, err)
		}
	}
	if at := f.attach(store.Attach{ClientID: "c", Keep: true, Expiry: store.ExpiryNever, Owner: "c"}); at.Ref != ref || !at.Present {
		t.Errorf("the session became %+v", at)
	}
	if at := f.attach(store.Attach{ClientID: "new", Keep: true, Expiry: store.ExpiryNever}); at.Present {
		t.Error("an attach that was given up has made a session")
	}
}
