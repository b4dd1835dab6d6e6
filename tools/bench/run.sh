#!/usr/bin/env bash
# Builds and runs the benchmark. Fails if we are slower than we want to be.
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-target}

for need in cc cargo; do
    command -v "$need" >/dev/null || { echo "bench: $need is not installed" >&2; exit 1; }
done
mkdir -p "$target"
if ! printf '#include <openssl/bn.h>\n#include <gcrypt.h>\n' | cc -E -x c - >/dev/null 2>&1; then
    echo "bench: needs the headers of OpenSSL and libgcrypt (Debian: apt-get install gcc libssl-dev libgcrypt20-dev)" >&2
    exit 1
fi
cc -O2 -Wall -Wextra -Werror -o "$target/peers" peers.c -lcrypto -lgcrypt
cargo build --release --locked --quiet
exec "$target/release/bench" "$target/peers"
