package psk

import (
	"io"
	"net"
	"testing"
)

func TestSmoke(t *testing.T) {
	for _, id := range AllSuites() {
		a, b := net.Pipe()
		key := []byte("0123456789abcdef")
		srv := Server(a, &ServerConfig{Hint: "h", Lookup: func(string) ([]byte, bool) { return key, true }})
		cl := Client(b, &ClientConfig{Identity: "x", Key: key, Suites: []Suite{id}, Protocols: []string{"mqtt"}})
		go func() { cl.Write([]byte("hello")); cl.Close() }()
		got, err := io.ReadAll(srv)
		if err != nil || string(got) != "hello" {
			t.Fatal(id, string(got), err)
		}
		t.Log(srv.State())
	}
}
