package passwd_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/uniomq/unio/internal/cli/clitest"
	"github.com/uniomq/unio/internal/cli/exit"
)

// terminal is a pseudo-terminal with a program on its other side.
type terminal struct {
	t       *testing.T
	control *os.File
	cmd     *exec.Cmd
	shown   []byte
}

// onTerminal starts "unio passwd" on a terminal of its own.
func onTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = control.Close() })
	var number, locked int32
	ioctl(t, control, syscall.TIOCGPTN, &number)
	ioctl(t, control, syscall.TIOCSPTLCK, &locked)
	side, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = side.Close() }) // kept open, so that what is shown can be read to its end
	cmd := exec.Command(clitest.Binary, append([]string{"passwd"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = side, side, side
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &terminal{t: t, control: control, cmd: cmd}
}

func ioctl(t *testing.T, f *os.File, request uintptr, value *int32) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var errno syscall.Errno
	if err := raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(value)))
	}); err != nil || errno != 0 {
		t.Fatalf("ioctl %x: %v, %v", request, err, errno)
	}
}

// await reads what the terminal shows until that ends with text.
func (c *terminal) await(text string) {
	c.t.Helper()
	_ = c.control.SetReadDeadline(time.Now().Add(clitest.Deadline))
	buf := make([]byte, 256)
	for !bytes.HasSuffix(c.shown, []byte(text)) {
		n, err := c.control.Read(buf)
		if err != nil {
			c.t.Fatalf("%v; the terminal shows %q and not %q", err, c.shown, text)
		}
		c.shown = append(c.shown, buf[:n]...)
	}
}

func (c *terminal) enter(keys string) {
	c.t.Helper()
	if _, err := io.WriteString(c.control, keys); err != nil {
		c.t.Fatal(err)
	}
}

// echoes reports whether the terminal shows what is typed.
func (c *terminal) echoes() bool {
	var state syscall.Termios
	raw, err := c.control.SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TCGETS, uintptr(unsafe.Pointer(&state)))
	}); err != nil {
		c.t.Fatal(err)
	}
	return state.Lflag&syscall.ECHO != 0
}

func TestPasswordIsNotShownOnATerminal(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "passwd")
	c := onTerminal(t, "-c", file, "joe")
	for _, prompt := range []string{"Password: ", "Reenter password: "} {
		c.await(prompt)
		c.hidden()
		c.enter("secret\n")
	}
	c.await("Adding password for user joe\r\n")
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("unio passwd: %v", err)
	}
	if strings.Contains(string(c.shown), "secret") || !c.echoes() {
		t.Errorf("the terminal shows %q, and what is typed from now on: %v", c.shown, c.echoes())
	}
	accepts(t, file, map[string]string{"joe": "secret"})
}

func TestInterruptedPasswordPromptRestoresTheTerminal(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "passwd")
	c := onTerminal(t, "-c", file, "joe")
	c.await("Password: ")
	c.hidden()
	c.enter("\x03") // Ctrl-C
	c.await("ended by interrupt\r\n")
	if _ = c.cmd.Wait(); c.cmd.ProcessState.ExitCode() != exit.Failure {
		t.Errorf("unio passwd ended with %v", c.cmd.ProcessState)
	}
	if !c.echoes() {
		t.Error("the terminal does not show what is typed")
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the file is there")
	}
}

// hidden waits until the terminal shows nothing of what is typed, for a program prompts
// first.
func (c *terminal) hidden() {
	c.t.Helper()
	for end := time.Now().Add(clitest.Deadline); c.echoes(); {
		if time.Now().After(end) {
			c.t.Fatal("the terminal shows what is typed")
		}
	}
}
