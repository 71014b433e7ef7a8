package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// crowd is the processes of a trial, which end with it.
type crowd struct {
	context.Context
	end  context.CancelFunc
	l    *lab
	port string
	all  []*member
}

// member is one of them.
type member struct {
	name  string
	said  *os.File // what it wrote to its standard error
	ended chan struct{}
	err   error // set when ended is closed
}

func newCrowd(ctx context.Context, l *lab, port string) *crowd {
	c := &crowd{l: l, port: port}
	c.Context, c.end = context.WithTimeout(ctx, runTimeout)
	return c
}

// disperse ends what still runs.
func (c *crowd) disperse() {
	c.end()
	for _, m := range c.all {
		<-m.ended
		_ = m.said.Close()
	}
}

// start starts a program on the load's core, with its children in a group that ends with it.
func (c *crowd) start(stdin []byte, env []string, name string, args ...string) (*member, error) {
	cmd := exec.CommandContext(c, "taskset", append([]string{"-c", strconv.Itoa(c.l.loadCore), name}, args...)...)
	ownGroup(cmd)
	cmd.Env = append(os.Environ(), env...)
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	said, err := os.CreateTemp(c.l.work, name) // a file, since a daemon that it leaves behind would hold a pipe open
	if err != nil {
		return nil, err
	}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, said.Close())
	}
	m := &member{name: name, said: said, ended: make(chan struct{})}
	go func() {
		m.err = cmd.Wait()
		close(m.ended)
	}()
	c.all = append(c.all, m)
	return m, nil
}

// client starts mosquitto_pub or mosquitto_sub.
func (c *crowd) client(stdin []byte, name string, args ...string) (*member, error) {
	return c.start(stdin, nil, name, append([]string{"-h", "127.0.0.1", "-p", c.port}, args...)...)
}

// wait waits for programs that end by themselves.
func (c *crowd) wait(all ...*member) error {
	for _, m := range all {
		if <-m.ended; m.err != nil {
			text, _ := os.ReadFile(m.said.Name())
			return fmt.Errorf("%s: %w: %s", m.name, errors.Join(m.err, c.Err()), bytes.TrimSpace(text))
		}
	}
	return nil
}

