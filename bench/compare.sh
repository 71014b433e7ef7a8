#!/usr/bin/env bash
# Compares Unio with Debian's mosquitto on this machine and prints a Markdown table.
#
#   bench/compare.sh [SECONDS]
#
# A run takes at least SECONDS (3 by default). Each scenario runs against mosquitto, unio, mosquitto, unio, each
# time freshly started. Broker and load generator are pinned to one core each (BROKER_CORE, LOAD_CORE; 0 and 1).
# mosquitto runs without queue limits and with TCP_NODELAY, so that it neither drops nor waits.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-3}
broker_core=${BROKER_CORE:-0}
load_core=${LOAD_CORE:-1}
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
go build -o "$work/load" ./bench/load
ulimit -n "$(ulimit -Hn)"

# start BROKER: sets pid and port, and returns once the broker takes connections.
start() {
	local attempt
	for attempt in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 10000))
		cat >"$work/conf" <<-END
			listener $port 127.0.0.1
			allow_anonymous true
			max_queued_messages 0
			set_tcp_nodelay true
			user $(id -un)
		END
		if [ "$1" = mosquitto ]; then
			set -- mosquitto "$mosquitto" -c "$work/conf"
		else
			set -- unio "$work/unio" -c "$work/conf"
		fi
		taskset -c "$broker_core" "${@:2}" >"$work/log" 2>&1 &
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

# measure SCENARIO PAIRS MESSAGES QOS
measure() {
	local broker
	for broker in mosquitto unio mosquitto unio; do
		start "$broker"
		taskset -c "$load_core" "$work/load" -addr "127.0.0.1:$port" -pid "$pid" -row "$broker" \
			-scenario "$1" -pairs "$2" -n "$3" -qos "$4" -for "${seconds}s"
		stop
	done
}

echo "| broker | scenario | pairs | messages/s | messages per broker CPU second | CPU us per message | bytes per idle connection |"
echo "|---|---|---|---|---|---|---|"
for qos in 0 1 2; do
	measure one-to-one 100 20000 "$qos"
done
for qos in 0 1; do
	measure fan-out 1000 100 "$qos"
done
for qos in 0 1; do
	measure fan-in 1000 10000 "$qos"
done
measure idle 5000 1 0
