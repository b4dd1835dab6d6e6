# Sourced by the scripts beside it: where the peer lives, and the three ways a script may end.
#
# The peer is the real Netatalk from Debian's packages, in a chroot of its own. Nothing outside that directory is changed:
# mounts, the loopback port 548 and every daemon live in namespaces that end with the script that made them.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin # useradd, chroot and their kind, where su has left them out

INTEROP=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROJECT=$(dirname "$INTEROP")
PEER_ROOT=${AFP_PEER_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/afpd-rs/netatalk-peer}
PEER_PORT=${AFP_PEER_PORT:-548}
PEER_PASSWORD=oc34thA2 # of every throw-away account in the chroot
RELEASE=forky

# The environment cannot do this: say why, and let the rest of the build go on.
skip() { echo "skipped: $*"; exit 0; }
# Something that should have worked did not.
die() { echo "interop: $*" >&2; exit 1; }

# Ends the script politely where the peer cannot be had at all.
require_environment() {
  [ "$(uname -s)" = Linux ] && [ -r /etc/os-release ] || skip "not a Debian system"
  case " $(. /etc/os-release; echo "${ID:-} ${ID_LIKE:-}") " in *" debian "*) ;; *) skip "not a Debian system";; esac
  [ "$(id -u)" = 0 ] || skip "needs root, for chroot and namespaces"
  unshare --mount --net --pid --fork true 2>/dev/null || skip "this root may not create namespaces (CAP_SYS_ADMIN is missing)"
}

# Runs the calling script again in namespaces of its own; what it starts or mounts ends with it.
enter_namespaces() {
  [ -n "${AFP_INTEROP_INSIDE:-}" ] && { ip link set lo up 2>/dev/null || chroot "$PEER_ROOT" ip link set lo up; mount_peer; return; }
  AFP_INTEROP_INSIDE=1 exec unshare --mount --net --pid --fork --kill-child --mount-proc bash "$0" "$@"
}

mount_peer() {
  mount -t proc proc "$PEER_ROOT/proc"
  mount --rbind /dev "$PEER_ROOT/dev"
  mount --make-rslave "$PEER_ROOT/dev" # or unmounting it would take the machine's own /dev/pts along
}

# Waits until something listens: at most $2 tenths of a second.
wait_for_port() {
  local tenths=${2:-100}
  until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
    tenths=$((tenths - 1)); [ "$tenths" -gt 0 ] || return 1
    sleep 0.1
  done
}

# step NAME COMMAND...: runs it, keeps its output in $LOG, in a file named after $STEP and the name, and notes how it went in
# $SUMMARY and $FAILED.
STEP=
SUMMARY=
FAILED=0
step() {
  local name=$1 log=$LOG/$STEP$(tr -cs 'a-z0-9\n' - <<<"${1,,}").log outcome=passed began=$SECONDS
  shift
  # Not `if "$@"`: in a condition bash would go on after a command of the step that fails.
  set +e
  (set -e; "$@") >"$log" 2>&1
  local status=$?
  set -e
  if [ "$status" != 0 ]; then
    outcome=FAILED
    FAILED=1
    echo "interop: FAILED: $name; from $log:" >&2
    { grep -A 3 'panicked at' "$log" || tail -25 "$log"; } >&2
  fi
  # The suites' counts, where there are any.
  local counts
  counts=$(awk '/^test result:/ {p += $4; f += $6} END {if (p + f) printf "%d passed, %d failed", p, f}' "$log")
  SUMMARY+=$(printf '%-62s %-7s %4d s  %s' "$name" "$outcome" $((SECONDS - began)) "$counts")$'\n'
}
