#!/usr/bin/env bash
# Builds every fuzz target, gives it seeds and a dictionary and runs it for SECONDS (default 60), two at a time.
# Fails on any crash, hang or leak. Installs nothing; says what is missing.
set -euo pipefail

seconds=${1:-60}
[[ $seconds =~ ^[0-9]+$ ]] || { echo "usage: $0 SECONDS" >&2; exit 2; }
cd "$(dirname "$0")"
. ./common.sh
needs_tools
prepare

logs=target/logs
mkdir -p "$logs"
rm -f "$logs"/*

one() {
    if fuzz "$1" "$seconds" >"$logs/$1" 2>&1; then
        echo "$1: $(grep -aE '^Done [0-9]+ runs' "$logs/$1")"
    else
        echo "$1: FAILED"
        tail -n 40 "$logs/$1"
        touch "$logs/failed"
    fi
}

running=0
for target in $targets; do
    [ "$running" -lt 2 ] || { wait -n; running=$((running - 1)); }
    one "$target" &
    running=$((running + 1))
done
wait

if [ -e "$logs/failed" ]; then
    echo "at least one target failed; the input that did it is in fuzz/artifacts, and becomes a named test" >&2
    exit 1
fi
