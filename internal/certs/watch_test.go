package certs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const patience = 20 * time.Second

// watching is a Watch whose results are waited for.
type watching struct {
	*Watch
	t       *testing.T
	results chan error
}

func watchOver(t *testing.T, s *Source) *watching {
	t.Helper()
	w := &watching{t: t, results: make(chan error, 100)}
	var err error
	if w.Watch, err = s.watchFor(50*time.Millisecond, func(err error) { w.results <- err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// until waits for a result that is as wanted. Others may come before: files are not replaced at once.
func (w *watching) until(what string, want func(error) bool) {
	w.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case err := <-w.results:
			if want(err) {
				return
			}
		case <-timeout:
			w.t.Fatalf("%s: nothing happened", what)
		}
	}
}

func subject(s *Source) string { return s.Certificates()[0].Subject }

func TestWatchSeesFilesWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.open(t)
	watch := watchOver(t, s)
	write(t, w.options.KeyFile, []byte("broken"))
	watch.until("broken key", func(err error) bool { return err != nil && strings.Contains(err.Error(), "server.key") })
	if subject(s) != "CN=server" {
		t.Errorf("in force: %s", subject(s))
	}
	next := w.ca.leaf(t, "next")
	write(t, w.options.KeyFile, next.keyPEM(t))
	write(t, w.options.CertFile, next.pem())
	watch.until("both written", func(err error) bool { return err == nil && subject(s) == "CN=next" })
}

func TestWatchSeesFilesRenamedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.open(t)
	watch := watchOver(t, s)
	for _, name := range []string{"one", "two"} { // the second time it is another file
		next := w.ca.leaf(t, name)
		for file, content := range map[string][]byte{w.options.KeyFile: next.keyPEM(t), w.options.CertFile: next.pem()} {
			if err := os.Rename(write(t, file+".new", content), file); err != nil {
				t.Fatal(err)
			}
		}
		watch.until(name, func(err error) bool { return err == nil && subject(s) == "CN="+name })
	}
}

func TestWatchSeesKubernetesSwapItsLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mount := t.TempDir()
	version := func(name string, server *issued) string {
		folder := filepath.Join(mount, name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, "tls.crt"), server.pem())
		write(t, filepath.Join(folder, "tls.key"), server.keyPEM(t))
		return name
	}
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(mount, name)); err != nil {
			t.Fatal(err)
		}
	}
	link(version("..1", w.server), "..data")
	link("..data/tls.crt", "tls.crt")
	link("..data/tls.key", "tls.key")
	w.options.CertFile, w.options.KeyFile = filepath.Join(mount, "tls.crt"), filepath.Join(mount, "tls.key")
	s := w.open(t)
	watch := watchOver(t, s)
	for _, name := range []string{"one", "two"} {
		link(version(".."+name, w.ca.leaf(t, name)), "..data_tmp")
		if err := os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
		watch.until(name, func(err error) bool { return err == nil && subject(s) == "CN="+name })
	}
}

func TestWatchSeesFolderReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := t.TempDir()
	folder := filepath.Join(base, "certs")
	fill := func(into string, server *issued) {
		if err := os.Mkdir(into, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(into, "pem"), server.pem())
		write(t, filepath.Join(into, "key"), server.keyPEM(t))
	}
	fill(folder, w.server)
	w.options.CertFile, w.options.KeyFile = filepath.Join(folder, "pem"), filepath.Join(folder, "key")
	s := w.open(t)
	watch := watchOver(t, s)
	for _, name := range []string{"one", "two"} {
		fill(folder+name, w.ca.leaf(t, name))
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(folder+name, folder); err != nil {
			t.Fatal(err)
		}
		watch.until(name, func(err error) bool { return err == nil && subject(s) == "CN="+name })
	}
}

func TestWatchSeesNewFileInFolderOfAuthorities(t *testing.T) {
	t.Parallel()
	w := mutual(t)
	w.options.CAPath = t.TempDir()
	s := w.open(t)
	watch := watchOver(t, s)
	late := authority(t, "late", nil)
	write(t, filepath.Join(w.options.CAPath, "late.pem"), late.pem())
	watch.until("new authority", func(err error) bool { return err == nil && len(s.Certificates()) == 3 })
	if _, _, err := handshake(t, s, w.client(late.leaf(t, "device").pair())); err != nil {
		t.Error(err)
	}
}

func TestWatchFollowsReplacedOptions(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	s := w.open(t)
	watch := watchOver(t, s)
	if err := s.Replace(t.Context(), other.options); err != nil {
		t.Fatal(err)
	}
	next := other.ca.leaf(t, "next")
	write(t, other.options.KeyFile, next.keyPEM(t))
	write(t, other.options.CertFile, next.pem())
	watch.until("file of the new options", func(err error) bool { return err == nil && subject(s) == "CN=next" })
}

// What was read before and is no different gives no result: a touch of the file, and a neighbour in its folder.
func TestWatchIsSilentWithoutChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.open(t)
	results := 0
	watch, err := s.watchFor(time.Hour, func(error) { results++ }) // it never gets to reload by itself
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Watch(func(error) {}); err == nil {
		t.Error("a second Watch began")
	}
	if changed, err := s.refresh(watch); changed || err != nil {
		t.Errorf("nothing changed: %v, %v", changed, err)
	}
	write(t, w.options.CertFile, []byte("broken"))
	if err := s.Reload(t.Context()); err == nil {
		t.Error("broken file taken")
	}
	if changed, err := s.refresh(watch); changed || err != nil {
		t.Errorf("an error that is known: %v, %v", changed, err)
	}
	if err := watch.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, w.options.CertFile, w.server.pem())
	if results > 0 {
		t.Errorf("%d results", results)
	}
	if _, err := s.Watch(func(error) {}); err != nil {
		t.Errorf("a Watch after one that is closed: %v", err)
	} else {
		s.watch.Close()
	}
}

func TestCloseOfWatchEndsReload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.open(t)
	watch := watchOver(t, s)
	watch.Close()
	if err := watch.ctx.Err(); err != context.Canceled {
		t.Errorf("context: %v", err)
	}
	if err := s.Reload(t.Context()); err != nil {
		t.Errorf("reload without Watch: %v", err)
	}
}

func TestPathsThatLeadNowhereEnd(t *testing.T) {
	t.Parallel()
	loop := filepath.Join(t.TempDir(), "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	p := pathsOf([]string{loop}, nil)
	if !p.concern(loop) {
		t.Errorf("paths: %v", p)
	}
}
