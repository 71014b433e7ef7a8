package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// peerModule is the module with the brokers in Go.
const peerModule = "bench/peers"

// allPeers returns the brokers, Unio first. All listen on one port of the loopback interface, let everybody in and log errors only.
// None may drop messages for want of room in a queue, as far as it can be told so, and none writes to disk what it need not.
func allPeers() []*peer {
	return []*peer{unioPeer(), mosquittoPeer(), mochiPeer(), natsPeer(), aedesPeer(), rabbitPeer()}
}

// conf is the configuration of Unio and of Mosquitto.
func conf(dir string, port int, more ...string) (string, error) {
	who, err := user.Current()
	if err != nil {
		return "", err
	}
	lines := append([]string{
		fmt.Sprintf("listener %d 127.0.0.1", port), "allow_anonymous true", "max_queued_messages 0", "set_tcp_nodelay true",
		"log_type error", "user " + who.Username,
	}, more...)
	return configFile(dir, "broker.conf", strings.Join(lines, "\n")+"\n")
}

func unioPeer() *peer {
	return &peer{
		name: "unio", setup: "`max_queued_messages 0`, `max_subscriptions 0`, `set_tcp_nodelay true`; persistence off, as by default",
		prepare: func(ctx context.Context, l *lab, p *peer) error {
			p.binary = l.unio
			out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
			p.version = strings.TrimSpace(string(out))
			return err
		},
		command: func(_ *lab, p *peer, dir string, port int) ([]string, []string, error) {
			file, err := conf(dir, port, "max_subscriptions 0", "max_shared_subscriptions 0") // as Mosquitto has it
			return []string{p.binary, "-c", file}, nil, err
		},
	}
}

func mosquittoPeer() *peer {
	return &peer{
		name: "mosquitto", setup: "the same file as Unio's",
		prepare: func(ctx context.Context, _ *lab, p *peer) error {
			for _, path := range []string{"/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"} {
				if _, err := os.Stat(path); err == nil {
					p.binary = path
				}
			}
			if p.binary == "" {
				return fmt.Errorf("%w: apt-get install mosquitto", errMissing)
			}
			out, _ := exec.CommandContext(ctx, p.binary, "-h").Output() // its status is 1
			first, _, _ := strings.Cut(string(out), "\n")
			p.version = strings.TrimPrefix(first, "mosquitto version ")
			return nil
		},
		command: func(_ *lab, p *peer, dir string, port int) ([]string, []string, error) {
			file, err := conf(dir, port)
			return []string{p.binary, "-c", file}, nil, err
		},
	}
}

