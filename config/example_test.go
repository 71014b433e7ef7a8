package config_test

import (
	"fmt"
	"strings"

	"github.com/uniomq/unio/config"
)

func ExampleParse() {
	cfg, err := config.Parse("unio.conf", strings.NewReader("listener 1883 192.0.2.1\nmax_connections 100\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	l := cfg.Listeners[0]
	fmt.Println(l.Address, l.Port, l.MaxConnections, l.AllowAnonymous)
	// Output: 192.0.2.1 1883 100 false
}

func ExampleErrors() {
	_, err := config.Parse("unio.conf", strings.NewReader("max_qos 3\nlisten 1883\n"))
	fmt.Println(err)
	// Output:
	// unio.conf:1: max_qos: expected 0 to 2, not 3
	// unio.conf:2: expected an option, not "listen"; did you mean listener?
}
