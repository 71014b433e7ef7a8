package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/uniomq/unio/broker"
	"github.com/uniomq/unio/store/disk"
)

// process is the real command, killed with SIGKILL.
type process struct {
	o    options
	dir  string
	cmd  *exec.Cmd
	port int
}

func (p *process) start(w *world) error {
	if p.port == 0 { // one that nobody has
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		p.port = l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return err
		}
		conf := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence_location %s\n"+
			"max_queued_messages 0\nuser root\nlog_type error\nlog_type warning\nlog_type information\n", p.port, p.dir)
		if p.o.sync != "off" {
			conf += "persistence true\npersistence_sync " + p.o.sync + "\n"
		}
		if err := os.WriteFile(filepath.Join(p.dir, "unio.conf"), []byte(conf), 0o600); err != nil {
			return err
		}
	}
	p.cmd = exec.Command(p.o.unio, "-c", filepath.Join(p.dir, "unio.conf"))
	out, err := p.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	var said []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said = append(said, lines.Text())
		if strings.HasSuffix(lines.Text(), " running") {
			go func() {
				for lines.Scan() {
					if strings.Contains(lines.Text(), "Error") {
						fmt.Println(lines.Text())
					}
				}
			}()
			w.open(fmt.Sprint("127.0.0.1:", p.port))
			return nil
		}
	}
	return fmt.Errorf("the broker does not start: %w: %s", p.cmd.Wait(), strings.Join(said, "\n"))
}

func (p *process) crash(w *world) error {
	err := p.cmd.Process.Kill()
	_ = p.cmd.Wait() // says that it was killed
	w.shut()
	return err
}

func (p *process) end(w *world) error {
	w.shut()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// machine is a broker in this process, on a disk that forgets what was not synced.
type machine struct {
	fs     *vfs.MemFS
	random *rand.Rand
	sync   disk.Sync
	broker *broker.Broker
}

func newMachine(o options) *machine {
	m := &machine{fs: vfs.NewCrashableMem(), random: rand.New(rand.NewPCG(o.seed, 2000))}
	if o.sync == "never" {
		m.sync = disk.SyncNever
	}
	return m
}

func (m *machine) start(w *world) error {
	s, err := disk.Open("store", disk.Options{FS: m.fs, Sync: m.sync, Failed: func(err error) { w.r.fault("%v", err) }})
	if err != nil {
		return err
	}
	m.broker, err = broker.New(broker.Options{Store: s, Limits: broker.Limits{MaxQueuedMessages: -1}})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func(b *broker.Broker) { _ = b.Serve(l) }(m.broker)
	w.open(l.Addr().String())
	return nil
}

// crash cuts the connections before the power, so that nothing is acknowledged that the disk does not have.
func (m *machine) crash(w *world) error {
	w.shut()
	left := m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: m.random.IntN(101), RNG: m.random})
	err := m.end(w)
	m.fs = left
	return err
}

func (m *machine) end(w *world) error {
	w.shut()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return m.broker.Shutdown(ctx)
}