// buildPeer builds a command of the module with the peers and finds out a module's version.
func buildPeer(ctx context.Context, l *lab, p *peer, pkg, module string) error {
	p.binary = filepath.Join(l.work, p.name+"-broker")
	if out, err := exec.CommandContext(ctx, "go", "build", "-C", peerModule, "-o", p.binary, pkg).CombinedOutput(); err != nil {
		return fmt.Errorf("go build in %s: %w: %s", peerModule, err, strings.TrimSpace(string(out)))
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-C", peerModule, "-m", "-f", "{{.Version}}", module).Output()
	p.version = strings.TrimSpace(string(out))
	return err
}

func mochiPeer() *peer {
	const module = "github.com/mochi-mqtt/server/v2"
	return &peer{
		name: "mochi", setup: "65,535 messages in flight, 1,048,576 writes pending; nothing is stored",
		prepare: func(ctx context.Context, l *lab, p *peer) error { return buildPeer(ctx, l, p, "./mochi", module) },
		command: func(_ *lab, p *peer, _ string, port int) ([]string, []string, error) {
			return []string{p.binary, fmt.Sprintf("127.0.0.1:%d", port)}, nil, nil
		},
	}
}

func natsPeer() *peer {
	const module = "github.com/nats-io/nats-server/v2"
	return &peer{
		name: "nats", setup: "JetStream, which its MQTT needs, in a temporary folder with its default of not syncing; `max_ack_pending` 65,535",
		prepare: func(ctx context.Context, l *lab, p *peer) error { return buildPeer(ctx, l, p, module, module) },
		command: func(_ *lab, p *peer, dir string, port int) ([]string, []string, error) {
			clients, err := freePort()
			if err != nil {
				return nil, nil, err
			}
			file, err := configFile(dir, "nats.conf", fmt.Sprintf(`
				server_name: bench
				listen: "127.0.0.1:%d"
				jetstream { store_dir: %q, max_memory_store: 4GB, max_file_store: 20GB }
				mqtt { listen: "127.0.0.1:%d", max_ack_pending: 65535 }
				write_deadline: "60s"
				max_pending: 1GB
			`, clients, filepath.Join(dir, "data"), port))
			return []string{p.binary, "-c", file}, nil, err
		},
	}
}

func aedesPeer() *peer {
	const folder = peerModule + "/aedes"
	return &peer{
		name: "aedes", setup: "everything in memory, `noDelay`",
		prepare: func(ctx context.Context, _ *lab, p *peer) error {
			if _, err := exec.LookPath("npm"); err != nil {
				return fmt.Errorf("%w: apt-get install nodejs npm", errMissing)
			}
			if exec.CommandContext(ctx, "npm", "ls", "--prefix", folder, "aedes").Run() != nil {
				out, err := exec.CommandContext(ctx, "npm", "ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund").CombinedOutput()
				if err != nil {
					return fmt.Errorf("npm ci in %s: %w: %s", folder, err, strings.TrimSpace(string(out)))
				}
			}
			script, err := filepath.Abs(folder + "/server.js")
			p.binary = script
			p.version = npmVersion(ctx, folder)
			return err
		},
		command: func(_ *lab, p *peer, _ string, port int) ([]string, []string, error) {
			return []string{"node", p.binary, "127.0.0.1", strconv.Itoa(port)}, nil, nil
		},
	}
}

// npmVersion returns the version of aedes that is installed, and Node's.
func npmVersion(ctx context.Context, folder string) string {
	const script = `console.log(JSON.parse(require("fs").readFileSync(process.argv[1])).version, "on Node.js", process.version)`
	out, _ := exec.CommandContext(ctx, "node", "-e", script, folder+"/node_modules/aedes/package.json").Output() // "" will be seen
	return strings.TrimSpace(string(out))
}

func rabbitPeer() *peer {
	const server = "/usr/lib/rabbitmq/bin/rabbitmq-server"
	return &peer{
		name: "rabbitmq", kept: true,
		setup: "MQTT plugin, one listener, `prefetch` 65,535. " +
			"It takes long to start, so it is started once, halted while others are measured, and measured in one round only",
		prepare: func(ctx context.Context, _ *lab, p *peer) error {
			if _, err := os.Stat(server); err != nil {
				return fmt.Errorf("%w: apt-get install rabbitmq-server", errMissing)
			}
			p.binary = server
			out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server").Output()
			p.version = string(out)
			return err
		},
		command: rabbitCommand,
		stop: func(r *running) { // the port mapper, which it has left behind
			cmd := exec.Command("epmd", "-kill")
			cmd.Env = r.cmd.Env
			_ = cmd.Run()
		},
	}
}

func rabbitCommand(_ *lab, p *peer, dir string, port int) (args, env []string, err error) {
	mapper, err := freePort()
	if err != nil {
		return nil, nil, err
	}
	distribution, err := freePort()
	if err != nil {
		return nil, nil, err
	}
	file, err := configFile(dir, "rabbitmq.conf", fmt.Sprintf(
		"listeners.tcp = none\nmqtt.listeners.tcp.1 = 127.0.0.1:%d\nmqtt.allow_anonymous = true\nmqtt.prefetch = 65535\n"+
			"mqtt.tcp_listen_options.nodelay = true\nlog.console = true\nlog.console.level = error\nlog.file = false\n"+
			"vm_memory_high_watermark.relative = 0.8\ndisk_free_limit.absolute = 50MB\n", port))
	if err != nil {
		return nil, nil, err
	}
	plugins, err := configFile(dir, "enabled_plugins", "[rabbitmq_mqtt].\n")
	env = []string{
		"HOME=" + dir, "RABBITMQ_ALLOW_INPUT=1", "RABBITMQ_NODENAME=bench" + strconv.Itoa(port) + "@localhost",
		"RABBITMQ_CONFIG_FILE=" + strings.TrimSuffix(file, ".conf"), "RABBITMQ_ENABLED_PLUGINS_FILE=" + plugins,
		"RABBITMQ_MNESIA_BASE=" + filepath.Join(dir, "mnesia"), "RABBITMQ_LOG_BASE=" + filepath.Join(dir, "log"),
		"RABBITMQ_DIST_PORT=" + strconv.Itoa(distribution), "ERL_EPMD_PORT=" + strconv.Itoa(mapper), "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-noinput",
	}
	return []string{p.binary}, env, err
}
