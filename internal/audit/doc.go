// Package audit writes security events to a file, a JSON object in each line: {"time":"...","event":"login_failed","user":"joe",...}.
//
// An event waits in memory for the log's goroutine, which writes it, so that nobody waits for the
// file. A flood of events is cut off: at so many of one kind about one client in a minute, at so many
// in all in a second, and at what memory may wait. How many are missing is written with the next one
// that is not. The file is appended to, and opened anew by Reopen, for the program that rotates it.
// Secrets never get here: that is the duty of the code that writes events.
//
// A nil *Log takes events and writes none.
package audit
