#!/bin/bash
# What may go wrong, and that nothing is lost by it (docs/faults.md). First all faults that need nothing but Rust, then those that need root:
# file systems that are full and read-only, a server that runs as another user, a clock that is set. Mounts are in a namespace that ends with
# this script; the clock that is set is the server's alone. Debian, root; without, the first part is all there is.
set -euo pipefail
. "$(dirname "$0")/common.sh"

CARGO=${CARGO:-cargo}
LOG=${AFP_INTEROP_LOG:-$PROJECT/target/faults}
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/afpd-rs/faketime

# libfaketime, from where it is installed or from Debian's package, which is not installed but unpacked beside our other caches.
faketime() {
  local found
  found=$(find /usr/lib "$CACHE" -name libfaketimeMT.so.1 -print -quit 2>/dev/null || true)
  if [ -z "$found" ]; then
    mkdir -p "$CACHE"
    (cd "$CACHE" && apt-get download libfaketime && dpkg -x libfaketime_*.deb .) >"$LOG/faketime.log" 2>&1 || return 1
    found=$(find "$CACHE" -name libfaketimeMT.so.1 -print -quit)
  fi
  echo "$found"
}

# The tests of one module that are ignored elsewhere, one after the other.
needs_more() { "$CARGO" test --locked -p afpd-rs --test faults "$1" -- --ignored --test-threads=1; }

if [ -z "${AFP_FAULTS_INSIDE:-}" ]; then
  mkdir -p "$LOG"
  step "kills at every step of store and tally" "$CARGO" test --locked -p verifier-store --lib
  step "faults that need nothing but Rust" "$CARGO" test --locked -p afpd-rs --test faults --test faults_panic --test door
  if reason=$(require_environment); [ -n "$reason" ]; then
    printf '%s' "$SUMMARY"
    echo "the rest is $reason"
    exit "$FAILED"
  fi
  FAULTS_SUMMARY=$SUMMARY FAULTS_FAILED=$FAILED AFP_FAULTS_INSIDE=1 exec unshare --mount --pid --fork --kill-child --mount-proc bash "$0"
fi

SUMMARY=$FAULTS_SUMMARY
FAILED=$FAULTS_FAILED
small=$(mktemp -d)
mount -t tmpfs -o size=1m,mode=755 none "$small"
trap 'umount "$small" 2>/dev/null; rmdir "$small"' EXIT
AFP_FAULTS_TMPFS=$small step "disk full, disk read-only" needs_more disk::
step "store that may not be read" needs_more store::
step "tally on a full file system" "$CARGO" test --locked -p verifier-store --lib full_file_system -- --ignored
if library=$(faketime); then
  AFP_FAULTS_FAKETIME=$library step "clock stepped" needs_more clock::
else
  SUMMARY+="clock stepped: skipped, no libfaketime here and apt-get gives none"$'\n'
fi
printf '%s' "$SUMMARY"
exit "$FAILED"