// clients starts n of a client, and returns them. args makes the arguments of each.
func (c *crowd) clients(n int, stdin []byte, name string, args func(i int) []string) ([]*member, error) {
	var all []*member
	for i := range n {
		m, err := c.client(stdin, name, args(i)...)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// subscribed waits until mosquitto_sub has subscribed, which it does not tell; messages that came before would be missed, and end in the timeout.
func (c *crowd) subscribed() {
	select {
	case <-time.After(time.Second):
	case <-c.Done():
	}
}

func text(lines int) []byte {
	return bytes.Repeat([]byte(strings.Repeat("x", 63)+"\n"), lines)
}

// act is what is measured, see trial.run.
type act func(c *crowd, begin func() error) (served int, err error)

// pipes has each of some publishers write lines to its subscribers as fast as they are taken.
func pipes(publishers, subscribers, lines, qos int) act {
	return traffic(publishers, publishers*subscribers, publishers*subscribers*lines, lines, qos, func(i int) string { return fmt.Sprint("second/", i/subscribers) })
}

// shared has publishers write lines to a shared group of one.
func shared(publishers, lines, qos int) act {
	return traffic(publishers, 1, publishers*lines, lines, qos, func(int) string { return "$share/group/second/+" })
}

func traffic(publishers, subscribers, served, lines, qos int, filter func(i int) string) act {
	return func(c *crowd, begin func() error) (int, error) {
		receivers, err := c.clients(subscribers, nil, "mosquitto_sub", func(i int) []string {
			return []string{"-q", strconv.Itoa(qos), "-t", filter(i), "-C", strconv.Itoa(served / subscribers)}
		})
		if err != nil {
			return 0, err
		}
		c.subscribed()
		if err := begin(); err != nil {
			return 0, err
		}
		senders, err := c.clients(publishers, text(lines), "mosquitto_pub", func(i int) []string {
			return []string{"-q", strconv.Itoa(qos), "-t", fmt.Sprint("second/", i), "-l"}
		})
		if err != nil {
			return 0, err
		}
		return served, c.wait(append(senders, receivers...)...)
	}
}

// readers have each of n subscribers wait for messages.
func readers(n, messages int, args ...string) act {
	return func(c *crowd, begin func() error) (int, error) {
		if err := begin(); err != nil {
			return 0, err
		}
		all, err := c.clients(n, nil, "mosquitto_sub", func(i int) []string {
			return append([]string{"-i", fmt.Sprint("second-", i), "-C", strconv.Itoa(messages)}, args...)
		})
		if err != nil {
			return 0, err
		}
		return n * messages, c.wait(all...)
	}
}

// filters has ten clients subscribe, half of it exactly, a quarter with + and a quarter with #, and leave their sessions.
func filters(n int) act {
	const sessions = 10
	return func(c *crowd, begin func() error) (int, error) {
		if err := begin(); err != nil {
			return 0, err
		}
		all, err := c.clients(sessions, nil, "mosquitto_sub", func(s int) []string {
			args := []string{"-E", "-c", "-i", fmt.Sprint("filters-", s)}
			for i := range n / sessions {
				args = append(args, "-t", fmt.Sprintf("house/%d/room/%d/%s", s, i, []string{"lamp", "+", "door", "#"}[i%4]))
			}
			return args
		})
		if err != nil {
			return 0, err
		}
		return n / sessions * sessions, c.wait(all...)
	}
}

// beside runs first, and measures then.
func beside(first, then act) act {
	return func(c *crowd, begin func() error) (int, error) {
		if _, err := first(c, func() error { return nil }); err != nil {
			return 0, err
		}
		return then(c, begin)
	}
}

// offline queues messages for clients that are not there, and drains the queues if it is that which is measured.
func offline(sessions, lines int, drain bool) act {
	stored := []string{"-c", "-q", "1"}
	return func(c *crowd, begin func() error) (int, error) {
		all, err := c.clients(sessions, nil, "mosquitto_sub", func(i int) []string {
			return append([]string{"-E", "-i", fmt.Sprint("second-", i), "-t", fmt.Sprint("second/", i)}, stored...)
		})
		if err == nil {
			err = c.wait(all...)
		}
		if err == nil && !drain {
			err = begin()
		}
		if err != nil {
			return 0, err
		}
		all, err = c.clients(sessions, text(lines), "mosquitto_pub", func(i int) []string {
			return []string{"-q", "1", "-t", fmt.Sprint("second/", i), "-l"}
		})
		if err == nil {
			err = c.wait(all...)
		}
		if err != nil || !drain {
			return sessions * lines, err
		}
		return readers(sessions, lines, append(stored, "-t", "second/none")...)(c, begin)
	}
}

// tsungFile is a load for tsung: clients that come so many in a second, connect, do something and leave.
const tsungFile = `<?xml version="1.0"?>
<!DOCTYPE tsung SYSTEM "/usr/share/tsung/tsung-1.0.dtd">
<tsung loglevel="warning" version="1.0">
  <clients><client host="localhost" use_controller_vm="true" maxusers="20000"/></clients>
  <servers><server host="127.0.0.1" port="%s" type="tcp"/></servers>
  <load><arrivalphase phase="1" duration="5" unit="minute"><users maxnumber="%d" arrivalrate="%d" unit="second"/></arrivalphase></load>
  <sessions>
    <session name="second" probability="100" type="ts_mqtt">
      <request><mqtt type="connect" clean_start="true" keepalive="60"/></request>
      %s
      <request><mqtt type="disconnect"/></request>
    </session>
  </sessions>
</tsung>
`

// tsung starts it.
func (c *crowd) tsung(users, rate int, requests string) (m *member, log string, err error) {
	dir, err := os.MkdirTemp(c.l.work, "tsung")
	if err != nil {
		return nil, "", err
	}
	file, err := configFile(dir, "tsung.xml", fmt.Sprintf(tsungFile, c.port, users, rate, requests))
	if err != nil {
		return nil, "", err
	}
	log = filepath.Join(dir, "log")
	m, err = c.start(nil, []string{"HOME=" + dir}, "tsung", "-f", file, "-l", log, "-n", "start")
	return m, log, err
}

// usersDone is tsung's counter of clients that have left.
const usersDone = "finish_users_count"

// storm has tsung send clients. What was served is what its counter says.
func storm(users, rate int, requests, counter string) act {
	return func(c *crowd, begin func() error) (int, error) {
		if err := begin(); err != nil {
			return 0, err
		}
		tsung, log, err := c.tsung(users, rate, requests)
		if err != nil {
			return 0, err
		}
		if err := c.wait(tsung); err != nil {
			return 0, err
		}
		return tsungCount(log, counter)
	}
}

// asleep is storm with one subscriber.
func asleep(users int, requests string) act {
	return func(c *crowd, begin func() error) (int, error) {
		if _, err := c.client(nil, "mosquitto_sub", "-t", "second/#"); err != nil {
			return 0, err
		}
		c.subscribed()
		return storm(users, users, requests, "mqtt_published")(c, begin)
	}
}

// waiting has clients subscribe and wait for what does not come. It returns when all have been idle for a while.
func waiting(users int) act {
	const quiet = 12 * time.Second
	return func(c *crowd, begin func() error) (int, error) {
		if err := begin(); err != nil {
			return 0, err
		}
		tsung, _, err := c.tsung(users, 500, `<request subst="true"><mqtt type="subscribe" topic="second/%%_tsung_userid%%" qos="0"/></request>`+
			`<request><mqtt type="waitForMessages" timeout="60"/></request>`)
		if err != nil {
			return 0, err
		}
		for n := 0; n < users; {
			select {
			case <-c.Done():
				return 0, c.Err()
			case <-tsung.ended:
				return 0, errors.Join(errors.New("tsung has ended before all were connected"), c.wait(tsung))
			case <-time.After(100 * time.Millisecond):
			}
			if n, err = established(c.port); err != nil {
				return 0, err
			}
		}
		select {
		case <-c.Done():
			return 0, c.Err()
		case <-time.After(quiet):
			return users, nil
		}
	}
}

// established is how many connections there are to a port, as Linux says.
func established(port string) (n int, err error) {
	p, err := strconv.Atoi(port)
	if err != nil {
		return 0, err
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0, err
	}
	local := fmt.Sprintf(":%04X", p)
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[1], local) && f[3] == "01" {
			n++
		}
	}
	return n, nil
}

// tsungCount finds the last total of a counter in tsung's log.
func tsungCount(folder, counter string) (int, error) {
	logs, err := filepath.Glob(filepath.Join(folder, "*", "tsung.log"))
	if err != nil {
		return 0, err
	}
	if len(logs) == 0 {
		return 0, errors.New("tsung has left no log")
	}
	text, err := os.ReadFile(logs[0])
	if err != nil {
		return 0, err
	}
	all := regexp.MustCompile(`(?m)^stats: `+counter+` \d+ (\d+)$`).FindAllSubmatch(text, -1)
	if len(all) == 0 {
		return 0, fmt.Errorf("tsung's log has no %s:\n%s", counter, text)
	}
	return strconv.Atoi(string(all[len(all)-1][1]))
}
