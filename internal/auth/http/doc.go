// Package http is the auth.Backend that asks a web server about a client: a webhook.
//
// A request carries the fields of the options, in JSON or as a form, or in the query of a GET. The answer is a JSON object with
// a member result, which is "allow", "deny" or "ignore", and perhaps groups, is_superuser and expire_at; or, if the
// options say so, the status alone. Whatever else comes, a redirection among it, is an error, and the client is not let in.
//
// It does not remember answers, which is auth.Remote's work, and starts no goroutine but those of net/http.
//
//	b, err := http.New(http.Options{URL: "https://example.com/mqtt/auth"})
package http
