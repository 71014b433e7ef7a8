#!/usr/bin/env bash
# Runs the Windows build under Wine: the broker from a terminal and as a service that is installed, started, used, stopped and removed. Needs
# Debian's wine, gcc-mingw-w64-x86-64 and mosquitto-clients. Nothing of it touches a Wine prefix of the user's.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
export WINEPREFIX=$work/wine WINEDEBUG=-all
trap 'exec {open}>&-; wineserver -k || true; rm -rf "$work"' EXIT

fail() {
	echo "FAILED: $*" >&2
	cat "$folder"/*.log >&2 || true
	exit 1
}

# state STATE: the service manager says so.
state() {
	local all
	all=$(wine sc query unio)
	grep -q "STATE *: [0-9] *$1" <<<"$all" || fail "not $1: $all"
}

# use PORT: a client publishes with QoS 1 and is answered.
use() { mosquitto_pub -p "$1" -t windows -m works -q 1 || fail "no client is served on port $1"; }

wine wineboot -i >/dev/null 2>&1
wineserver -w
exec {open}> >(wine cmd >/dev/null 2>&1) # as long as some process runs, this Windows does not restart, which starts services
folder=$WINEPREFIX/drive_c/unio
mkdir -p "$folder"
GOOS=windows GOARCH=amd64 CGO_ENABLED=0 go build -trimpath -o "$folder/unio.exe" ./cmd/unio

# What Go takes random numbers from came to Windows after the release that this Wine stands for.
if [ ! -e "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" ]; then
	cat >"$work/random.c" <<-'EOF'
		#include <windows.h>
		BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
		__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE to, SIZE_T n) { return SystemFunction036(to, (ULONG)n); }
	EOF
	x86_64-w64-mingw32-gcc -shared -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" "$work/random.c" -ladvapi32
fi

cd "$folder"
port=$((20000 + RANDOM % 10000))
cat >unio.conf <<-EOF
	listener $port
	allow_anonymous true
	persistence true
	persistence_location C:\\unio\\data
	log_dest file C:\\unio\\unio.log
EOF
wine unio.exe --version
wine unio.exe --test-config -c unio.conf || fail "the configuration is refused"

wine unio.exe service install -c unio.conf || fail install
state STOPPED
wine unio.exe service install -c unio.conf 2>second.log && fail "it can be installed twice"
for _ in 1 2; do # what is stored is found again
	wine unio.exe service start || fail start
	state RUNNING
	use "$port"
	if [ ! -e retained ]; then
		mosquitto_pub -p "$port" -t kept -m "of the first" -q 1 -r
		touch retained
	fi
	[ "$(mosquitto_sub -p "$port" -t kept -C 1 -W 10)" = "of the first" ] || fail "the retained message is gone"
	wine unio.exe service stop || fail stop
	state STOPPED
done
grep -q terminating unio.log || fail "it was not ended in order"

echo nonsense >>unio.conf
wine unio.exe service start 2>broken.log && fail "it starts with a broken configuration"
grep -q "status 3" broken.log || fail "no status of the broken configuration"
wine unio.exe service uninstall || fail uninstall
wine unio.exe service start 2>gone.log && fail "it starts although it was removed"
echo "the Windows build and its service work"
