#!/usr/bin/env bash
# Runs every fuzz target until it has used MINUTES (default 30) of *processor* time, so that a busy machine takes longer and does not do
# less; then makes the corpora small and writes a table with coverage to target/long/report.md.
#
# JOBS targets at a time (default: all processors), in rounds of at most ROUND seconds (default 60). It can be interrupted and goes on
# with the next round; `rm -r target/long` begins anew. TARGETS names some instead of all. A target that fails stops, the others go on.
#
# Coverage of lines needs llvm-profdata and llvm-cov of the compiler's LLVM or a later one (rustup component add llvm-tools, or Debian's
# llvm-22); LLVM=DIRECTORY names their place. Without them only libFuzzer's own count of edges is told.
set -euo pipefail

minutes=${1:-30}
[[ $minutes =~ ^[0-9]+$ ]] || { echo "usage: $0 MINUTES" >&2; exit 2; }
cd "$(dirname "$0")"
. ./common.sh
needs_tools
prepare
targets=${TARGETS:-$targets}
jobs=${JOBS:-$(nproc)}
round=${ROUND:-60}

state=target/long
mkdir -p "$state"
git rev-parse --short HEAD >>"$state/commits" 2>/dev/null || true

# Centiseconds of processor time, and runs, of the rounds so far.
spent() { awk '{ cpu += $1 } END { print cpu + 0 }' "$state/$1.rounds" 2>/dev/null || echo 0; }

one() {
    local target=$1 wanted=$((minutes * 6000)) left log=$state/$1.log used runs status
    [ ! -e "$state/$target.failed" ] || { echo "$target: failed before; mend it and remove fuzz/$state/$target.failed"; return; }
    while left=$((wanted - $(spent "$target"))) && [ "$left" -gt 0 ]; do
        left=$((left / 100 + 1))
        TIMEFORMAT='%U %S'
        status=0
        { time fuzz "$target" $((left < round ? left : round)) >"$log" 2>&1; } 2>"$state/$target.time" || status=$?
        case $status in
        0) ;;
        # Interrupted, as libFuzzer and the shell say it.
        72 | 130 | 143) return ;;
        *)
            touch "$state/$target.failed"
            echo "$target: FAILED"
            tail -n 40 "$log"
            return
            ;;
        esac
        used=$(awk '{ printf "%d", ($1 + $2) * 100 }' "$state/$target.time")
        runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
        echo "$used $runs" >>"$state/$target.rounds"
        grep -a ' cov: ' "$log" | tail -n 1 >"$state/$target.last"
        grep -aoE 'Loaded 1 modules +\([0-9]+' "$log" | grep -oE '[0-9]+$' >"$state/$target.edges"
    done
    echo "$target: $(($(spent "$target") / 100)) s of processor time"
}

offspring() {
    local child
    for child in $(pgrep -P "$1"); do
        offspring "$child"
        echo "$child"
    done
}
trap 'trap - INT TERM; kill $(offspring $$) 2>/dev/null; exit 130' INT TERM

running=0
for target in $targets; do
    [ "$running" -lt "$jobs" ] || { wait -n; running=$((running - 1)); }
    one "$target" &
    running=$((running + 1))
done
wait

for target in $targets; do
    if [ ! -e "$state/$target.failed" ] && [ ! "$state/$target.small" -nt "$state/$target.rounds" ]; then
        rm -rf "$state/smaller"
        mkdir "$state/smaller"
        "$built/$target" -merge=1 -timeout=60 -rss_limit_mb=4096 "$state/smaller" "corpus/$target" >"$state/$target.merge" 2>&1
        rm -rf "corpus/$target"
        mv "$state/smaller" "corpus/$target"
        touch "$state/$target.small"
    fi
done

./coverage.sh $targets
./report.py $targets | tee "$state/report.md"
if compgen -G "$state/*.failed" >/dev/null; then
    echo "at least one target failed; the input that did it is in fuzz/artifacts, and becomes a named test" >&2
    exit 1
fi
