package logs

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/uniomq/unio/config"
	"github.com/uniomq/unio/internal/mosqlog"
	"github.com/uniomq/unio/store"
)

// logTo opens a log that ends with the test.
func logTo(t *testing.T, cfg config.Log) *Log {
	t.Helper()
	log, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() }) // tests of Close close it themselves
	return log
}

// fileHas looks at what a log has written to a file.
func fileHas(t *testing.T, log *Log, path, want string) {
	t.Helper()
	if err := log.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("%s has %q, %v; want %q", filepath.Base(path), text, err, want)
	}
}

func TestOpenLogAppendsToItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "unio.log")
	for _, line := range []string{"first", "second"} {
		log, err := Open(config.Log{Types: config.LogAll, File: path})
		if err != nil {
			t.Fatal(err)
		}
		log.Info(line)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		log.Info("nothing is logged after Close")
	}
	fileHas(t, logTo(t, config.Log{}), path, "first\nsecond\n")
	if _, err := Open(config.Log{Types: config.LogAll, File: t.TempDir()}); err == nil {
		t.Error("a folder was opened as a log")
	}
}

func TestReopenFollowsARotatedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "unio.log")
	log := logTo(t, config.Log{Types: config.LogAll, File: path})
	log.Info("old")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	log.Info("old as well")
	if err := log.Reopen(); err != nil {
		t.Fatal(err)
	}
	log.Info("new")
	fileHas(t, log, path+".1", "old\nold as well\n")
	fileHas(t, log, path, "new\n")
}

func TestALogThatCannotBeOpenedLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "unio.log")
	log := logTo(t, config.Log{Types: config.LogAll, File: path})
	if _, err := log.Open(config.Log{File: filepath.Join(t.TempDir(), "none", "x")}); err == nil {
		t.Error("no error")
	}
	log.Info("line")
	fileHas(t, log, path, "line\n")
}

func TestALogThatCannotBeOpenedAnewGoesOnWhereItWent(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "unio.log")
	log := logTo(t, config.Log{Types: config.LogAll, File: path})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil { // root may not open that either
		t.Fatal(err)
	}
	use := func(cfg config.Log) {
		t.Helper()
		d, err := log.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Use(d); err != nil {
			t.Fatal(err)
		}
	}
	use(config.Log{Types: config.LogError, File: path}) // the rest of it counts
	log.Info("not logged")
	use(config.Log{Types: config.LogAll, File: path})
	log.Info("line")
	d, err := log.Open(config.Log{File: path})
	if err != nil || d.Close() != nil { // what a reload does that fails
		t.Errorf("got %v, %v", d, err)
	}
	log.Info("line")
	said := "Error: open the log: open " + path + ": is a directory; the log goes on where it went, to the file that is open even if that has another name now\n"
	fileHas(t, log, path+".1", said+said+"line\nline\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	use(config.Log{Types: config.LogAll, File: path})
	log.Info("new")
	fileHas(t, log, path, "new\n")
}

func TestAFullQueueOfLinesDoesNotBlock(t *testing.T) {
	t.Parallel()
	var sink topicSink
	sink.init()
	release := make(chan struct{})
	published := 0
	sink.publishTo(func(*store.Message) error {
		<-release
		published++
		return nil
	})
	for range 2 * maxTopicLines {
		if err := sink.WriteLine(mosqlog.LevelError, []byte("x\n")); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	sink.close()
	if published < maxTopicLines || published > maxTopicLines+1 {
		t.Errorf("%d lines were published", published)
	}
}

func TestLinesHaveTheTopicOfTheirKind(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]string{
		mosqlog.LevelError: "E", mosqlog.LevelWarning: "W", mosqlog.LevelNotice: "N", mosqlog.LevelInformation: "I",
		mosqlog.LevelSubscribe: "M/subscribe", mosqlog.LevelUnsubscribe: "M/unsubscribe",
	} {
		if got := logTopic(level); got != "$SYS/broker/log/"+want {
			t.Errorf("%v: got %q", level, got)
		}
	}
	if got := logTopic(mosqlog.LevelDebug); got != "" {
		t.Errorf("debug: got %q", got)
	}
}
