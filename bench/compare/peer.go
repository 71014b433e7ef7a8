package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// peer is a broker that is measured.
type peer struct {
	name    string
	version string
	setup   string // its configuration, in words
	// prepare finds or builds it and sets version.
	prepare func(ctx context.Context, l *lab, p *peer) error
	// command returns how to start it in a folder of its own.
	command func(l *lab, p *peer, dir string, port int) (args, env []string, err error)
	binary  string
	// kept means that it takes so long to start that it is started once, and halted by SIGSTOP while others are measured.
	kept bool
	life *running
	stop func(r *running) // what is to be done after its end
}

// running is a broker that runs.
type running struct {
	cmd   *exec.Cmd
	addr  string
	dir   string
	ended chan struct{}
	log   bytes.Buffer
	pid   int
	peer  *peer
}

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 15 * time.Second
)

// start starts the broker, or lets it go on, and returns when it takes connections.
func (l *lab) start(ctx context.Context, p *peer) (*running, error) {
	if p.life != nil {
		return p.life, proceed(p.life.cmd.Process)
	}
	dir, err := os.MkdirTemp(l.work, p.name)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	args, env, err := p.command(l, p, dir, port)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	r := &running{dir: dir, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), ended: make(chan struct{}), peer: p}
	r.cmd = exec.CommandContext(context.WithoutCancel(ctx), "taskset", append([]string{"-c", strconv.Itoa(l.brokerCore)}, args...)...)
	r.cmd.Env, r.cmd.Dir = append(os.Environ(), env...), dir
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	r.pid = r.cmd.Process.Pid // taskset becomes the broker
	go func() {
		_ = r.cmd.Wait()
		close(r.ended)
	}()
	if err := r.ready(ctx); err != nil {
		r.end()
		return nil, fmt.Errorf("start %s: %w\n%s", p.name, err, r.log.Bytes())
	}
	if p.kept {
		p.life = r
	}
	return r, nil
}

// ready waits until the broker takes connections.
func (r *running) ready(ctx context.Context) error {
	for end := time.Now().Add(startTimeout); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if nc, err := net.Dial("tcp", r.addr); err == nil {
			return nc.Close()
		}
		select {
		case <-r.ended:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
	}
	return fmt.Errorf("it does not listen on %s after %v", r.addr, startTimeout)
}

// halt ends a broker, or makes one that is kept pause.
func (r *running) halt() {
	if r.peer.life == r {
		_ = pause(r.cmd.Process)
		return
	}
	r.end()
}

// end ends it.
func (r *running) end() {
	_ = proceed(r.cmd.Process)
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(stopTimeout):
		_ = r.cmd.Process.Kill()
		<-r.ended
	}
	if r.peer.stop != nil {
		r.peer.stop(r)
	}
	os.RemoveAll(r.dir)
}

// end ends a broker that was kept.
func (p *peer) end() {
	if p.life != nil {
		p.life.end()
		p.life = nil
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// configFile writes a broker's configuration and returns its path.
func configFile(dir, name, text string) (string, error) {
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
