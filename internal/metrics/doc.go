// Package metrics shows the broker's numbers to its operators. Today it has one face, $SYS: the topics in which
// Mosquitto's users and their tools look for them. docs/sys.md is its manual.
//
//	sys := metrics.New(metrics.Options{Broker: b, Interval: 10 * time.Second, Version: "0.1.0"})
//	sys.Start() // before the broker serves, so that the first client finds the tree
//	...
//	sys.Close() // before the broker's Shutdown
//
// The package counts nothing: broker.Stats does. It reads them once per interval, and publishes what changed since.
//
// A SysTree has one goroutine, which owns all its state between Start and Close, and one timer.
package metrics
