#!/bin/bash
# The tests of crates/uams-srp/tests/c_host.rs again: with a panic built in, under valgrind, and with AddressSanitizer. Part of
# interop/run-module.sh; needs no Netatalk and no root. What a machine cannot do is said and left out.
. "$(dirname "$0")/common.sh"
TARGET=${CARGO_TARGET_DIR:-$PROJECT/target}
cd "$PROJECT"
c_host() { cargo test --quiet --locked -p uams-srp --test c_host "$@"; }

echo "== a panic inside is an answer to afpd"
c_host --features fault-injection a_panic

if command -v valgrind >/dev/null; then
  echo "== under valgrind: no error, and nothing left behind"
  cargo build --quiet --release --locked -p uams-srp
  UAMS_SRP_MODULE=$TARGET/release/libuams_srp.so UAMS_SRP_HOST_CHECKED=1 \
    UAMS_SRP_HOST_WRAPPER="valgrind -q --suppressions=$INTEROP/module-memory.supp --keep-debuginfo=yes --error-exitcode=9 --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all" \
    c_host
else
  echo "skipped: no valgrind"
fi

# The compiler's own runtime goes into the host, as with any program. The switch is one of nightly's; RUSTC_BOOTSTRAP lets this one compiler have it.
HOST=$(rustc -vV | sed -n 's/^host: //p')
RUNTIME=$(ls "$(rustc --print sysroot)/lib/rustlib/$HOST/lib/"librustc*rt.asan.a 2>/dev/null | head -1 || true)
if [ -n "$RUNTIME" ]; then
  echo "== with AddressSanitizer"
  RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=$TARGET/asan cargo build --quiet --locked -p uams-srp --target "$HOST"
  UAMS_SRP_MODULE=$TARGET/asan/$HOST/debug/libuams_srp.so UAMS_SRP_HOST_CHECKED=1 \
    UAMS_SRP_HOST_CFLAGS="-Wl,--whole-archive $RUNTIME -Wl,--no-whole-archive -lpthread -lm -lrt -lgcc_s" c_host
else
  echo "skipped: this compiler has no runtime of AddressSanitizer"
fi
