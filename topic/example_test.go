package topic_test

import (
	"fmt"

	"github.com/uniomq/unio/topic"
)

func Example() {
	ix := topic.NewIndex[string]()
	for _, s := range []struct{ client, filter string }{
		{"display", "home/kitchen/temperature"},
		{"logger", "home/#"},
		{"worker1", "$share/workers/home/+/temperature"},
		{"worker2", "$share/workers/home/+/temperature"},
	} {
		if err := topic.ValidFilter(s.filter); err != nil {
			fmt.Println(err)
			continue
		}
		ix.Subscribe(s.filter, topic.Subscription[string]{Key: s.client, Options: 1})
	}

	var m topic.Matches[string] // reused from message to message
	for range 2 {
		m.Reset()
		ix.Match([]byte("home/kitchen/temperature"), &m)
		for _, s := range m.Subs {
			fmt.Println("to", s.Key)
		}
		for _, g := range m.Groups {
			s, _ := g.Pick(func(topic.Subscription[string]) bool { return true })
			fmt.Println("to", s.Key, "of", g.Name())
		}
	}
	// Output:
	// to display
	// to logger
	// to worker1 of workers
	// to display
	// to logger
	// to worker2 of workers
}

func ExampleNames() {
	var retained topic.Names[string]
	retained.Set("home/kitchen/temperature", "21.5")
	retained.Set("home/kitchen", "warm")
	retained.Set("home/garden/temperature", "8.0")
	retained.Match("home/kitchen/#", func(v string) bool {
		fmt.Println(v)
		return true
	})
	// Output:
	// warm
	// 21.5
}
