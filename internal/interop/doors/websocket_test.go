//go:build unix

package doors

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/uniomq/unio/internal/testenv"
)

// installJS puts what package-lock.json pins beside the scripts, once; npm leaves alone what is there.
var installJS = sync.OnceValues(func() (string, error) {
	if exec.Command("npm", "ls", "--prefix", "js", "mqtt", "playwright-core").Run() == nil {
		return "", nil
	}
	out, err := exec.Command("npm", "ci", "--prefix", "js", "--ignore-scripts", "--no-audit", "--no-fund").CombinedOutput()
	return string(out), err
})

func needJS(t *testing.T) {
	t.Helper()
	testenv.Program(t, "node", "nodejs")
	testenv.Program(t, "npm", "npm")
	if out, err := installJS(); err != nil {
		testenv.Missing(t, "MQTT.js cannot be installed (npm ci in internal/interop/doors/js): %v\n%s", err, out)
	}
}

// mqttJS runs MQTT.js in Node.js.
func mqttJS(t *testing.T, url string, options map[string]any) outcome {
	t.Helper()
	needJS(t)
	text, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, "", "node", "js/client.mjs", url, string(text))
}

func TestMQTTJSOverWebSocket(t *testing.T) {
	t.Parallel()
	needJS(t)
	p := newPKI(t)
	plain, secure := testenv.FreePort(t), testenv.FreePort(t)
	startBroker(t, append(p.listen(secure, "protocol websockets"), listen(plain), "protocol websockets")...)
	for url, options := range map[string]map[string]any{
		fmt.Sprintf("ws://127.0.0.1:%d/mqtt", plain):   nil,
		fmt.Sprintf("wss://127.0.0.1:%d/mqtt", secure): {"ca": p.ca.file},
	} {
		if o := mqttJS(t, url, options); o.status != 0 || !strings.Contains(o.output, "ok") {
			t.Errorf("%s: %+v", url, o)
		}
	}
	if o := mqttJS(t, fmt.Sprintf("wss://127.0.0.1:%d/mqtt", secure), nil); o.status == 0 {
		t.Error("a client has trusted an authority that it does not know")
	}
}

func TestOriginsOfWebSocket(t *testing.T) {
	t.Parallel()
	needJS(t)
	port := testenv.FreePort(t)
	b := startBroker(t, listen(port), "allow_anonymous true", "protocol websockets", "websockets_origin https://good.example", "websockets_origin http://127.0.0.1:8000")
	url := fmt.Sprintf("ws://127.0.0.1:%d", port)
	for _, good := range []string{"https://good.example", "http://127.0.0.1:8000"} {
		if o := mqttJS(t, url, map[string]any{"origin": good}); o.status != 0 {
			t.Errorf("%s: %+v", good, o)
		}
	}
	for _, bad := range []map[string]any{{"origin": "https://evil.example"}, {"origin": "https://good.example.evil.example"}, nil} {
		mark := b.Mark()
		if o := mqttJS(t, url, bad); o.status == 0 {
			t.Errorf("%v was let in", bad)
		}
		b.awaitFrom(mark, `^Client <unknown> disconnected: the origin \[.*\] is not allowed \(127.0.0.1\)\.$`)
	}
}

// The address in X-Forwarded-For is believed or not, as the file says.
func TestForwardedForIsBelievedAsTheFileSays(t *testing.T) {
	t.Parallel()
	needJS(t)
	trusting, wary := testenv.FreePort(t), testenv.FreePort(t)
	b := startBroker(t, listen(trusting), "allow_anonymous true", "protocol websockets", "websockets_forwarded_for 127.0.0.0/8", listen(wary), "protocol websockets")
	for port, want := range map[int]string{trusting: "203.0.113.9", wary: "127.0.0.1"} {
		mark := b.Mark()
		o := mqttJS(t, fmt.Sprintf("ws://127.0.0.1:%d", port), map[string]any{"headers": map[string]string{"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}})
		if o.status != 0 {
			t.Errorf("%+v", o)
		}
		b.awaitFrom(mark, `New client connected from `+want+`:\d+ as `)
	}
}

// A page that the broker serves connects to the broker, in a browser.
func TestAPageInABrowserConnects(t *testing.T) {
	t.Parallel()
	needJS(t)
	testenv.Program(t, "chromium", "chromium")
	needMosquitto(t)
	p := newPKI(t)
	web := t.TempDir()
	for file, from := range map[string]string{"index.html": "js/page.html", "mqtt.min.js": "js/node_modules/mqtt/dist/mqtt.min.js"} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(web, file), content)
	}
	plain, secure, tcp := testenv.FreePort(t), testenv.FreePort(t), testenv.FreePort(t)
	startBroker(t, append(p.listen(secure, "protocol websockets", "http_dir "+web, fmt.Sprintf("websockets_origin https://localhost:%d", secure)),
		listen(plain), "protocol websockets", "http_dir "+web, listen(tcp))...)
	sum := sha256.Sum256(p.server.x509.RawSubjectPublicKeyInfo)
	pin := base64.StdEncoding.EncodeToString(sum[:])
	for _, url := range []string{fmt.Sprintf("http://localhost:%d/", plain), fmt.Sprintf("https://localhost:%d/", secure)} {
		picture := filepath.Join(web, "picture.png")
		if dir := os.Getenv("UNIO_PICTURES"); dir != "" { // to look at
			picture = filepath.Join(dir, strings.SplitN(url, ":", 2)[0]+".png")
		}
		watcher := mosquitto(t, tcp).subscribe("browser/hello")
		chromium, err := exec.LookPath("chromium")
		if err != nil {
			t.Fatal(err)
		}
		browser := start(t, "node", "js/browser.mjs", chromium, url, pin, picture)
		if got := watcher.await("MSG"); got != "MSG browser/hello hello from "+strings.SplitN(url, "//", 2)[0] {
			t.Errorf("%s has published %q", url, got)
		}
		mosquitto(t, tcp).publish("browser/answer", "hello browser")
		if o := browser.end(); o.status != 0 || !strings.Contains(o.output, "page: browser/answer: hello browser") || !strings.Contains(o.output, "result: ok") {
			t.Errorf("%s: %+v", url, o)
		}
		if info, err := os.Stat(picture); err != nil || info.Size() == 0 {
			t.Errorf("no picture: %v", err)
		}
		watcher.Kill()
	}
}

// Files are served with what browsers want to know of them, and nothing outside of the folder.
func TestFilesOverHTTPS(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	web, port := t.TempDir(), testenv.FreePort(t)
	writeFile(t, filepath.Join(web, "index.html"), []byte("<p>hello"))
	startBroker(t, p.listen(port, "protocol websockets", "http_dir "+web)...)
	for path, status := range map[string]int{"/": 200, "/index.html": 200, "/none": 404, "/../server.key": 404, "/%2e%2e/server.key": 404} {
		c := p.dialTLS(t, port)
		if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		_ = r.Body.Close()
		if r.StatusCode != status || status == 200 && r.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %s, %v", path, r.Status, r.Header)
		}
	}
}
