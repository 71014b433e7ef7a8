#!/usr/bin/env bash
# Runs the .mqtt scripts over a socket against a freshly started bin/unio (see `make conformance`). Scripts that restart or
# reconfigure the broker, or wait for hours, are skipped here: they run in memory, in go test ./broker.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
pid=
trap '[ -z "$pid" ] || { kill "$pid"; wait "$pid" || true; }; rm -f "$log"' EXIT

for _ in 1 2 3 4 5; do
	port=$((20000 + RANDOM % 10000))
	bin/unio -p "$port" 2>"$log" &
	pid=$!
	until grep -q ' running$' "$log" || ! kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
	if kill -0 "$pid" 2>/dev/null; then
		bin/unio test --broker "127.0.0.1:$port" --offers default-limits,no-subscribers-code,broker-aliases testdata/v3 testdata/v5
		exit
	fi
	pid=
done
cat "$log" >&2
exit 1
