#!/usr/bin/env bash
# Runs the benchmarks of codec, index, session, route, write path and store, and compares them with bench/baseline.txt by benchstat.
#
#   bench/check.sh            compare; status 1 if something has become worse
#   bench/check.sh -update    write the baseline anew
#
# Worse means more allocations, more bytes for each filter, or, on the kind of processor on which the baseline was written, more
# than TOLERANCE percent (30) more time. Time and bytes count where benchstat finds the difference significant. The machine should be
# doing nothing else; where it is, TOLERANCE=1000 leaves allocations and bytes. COUNT (6) is how often each benchmark runs.
set -euo pipefail
cd "$(dirname "$0")/.."

tolerance=${TOLERANCE:-30}
count=${COUNT:-6}
baseline=bench/baseline.txt
new=$(mktemp)
table=$(mktemp)
trap 'rm -f "$new" "$table"' EXIT

run() { go test -run '^$' -benchmem -benchtime 100ms -count "$count" -bench "$1" "$2" | grep -E '^(goos|goarch|pkg|cpu|Benchmark)' | tee -a "$new"; }
run 'Publish|Split|Puback' ./mqtt
run 'Match$|OneFilter|Pick|ValidName' ./topic
run 'bound$' ./broker/internal/session
run 'Message|FanOut' ./broker
run 'Commit' ./store/memory
run 'Commit' ./store/disk

if [ "${1:-}" = -update ]; then
	cp "$new" "$baseline"
	exit
fi
go tool -modfile=tools/go.mod benchstat "$baseline" "$new"
go tool -modfile=tools/go.mod benchstat -format csv "$baseline" "$new" >"$table" 2>/dev/null

same=1
if [ "$(grep -m1 '^cpu:' "$baseline")" != "$(grep -m1 '^cpu:' "$new")" ]; then
	same=0
	echo "The baseline is of another processor: only allocations are compared."
fi
# A table has a line with its unit, then lines NAME,BASE,CI,NEW,CI,DELTA,P; a delta that is not significant is "~", and one from 0 is "?".
awk -F, -v tolerance="$tolerance" -v same="$same" '
	$1 == "" && $2 ~ /\// { unit = $2; next }
	$1 == "" || $1 == "geomean" || $6 == "" { next }
	unit == "allocs/op" && $4 + 0 > $2 + 0 || unit == "B/filter" && $6 + 0 > 5 || unit == "sec/op" && same && $6 + 0 > tolerance {
		print "worse: " $1 ": " $4 " " unit " where it was " $2
		worse = 1
	}
	END { exit worse }
' "$table"
