# Sourced by module-*.sh, run-module.sh and load.sh: Netatalk's afpd with our uams_srp.so, or with its own, in a copy of the peer that is
# thrown away.
#
# The peer's chroot (setup.sh) is the lower layer of an overlay, so a run begins with what the packages install, changes nothing
# of it, and does not meet the other interop scripts. Everything lives in namespaces that end with the script.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
UAMDIR=/usr/lib/$(uname -m)-linux-gnu/netatalk
TARGET=${CARGO_TARGET_DIR:-$PROJECT/target}
MODULE=$TARGET/release/libuams_srp.so
CLIENT=$TARGET/release/examples/afp_login
LOG=${AFP_INTEROP_LOG:-$PROJECT/target/interop}
ADDRESS=127.0.0.1:$PEER_PORT

# What has to be there before the script goes inside; load.sh has its own.
build_all() {
  make --no-print-directory module
  cargo build --quiet --release --locked -p uams-srp --example afp_login
  if declare -F build_more >/dev/null; then build_more; fi
}

# Outside: makes the peer if there is none, builds what is needed, and goes inside. Inside: makes the copy.
enter_module_peer() {
  if [ -z "${AFP_INTEROP_INSIDE:-}" ]; then
    require_environment
    mkdir -p "$LOG"
    [ -e "$PEER_ROOT/.packages-ready" ] || bash "$INTEROP/setup.sh"
    [ -e "$PEER_ROOT/.packages-ready" ] || exit 0 # setup.sh has said why
    cd "$PROJECT"
    build_all
    AFP_INTEROP_INSIDE=1 exec unshare --mount --net --pid --fork --kill-child --mount-proc bash "$0" "$@"
  fi
  # On the peer's own disk, so that our module's file is one like all others; in memory where the disk cannot carry an overlay.
  SCRATCH=$(mktemp -d "$PEER_ROOT.module.XXXXXX")
  if ! mount_copy; then
    mount -t tmpfs interop "$SCRATCH"
    mount_copy || { echo "no overlay here: copying the peer"; cp -a "$PEER_ROOT/." "$SCRATCH/peer/"; }
  fi
  PEER_ROOT=$SCRATCH/peer
  export AFP_PEER_ROOT=$PEER_ROOT
  ip link set lo up 2>/dev/null || chroot "$PEER_ROOT" ip link set lo up
  mount_peer
  bash "$INTEROP/setup.sh" >"$LOG/module-accounts.log" 2>&1 || die "accounts: see $LOG/module-accounts.log"
  mkdir -p "$PEER_ROOT/srv/share" "$PEER_ROOT/run/lock" "$PEER_ROOT/var/log"
  chmod 777 "$PEER_ROOT/srv/share"
  trap leave_module_peer EXIT
}

mount_copy() {
  mkdir "$SCRATCH/upper" "$SCRATCH/work" "$SCRATCH/peer"
  mount -t overlay overlay -o "lowerdir=$PEER_ROOT,upperdir=$SCRATCH/upper,workdir=$SCRATCH/work" "$SCRATCH/peer" 2>/dev/null
}

leave_module_peer() {
  stop_afpd || true
  cp "$PEER_ROOT/var/log/afpd.log" "$LOG/module-afpd.log" 2>/dev/null || true
  cd /
  umount -R "$SCRATCH/peer" 2>/dev/null || true
  umount "$SCRATCH" 2>/dev/null || true
  rm -rf --one-file-system "$SCRATCH"
}

in_peer() { chroot "$PEER_ROOT" "$@"; }

start_afpd() { # start_afpd [VOLUME]
  cat >"$PEER_ROOT/etc/netatalk/module.conf" <<CONF
[Global]
uam list = uams_srp.so uams_dhx2.so uams_clrtxt.so uams_guest.so
afp listen = 127.0.0.1 ${MORE_ADDRESSES:-}
afp port = $PEER_PORT
zeroconf = no
hostname = peer451
max connections = ${MAX_CONNECTIONS:-1000}
login message = Welcome to the peer
log file = /var/log/afpd.log
log level = default:info
CONF
  [ -z "${1:-}" ] || printf '[%s]\npath = /srv/share\ncnid scheme = sqlite\n' "$1" >>"$PEER_ROOT/etc/netatalk/module.conf"
  setsid chroot "$PEER_ROOT" /usr/sbin/afpd -d -F /etc/netatalk/module.conf >"$SCRATCH/afpd.out" 2>&1 </dev/null &
  AFPD=$!
  wait_for_port "$PEER_PORT" || die "afpd does not listen: $(tail -3 "$SCRATCH/afpd.out")"
  kill -0 "$AFPD" || die "afpd ended at once: $(tail -3 "$SCRATCH/afpd.out")"
}

stop_afpd() {
  [ -n "${AFPD:-}" ] || return 0
  kill -TERM "$AFPD" 2>/dev/null || true
  for _ in $(seq 100); do kill -0 "$AFPD" 2>/dev/null || break; sleep 0.1; done
  ! kill -0 "$AFPD" 2>/dev/null || die "afpd, process $AFPD, does not stop"
  AFPD=
}

# `-o module`: what was built outside, whatever has changed since.
use_ours() { make --no-print-directory -o module -C "$PROJECT" install-module DESTDIR="$PEER_ROOT" UAMDIR="$UAMDIR" >/dev/null; }
use_theirs() { make --no-print-directory -C "$PROJECT" uninstall-module DESTDIR="$PEER_ROOT" UAMDIR="$UAMDIR" >/dev/null; }
