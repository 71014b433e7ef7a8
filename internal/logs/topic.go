package logs

import (
	"bytes"
	"log/slog"
	"sync"
	"time"

	"github.com/uniomq/unio/internal/mosqlog"
	"github.com/uniomq/unio/store"
)

// topicSink publishes lines below $SYS/broker/log. Lines come from within the engine,
// which may hold locks that publishing needs, so a goroutine of the sink's own publishes
// them. Its queue is bounded: a line that finds it full is not published.
//
// What publishing makes the engine log are debug messages, which are not published: one
// line cannot be the cause of another one.
type topicSink struct {
	lines chan store.Message
	ready chan func(*store.Message) error // gets the publisher, once
	ended sync.WaitGroup
}

// maxTopicLines is how many lines wait to be published at most; topicExpiry is how long
// a line is worth to be delivered to who is away.
const (
	maxTopicLines = 1000
	topicExpiry   = 20 * time.Second
)

func (s *topicSink) init() {
	s.lines = make(chan store.Message, maxTopicLines)
	s.ready = make(chan func(*store.Message) error, 1)
	s.ended.Go(s.run)
}

func (s *topicSink) publishTo(publish func(*store.Message) error) { s.ready <- publish }

// close waits until what came is published. WriteLine must not be called any more.
func (s *topicSink) close() {
	close(s.lines)
	s.ended.Wait()
}

func (s *topicSink) run() {
	publish := func(*store.Message) error { return nil }
	for m := range s.lines {
		select {
		case publish = <-s.ready:
		default:
		}
		_ = publish(&m) // a failure has no place to be logged at: it would come here again
	}
}

// WriteLine queues one line.
func (s *topicSink) WriteLine(level slog.Level, line []byte) error {
	topic := logTopic(level)
	if topic == "" {
		return nil
	}
	m := store.Message{
		Topic: topic, Payload: bytes.Clone(bytes.TrimSuffix(line, []byte("\n"))), QoS: 2,
		Expires: time.Now().Add(topicExpiry),
	}
	select {
	case s.lines <- m:
	default: // nobody waits for the log
	}
	return nil
}

// logTopic returns the topic of a level, or "" for one that is not published.
func logTopic(level slog.Level) string {
	switch {
	case level >= mosqlog.LevelError:
		return "$SYS/broker/log/E"
	case level >= mosqlog.LevelWarning:
		return "$SYS/broker/log/W"
	case level >= mosqlog.LevelNotice:
		return "$SYS/broker/log/N"
	case level >= mosqlog.LevelInformation:
		return "$SYS/broker/log/I"
	case level == mosqlog.LevelUnsubscribe:
		return "$SYS/broker/log/M/unsubscribe"
	case level == mosqlog.LevelSubscribe:
		return "$SYS/broker/log/M/subscribe"
	}
	return ""
}
