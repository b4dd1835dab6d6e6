#!/usr/bin/env bash
# Which lines of the project's crates the corpora of TARGET... (default: all) reach: target/long/TARGET.coverage.json each and all.coverage.json together,
# as llvm-cov exports them. Needs llvm-profdata and llvm-cov that read the compiler's format; without them it says so and leaves nothing.
set -euo pipefail
cd "$(dirname "$0")"
. ./common.sh
[ $# -gt 0 ] || set -- $(cargo fuzz list --fuzz-dir .)

state=target/long
mkdir -p "$state"
rm -f "$state"/*.coverage.json

# A profile of a later LLVM than llvm-profdata's cannot be read, one of an earlier can.
wanted=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
tools=
for place in "${LLVM:-}" "$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin" /usr/lib/llvm-{29..14}/bin /usr/bin; do
    [ -x "$place/llvm-profdata" ] && [ -x "$place/llvm-cov" ] || continue
    version=$("$place/llvm-cov" --version | grep -oE 'LLVM version [0-9]+' | grep -oE '[0-9]+$') || continue
    [ "$version" -ge "$wanted" ] && { tools=$place; break; }
done
if [ -z "$tools" ]; then
    echo "no coverage of lines: there is no llvm-cov of LLVM $wanted or later (rustup component add llvm-tools; Debian: apt install llvm-$wanted; LLVM=DIRECTORY)" >&2
    exit 0
fi

RUSTFLAGS="-C instrument-coverage --cfg fuzzing" cargo build --quiet --locked --release --bins \
    --target x86_64-unknown-linux-gnu --target-dir target/coverage

# Prints what llvm-cov knows of our crates, from a profile and the programs it is of.
export_of() {
    local profile=$1 first=$2 objects=()
    shift 2
    for object; do objects+=(-object "$object"); done
    "$tools/llvm-cov" export -summary-only -instr-profile "$profile" -ignore-filename-regex "/\\.cargo/|/rustc/|/rustlib/|^$PWD/(fuzz_targets/[a-z_]*\\.rs|src/)|/testkit/" \
        "$first" "${objects[@]}"
}

built=target/coverage/x86_64-unknown-linux-gnu/release
profiles=() programs=()
for target; do
    LLVM_PROFILE_FILE=$PWD/$state/$target.profraw fuzz "$target" 0 -runs=0 >"$state/$target.coverage.log" 2>&1
    "$tools/llvm-profdata" merge -sparse "$state/$target.profraw" -o "$state/$target.profdata"
    export_of "$state/$target.profdata" "$built/$target" >"$state/$target.coverage.json"
    profiles+=("$state/$target.profdata")
    programs+=("$built/$target")
done
"$tools/llvm-profdata" merge -sparse "${profiles[@]}" -o "$state/all.profdata"
export_of "$state/all.profdata" "${programs[@]}" >"$state/all.coverage.json"
rm -f "$state"/*.profraw "$state"/*.profdata
