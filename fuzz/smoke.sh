#!/bin/sh
# Builds every fuzz target, gives it seeds from the captures and runs it for SECONDS (default 60), two at a time.
# Fails on any crash, hang or leak. Installs nothing; says what is missing.
set -eu

seconds=${1:-60}
case $seconds in
'' | *[!0-9]*)
	echo "usage: $0 SECONDS" >&2
	exit 2
	;;
esac
cd "$(dirname "$0")"

missing=
cargo fuzz --version >/dev/null 2>&1 || missing="$missing
  cargo-fuzz       (cargo install cargo-fuzz --locked)"
c++ --version >/dev/null 2>&1 || missing="$missing
  a C++ compiler   (Debian: apt install g++), for libFuzzer itself"
if [ -n "$missing" ]; then
	echo "fuzz/smoke.sh needs:$missing" >&2
	exit 2
fi

cargo run --quiet --locked --manifest-path ../Cargo.toml -p afp-proto --example fuzz_seeds -- ../captures corpus

# The sanitizers' flags are unstable; this lets the stable compiler take them.
export RUSTC_BOOTSTRAP=1
cargo fuzz build --fuzz-dir .

targets=$(cargo fuzz list --fuzz-dir .)
logs=target/logs
mkdir -p "$logs"
rm -f "$logs"/*

one() {
	mkdir -p "corpus/$1"
	if cargo fuzz run --fuzz-dir . "$1" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 >"$logs/$1" 2>&1; then
		echo "$1: $(grep -E '^Done [0-9]+ runs' "$logs/$1")"
	else
		echo "$1: FAILED"
		tail -n 40 "$logs/$1"
		touch "$logs/failed"
	fi
}

running=0
for target in $targets; do
	one "$target" &
	running=$((running + 1))
	if [ "$running" -eq 2 ]; then
		wait
		running=0
	fi
done
wait

if [ -e "$logs/failed" ]; then
	echo "at least one target failed; the input that did it is in fuzz/artifacts" >&2
	exit 1
fi
