#!/usr/bin/env bash
# What durability costs: QoS 1 from 1, 10 and 100 publishers to as many subscribers with stored sessions. Debian's mosquitto with
# persistence true (it saves at intervals and syncs nothing) beside unio with each persistence_sync. Prints a Markdown table.
#
#   bench/durable.sh [SECONDS]
#
# Data lies in TMPDIR: it should be on the disk that is of interest. Broker and load generator are pinned to one core each.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-3}
broker_core=${BROKER_CORE:-0}
load_core=${LOAD_CORE:-1}
mosquitto=$(PATH=$PATH:/usr/sbin command -v mosquitto)
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

# start BROKER [SYNC]
start() {
	port=$((20000 + RANDOM % 10000))
	rm -rf "$work/data"
	mkdir "$work/data"
	cat >"$work/conf" <<-END
		listener $port 127.0.0.1
		allow_anonymous true
		max_queued_messages 0
		set_tcp_nodelay true
		user $(id -un)
		persistence true
		persistence_location $work/data/
		log_type error
	END
	local command=$mosquitto
	if [ "$1" = unio ]; then
		echo "persistence_sync $2" >>"$work/conf"
		command=$work/unio
	fi
	taskset -c "$broker_core" "$command" -c "$work/conf" >"$work/log" 2>&1 &
	pid=$!
	for _ in $(seq 200); do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
		sleep 0.05
	done
	cat "$work/log" >&2
	exit 1
}

echo "| broker | pairs | in flight | messages/s | broker CPU us per message | p50 ms | p99 ms |"
echo "|---|---|---|---|---|---|---|"
for window in 1 20; do
	for pairs in 1 10 100; do
		for broker in mosquitto "unio always" "unio interval 100" "unio never"; do
			# shellcheck disable=SC2086
			start ${broker%% *} "${broker#* }"
			taskset -c "$load_core" "$work/load" -addr "127.0.0.1:$port" -pid "$pid" -row "$broker" \
				-scenario one-to-one -stored -qos 1 -pairs "$pairs" -window "$window" -n 1000 -for "${seconds}s"
			stop
		done
	done
done
