package cli

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

// askPassword asks for a new password twice. On a terminal it is not shown; what is not
// a terminal has a line for each answer.
func askPassword(in io.Reader, prompts io.Writer) ([]byte, error) {
	read := lineReader(in)
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		read = func() ([]byte, error) { return readHidden(int(f.Fd())) }
	}
	var answers [2][]byte
	for i, prompt := range [2]string{"Password: ", "Reenter password: "} {
		fmt.Fprint(prompts, prompt)
		answer, err := read()
		fmt.Fprintln(prompts)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the password: %w", err)
		}
		if answers[i] = bytes.TrimRight(answer, "\r\n"); len(answers[i]) == 0 {
			return nil, errors.New("empty password")
		}
	}
	if !bytes.Equal(answers[0], answers[1]) {
		return nil, &statusError{statusMismatch, errors.New("passwords do not match")}
	}
	return answers[0], nil
}

// lineReader reads line by line. A line longer than any password is cut behind the first
// byte that is too many.
func lineReader(in io.Reader) func() ([]byte, error) {
	const room = maxPassword + len("\r\n") + 1
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
