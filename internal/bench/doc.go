// Package bench puts load on an MQTT broker and reports what came of it: rates, latencies, what the broker paid in CPU time and
// memory, and whether every message arrived once and in order. It is what the command "unio bench" runs; the command owns the
// flags, this package everything else.
//
//	report, err := bench.Run(ctx, bench.Options{Scenario: bench.OneToOne, Broker: "127.0.0.1:1883", For: 10 * time.Second}, os.Stderr)
//
// It shares a machine with what it measures, so it is built to cost little. A connection has one goroutine at most: its reader.
// Packets are encoded once and patched in place, a window of messages is one write, and nothing is allocated per message. Flat
// out, the goroutine that sees the end of a window writes the next one. At a fixed rate one goroutine, the pacer, writes for all
// publishers, at times that were fixed beforehand: latency counts from the time that was intended, so that a broker that stalls
// does not hide the messages that it kept from being sent (coordinated omission).
//
// A payload of 8 bytes or more begins with the number of its publisher and a sequence number, which is how loss, repetition and
// reordering are found.
//
// The package does not reconnect: a connection that breaks ends the run with an error. It does not start brokers.
//
// Who owns which goroutine: Run starts a reader for each connection that receives, the pacer, and one that prints progress and
// watches for a standstill; it waits for all of them before it returns.
package bench
