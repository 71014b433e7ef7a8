// Package admin is the HTTP server of listeners with "protocol http_api": Mosquitto's endpoints below /api/v1, those of our own, and the
// files of http_dir. What there is to tell comes from who mounts an [Endpoint]; the package knows nothing of the broker's inside.
//
//	s, err := admin.New(admin.Options{Listener: ":8080", Authenticator: who, Authorizer: may})
//	s.Mount(admin.Version("1.2.3"))
//	err = s.Serve(l) // until s.Close
//
// # Who may
//
// A request is that of a client whose id is [ClientID], as in Mosquitto. Its user name and password are those of HTTP's basic authentication
// (RFC 7617), or its certificate names it. The Authenticator and the Authorizer of the broker decide: the second is asked whether the
// client may connect, and then whether it may receive on a topic that is the request's path, or publish there if the
// request changes something. A no is status 401, whichever of them says it, as in Mosquitto. Endpoints that Mosquitto does not have are moreover
// closed to clients that nobody vouches for, so that nothing more is open to the anonymous than was before.
//
// A path has one spelling: what is not clean, is escaped within /api/, or could be a filter, is not found before anybody is asked.
//
// # Bounds
//
// Connections, the size of headers and bodies, and the time for a handshake, a request, a check of a password and an answer are bounded; see
// [Options] and the constants. Requests that change something are refused when a browser sends them for another site. HTTP/2 is not spoken,
// and there are no cookies.
//
// # Goroutines
//
// Serve runs in the caller's; net/http starts one for each connection. Close waits for all of them.
package admin
