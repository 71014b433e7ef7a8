// Package ask reads passwords that are typed in.
package ask

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// MaxPassword is the length of a password in MQTT, in bytes.
const MaxPassword = 65535

// Reader returns a function that reads the next answer. A terminal does not show it; what is not a
// terminal has a line for each answer, with its end.
func Reader(in io.Reader) func() ([]byte, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return func() ([]byte, error) { return readHidden(int(f.Fd())) }
	}
	return lineReader(in)
}

// lineReader reads line by line. A line longer than any password is cut behind the first
// byte that is too many.
func lineReader(in io.Reader) func() ([]byte, error) {
	const room = MaxPassword + len("\r\n") + 1
	r := bufio.NewReaderSize(in, room)
	return func() ([]byte, error) {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
		return bytes.Clone(line), err
	}
}

// readHidden reads a line of a terminal that does not show it. A signal that is to end
// the process ends the reading, so that the terminal shows again what is typed.
func readHidden(fd int) ([]byte, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	type answer struct {
		line []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // it ends with the line; after a signal, with the process
		line, err := term.ReadPassword(fd)
		answers <- answer{line, err}
	}()
	select {
	case a := <-answers:
		return a.line, a.err
	case s := <-signals:
		return nil, errors.Join(fmt.Errorf("ended by %v", s), term.Restore(fd, before))
	}
}
