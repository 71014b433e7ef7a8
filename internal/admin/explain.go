package admin

import (
	"net/http"
	"net/url"
)

// Explain is the endpoint that says what a client may do, and why. ask gets the request's query and returns what is to be told as JSON; its
// error says what is wrong with the query.
func Explain(ask func(url.Values) (any, error)) Endpoint {
	return Endpoint{Pattern: "GET /api/v1/explain", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		var told any
		if err == nil {
			told, err = ask(query)
		}
		if err != nil {
			writeError(w, http.StatusBadRequest, err.Error())
			return
		}
		writeJSON(w, http.StatusOK, told)
	})}
}

// writeError answers one of our own endpoints' requests with what is wrong.
func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]string{"error": text})
}
