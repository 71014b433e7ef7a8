package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/uniomq/unio/internal/httpfiles"
)

// version is that of the WebSocket protocol (RFC 6455, 4.1).
const version = "13"

// keyGUID makes an accept key of a client's key (RFC 6455, 1.3).
const keyGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// refusal is an answer other than an upgrade.
type refusal struct {
	status int // 0: the connection is closed without an answer
	text   string
}

func (r *refusal) Error() string { return r.text }

// serve handles a request. It is the last thing that the goroutine of an upgraded connection does.
func (l *Listener) serve(w http.ResponseWriter, r *http.Request) {
	hc := r.Context().Value(connKey{}).(*httpConn)
	hc.handled.Store(true)
	defer l.contain(hc)
	switch {
	case wantsUpgrade(r):
		protocol, refused := l.check(r)
		if refused != nil {
			l.refuse(w, hc, refused)
			return
		}
		remote, refused := l.forwardedFor(r.Header[forwardedHeader], hc.RemoteAddr())
		if refused != nil {
			l.refuse(w, hc, refused)
			return
		}
		l.upgrade(w, r, protocol, remote)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		l.refuse(w, hc, &refusal{http.StatusMethodNotAllowed, "only GET and HEAD are served"})
	case l.o.HTTPDir != "":
		httpfiles.Dir{Path: l.o.HTTPDir, Patience: l.o.HandshakeTimeout}.ServeHTTP(w, r)
	default:
		l.refuse(w, hc, &refusal{http.StatusUpgradeRequired, "this listener speaks MQTT over WebSocket: want an upgrade request"})
	}
}

// contain reports a panic, and ends only the connection that caused it.
func (l *Listener) contain(hc *httpConn) {
	if v := recover(); v != nil {
		if v != http.ErrAbortHandler { //nolint:errorlint // net/http's own sign, not wrapped
			l.refused(hc.RemoteAddr(), fmt.Errorf("panic: %v", v))
			_ = hc.Close() // net/http does not, once the connection was taken from it
		}
		panic(http.ErrAbortHandler)
	}
}

// refuse answers, or closes without an answer.
func (l *Listener) refuse(w http.ResponseWriter, hc *httpConn, cause *refusal) {
	l.refused(hc.RemoteAddr(), cause)
	if cause.status == 0 {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	h.Set("Connection", "close")
	if cause.status == http.StatusUpgradeRequired { // RFC 9110, 15.5.22; RFC 6455, 4.2.2
		h.Add("Connection", "Upgrade") // net/http wants "close" to be on its own
		h.Set("Upgrade", "websocket")
		h.Set("Sec-WebSocket-Version", version)
	}
	http.Error(w, cause.text, cause.status)
}

// wantsUpgrade reports whether a request asks for WebSocket, well or badly.
func wantsUpgrade(r *http.Request) bool {
	return hasToken(r.Header.Values("Upgrade"), "websocket")
}

// check returns the sub-protocol for a request, or why it is refused (RFC 6455, 4.2.1).
func (l *Listener) check(r *http.Request) (protocol string, refused *refusal) {
	if len(l.o.Origins) > 0 {
		if origins := r.Header.Values("Origin"); len(origins) != 1 || !slices.Contains(l.o.Origins, origins[0]) {
			return "", &refusal{0, fmt.Sprintf("the origin %.200q is not allowed", origins)}
		}
	}
	bad := func(text string) (string, *refusal) { return "", &refusal{http.StatusBadRequest, text} }
	keys := r.Header.Values("Sec-WebSocket-Key")
	switch versions := r.Header.Values("Sec-WebSocket-Version"); {
	case r.Method != http.MethodGet:
		return "", &refusal{http.StatusMethodNotAllowed, "an upgrade to WebSocket must be a GET request"}
	case !r.ProtoAtLeast(1, 1):
		return bad("an upgrade to WebSocket needs HTTP/1.1")
	case !hasToken(r.Header.Values("Connection"), "upgrade"):
		return bad("an upgrade request must have the header Connection: Upgrade")
	case len(versions) != 1 || versions[0] != version:
		return "", &refusal{http.StatusUpgradeRequired, "Sec-WebSocket-Version must be " + version}
	case len(keys) != 1 || !validKey(keys[0]):
		return bad("Sec-WebSocket-Key must be 16 bytes in base64")
	case r.ContentLength != 0:
		return bad("an upgrade request must have no body")
	}
	for _, value := range r.Header.Values("Sec-WebSocket-Protocol") {
		for offered := range strings.SplitSeq(value, ",") {
			if offered = strings.Trim(offered, " \t"); offered == "mqtt" || offered == "mqttv3.1" { // [MQTT-6.0.0-3, MQTT-6.0.0-4]
				return strings.Clone(offered), nil
			}
		}
	}
	return bad("Sec-WebSocket-Protocol must offer mqtt or mqttv3.1")
}

// hasToken reports whether a header that is a list has a token, in any case (RFC 9110, 5.6.1).
func hasToken(values []string, token string) bool {
	for _, value := range values {
		for t := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.Trim(t, " \t"), token) {
				return true
			}
		}
	}
	return false
}

func validKey(key string) bool {
	nonce, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(nonce) == 16
}

// acceptKey returns the answer to a client's key (RFC 6455, 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + keyGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// upgrade takes the connection from net/http, answers, and waits until it is accepted.
func (l *Listener) upgrade(w http.ResponseWriter, r *http.Request, protocol string, remote net.Addr) {
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil { // StateClosed follows, in which wg is told
		l.refused(r.Context().Value(connKey{}).(*httpConn).RemoteAddr(), fmt.Errorf("upgrade: %w", err))
		return
	}
	defer l.wg.Done()
	started := nc.(*httpConn).started
	nc = nc.(*httpConn).Conn
	c := newConn(nc, l.o.MaxFrame)
	c.began = started.UnixNano()
	c.remote, c.passed = remote, len(r.Header[forwardedHeader]) > 0
	if n := buffered.Reader.Buffered(); n > 0 {
		c.early = make([]byte, n)
		_, _ = buffered.Read(c.early) // all of it is there
	}
	_ = nc.SetWriteDeadline(started.Add(l.o.HandshakeTimeout))
	_, err = nc.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + acceptKey(r.Header.Get("Sec-WebSocket-Key")) + "\r\n" +
		"Sec-WebSocket-Protocol: " + protocol + "\r\n\r\n"))
	if err != nil {
		_ = nc.Close()
		l.refused(c.RemoteAddr(), fmt.Errorf("upgrade: %w", err))
		return
	}
	_ = nc.SetWriteDeadline(time.Time{})
	select {
	case l.upgraded <- c:
	case <-l.closing:
		_ = c.Close()
	}
}
