package main

import (
	"fmt"
	"time"
)

// result is what one run measured.
type result struct {
	published, delivered int
	elapsed, cpu         time.Duration // cpu is the broker's
	p50, p99             time.Duration // of windows; 0: not measured
	connections          int           // of an idle run
	memory               int64         // bytes that they cost the broker
}

// perSecond returns delivered messages per second of d.
func (r *result) perSecond(d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(r.delivered) / d.Seconds()
}

// text returns the result as lines, or as a row of a Markdown table.
func (r *result) text(o options) string {
	if r.connections > 0 {
		each := float64(r.memory) / float64(r.connections)
		if o.label != "" {
			return fmt.Sprintf("| %s | idle%s | %d | | | | %.0f |\n", o.label, o.layers(), r.connections, each)
		}
		return fmt.Sprintf("%d idle connections%s with a subscription each: %.0f bytes of the broker's memory per connection\n",
			r.connections, o.layers(), each)
	}
	rate, perCPU := r.perSecond(r.elapsed), r.perSecond(r.cpu)
	micros := float64(r.cpu.Microseconds()) / float64(r.delivered)
	if o.label != "" {
		if r.p99 > 0 {
			return fmt.Sprintf("| %s | %d | %d | %.0f | %.1f | %.2f | %.2f |\n",
				o.label, o.pairs, o.window, rate, micros, milliseconds(r.p50), milliseconds(r.p99))
		}
		return fmt.Sprintf("| %s | %s QoS %d | %d | %.0f | %.0f | %.2f | |\n",
			o.label, o.scenario, o.qos, o.pairs, rate, perCPU, micros)
	}
	s := fmt.Sprintf("%s at QoS %d, %d bytes, %d: %d published, %d delivered in %v\n%.0f messages per second\n",
		o.scenario, o.qos, o.size, o.pairs, r.published, r.delivered, r.elapsed.Round(time.Millisecond), rate)
	if r.p99 > 0 {
		s += fmt.Sprintf("a window of %d took %.2f ms at the median, %.2f ms at the 99th percentile\n",
			o.window, milliseconds(r.p50), milliseconds(r.p99))
	}
	if o.pid == 0 {
		return s
	}
	return s + fmt.Sprintf("%.0f messages per CPU second of the broker, %.2f us each\n", perCPU, micros)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// layers names what is between MQTT and the socket.
func (o options) layers() string {
	s := ""
	if o.tls {
		s = " over TLS"
	}
	if o.websocket {
		s += " over WebSocket"
	}
	return s
}
