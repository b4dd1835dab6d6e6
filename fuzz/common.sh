# What smoke.sh and long.sh have in common; sourced by both from the folder fuzz/. Needs bash.

built=target/x86_64-unknown-linux-gnu/release

# The sanitizers' flags are unstable; this lets the stable compiler take them.
export RUSTC_BOOTSTRAP=1
# The targets are built and run in fuzz/target, wherever other builds go to.
others=${CARGO_TARGET_DIR:-../target}
unset CARGO_TARGET_DIR

# Some targets write a file for each run: in memory, where that can be.
scratch=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$scratch"' EXIT

needs_tools() {
    local missing=
    cargo fuzz --version >/dev/null 2>&1 || missing="$missing
  cargo-fuzz       (cargo install cargo-fuzz --locked)"
    c++ --version >/dev/null 2>&1 || missing="$missing
  a C++ compiler   (Debian: apt install g++), for libFuzzer itself"
    if [ -n "$missing" ]; then
        echo "$0 needs:$missing" >&2
        exit 2
    fi
}

# Writes seeds from captures, settings and accounts, and builds every target.
prepare() {
    mkdir -p target
    cargo run --quiet --locked --manifest-path ../Cargo.toml --target-dir "$others" -p afp-proto --example fuzz_seeds -- .. corpus
    # cargo fuzz has no --locked of its own.
    cargo metadata --locked --format-version 1 >target/metadata.json
    cargo fuzz build --fuzz-dir .
    targets=$(cargo fuzz list --fuzz-dir .)
}

# The words of a target's inputs, in one file.
dictionary() {
    local kinds
    case $1 in
    store_* | tally) kinds=store ;;
    config) kinds=config ;;
    captures) kinds="capture wire" ;;
    *) kinds=wire ;;
    esac
    mkdir -p target/dictionaries
    for kind in $kinds; do cat "dictionaries/$kind.dict"; done >"target/dictionaries/$1.$BASHPID"
    mv "target/dictionaries/$1.$BASHPID" "target/dictionaries/$1"
    echo "target/dictionaries/$1"
}

# Runs a target for some seconds on its corpus; further arguments go to libFuzzer. An input that does it harm is kept in artifacts/.
fuzz() {
    local target=$1 seconds=$2
    shift 2
    mkdir -p "corpus/$target" "artifacts/$target"
    TMPDIR=$scratch "$built/$target" "corpus/$target" -dict="$(dictionary "$target")" -artifact_prefix="artifacts/$target/" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 "$@"
}
