// Package httpfiles serves the files of a folder over HTTP (http_dir), for WebSocket listeners and the HTTP API alike. It serves neither lists
// of folders, nor files and folders whose name begins with a dot, nor what a symbolic link outside of the folder names. It starts
// no goroutine and keeps nothing open.
package httpfiles
