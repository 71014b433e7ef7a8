// Package audit writes security events to a file, a JSON object in each line: {"time":"...","event":"login_failed","user":"joe",...}.
//
// An event is written at once, in the goroutine in which it happens; there is none of the package's own. A flood of events is
// cut off at so many in a second, and how many are missing is written with the next that is not. The file is appended to, and opened
// anew by Reopen, for the program that rotates it. Secrets never get here: that is the duty of who writes events.
//
// A nil *Log takes events and writes none.
package audit
