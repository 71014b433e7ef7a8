// Command open measures how long a broker takes to open a store with many sessions and queued messages, and the memory
// that it then has.
//
//	go run ./bench/open -sessions 1000000 -messages 1000000
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/store"
	"github.com/uniomq/unio/store/disk"
)

func main() {
	sessions := flag.Int("sessions", 100_000, "stored sessions, each with one subscription")
	messages := flag.Int("messages", 100_000, "queued messages of 128 bytes, spread over the sessions")
	dir := flag.String("dir", "", "folder for the data; a temporary one")
	flag.Parse()
	if err := run(*dir, *sessions, *messages); err != nil {
		fmt.Fprintln(os.Stderr, "open:", err)
		os.Exit(1)
	}
}

func run(dir string, sessions, messages int) error {
	if dir == "" {
		tmp, err := os.MkdirTemp("", "open")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(tmp) }()
		dir = tmp
	}
	if err := fill(dir, sessions, messages); err != nil {
		return err
	}
	fmt.Printf("%d sessions, %d messages: %d MB on disk\n", sessions, messages, size(dir)>>20)
	before := heap()
	started := time.Now()
	s, err := disk.Open(dir, disk.Options{})
	if err != nil {
		return err
	}
	b, err := broker.New(broker.Options{Store: s})
	if err != nil {
		return err
	}
	took := time.Since(started)
	used := heap() - before
	fmt.Printf("open after %v; %d MB of heap, %d bytes for a session; %d sessions\n", took.Round(time.Millisecond), used>>20, used/uint64(sessions), b.Stats().Sessions)
	return b.Shutdown(context.Background())
}

// fill makes the store.
func fill(dir string, sessions, messages int) error {
	s, err := disk.Open(dir, disk.Options{Sync: disk.SyncNever})
	if err != nil {
		return err
	}
	if err := s.Start(func([]any) {}, store.Recovery{Now: time.Now()}); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var failed error
	done := func(err error) {
		defer wg.Done()
		if err != nil {
			failed = err
		}
	}
	refs := make([]store.Ref, sessions)
	for i := range refs {
		wg.Add(1)
		a := store.Attach{ClientID: fmt.Sprintf("device-%08d", i), Keep: true, Expiry: store.ExpiryNever}
		s.Attach(context.Background(), a, func(at store.Attached, err error) {
			refs[i] = at.Ref
			done(err)
		})
	}
	wg.Wait()
	for i, ref := range refs {
		tx := &store.Tx{Wait: true, Done: done}
		tx.Subscribe(ref, store.Subscription{Filter: fmt.Sprintf("fleet/device-%08d/command", i), Options: 1})
		tx.Detach(ref, time.Now(), store.ExpiryNever, time.Time{})
		wg.Add(1)
		s.Commit(tx)
	}
	wg.Wait()
	started, logged := time.Now(), s.Stats().BytesWritten
	for i := range messages {
		tx := &store.Tx{Wait: true, Done: done}
		n := i % sessions
		tx.Enqueue(refs[n], store.Delivery{QoS: 1, Message: &store.Message{
			Topic: fmt.Sprintf("fleet/device-%08d/command", n), Payload: make([]byte, 128), ClientID: "backend", QoS: 1,
		}}, store.Limit{})
		wg.Add(1)
		s.Commit(tx)
		if i%10000 == 0 {
			wg.Wait()
		}
	}
	wg.Wait()
	took, bytes := time.Since(started), s.Stats().BytesWritten-logged
	fmt.Printf("%d messages queued in %v, %d bytes written for each\n", messages, took.Round(time.Millisecond), bytes/uint64(max(messages, 1)))
	return errors.Join(failed, s.Close())
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func size(dir string) (n int64) {
	_ = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n
}
