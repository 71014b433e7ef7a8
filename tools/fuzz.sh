#!/bin/sh
# Runs every fuzz target of the module for a time: tools/fuzz.sh [20s]
#
# Go ends a target that is busy when its time is over with "context deadline exceeded" and a failure (golang/go#75804).
# That is none: a target that found something says where it wrote the input.
set -eu
time=${1:-20s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

go list -f '{{.Dir}}' ./... | while read -r dir; do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go 2>/dev/null | sed 's/func //'); do
		echo "${dir##*/} $target"
		if go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$dir" >"$log" 2>&1; then
			tail -n 3 "$log" | grep '^fuzz: elapsed' | tail -n 1
		elif grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input written' "$log"; then
			echo "ended in the middle of an input"
		else
			cat "$log"
			exit 1
		fi
	done
done
