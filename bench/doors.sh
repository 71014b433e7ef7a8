#!/usr/bin/env bash
# Compares what idle connections cost Unio and Debian's mosquitto, plain, over TLS and over WebSocket, and prints a Markdown table.
#
#   bench/doors.sh [CONNECTIONS [SECONDS]]
#
# CONNECTIONS (10000 by default) with one subscription each are opened, by unio bench, to a freshly started broker, and its memory is looked at
# when they have been idle for SECONDS (30 by default): a runtime that collects garbage needs some time to give back what handshakes have
# left. Both brokers have the same certificate, ECDSA on P-256. TLS is what both prefer, which is 1.3.
set -euo pipefail
cd "$(dirname "$0")/.."

connections=${1:-10000}
seconds=${2:-30}
mosquitto=$(PATH=$PATH:/usr/sbin command -v mosquitto) || {
	echo "mosquitto is not installed: apt-get install mosquitto" >&2
	exit 1
}

work=$(mktemp -d)
pid=
stop() {
	if [ -n "$pid" ]; then
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		pid=
	fi
}
trap 'stop; rm -rf "$work"' EXIT

go build -o "$work/unio" ./cmd/unio
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2 \
	-keyout "$work/key" -out "$work/crt" 2>/dev/null
ulimit -n "$(ulimit -Hn)"

# start BROKER OPTION...: sets pid and port, and returns once the broker takes connections.
start() {
	local broker=$1 command
	shift
	for _ in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 10000))
		{
			# mosquitto 2.0.11 does not start if WebSocket is all that it has
			printf '%s\n' "allow_anonymous true" "user $(id -un)" "log_type error" "listener 0 $work/sock" "listener $port 127.0.0.1" "$@"
		} >"$work/conf"
		command=$work/unio
		if [ "$broker" = mosquitto ]; then
			command=$mosquitto
		fi
		"$command" -c "$work/conf" >"$work/log" 2>&1 &
		pid=$!
		for _ in $(seq 200); do
			if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
				return
			fi
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.05
		done
		stop
	done
	cat "$work/log" >&2
	exit 1
}

# measure SCHEME OPTION...
measure() {
	local scheme=$1 broker each
	shift
	for broker in mosquitto unio; do
		start "$broker" "$@"
		each=$("$work/unio" bench idle --broker "$scheme://127.0.0.1:$port" --pid "$pid" --connections "$connections" --for "${seconds}s" \
			--cafile "$work/crt" --insecure --json --quiet | sed -n 's/^ *"memory_each": \([-0-9]*\).*/\1/p' | tail -n 1)
		echo "| $broker | $scheme | $connections | $each |"
		stop
	done
}

echo "| broker | | connections | bytes of memory per connection |"
echo "|---|---|---|---|"
tls=("certfile $work/crt" "keyfile $work/key")
measure mqtt
measure mqtts "${tls[@]}"
measure ws "protocol websockets"
measure wss "protocol websockets" "${tls[@]}"
