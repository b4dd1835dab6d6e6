#!/bin/bash
# Load and abuse, ours and Netatalk on the same machine in one run: what docs/measurements.md shows under "Load". Prints the tables in
# Markdown and fails where an aim is missed.
#
#   logins     per processor second of the server, 1 and 8 clients
#   idle       10 000 connections: memory, and what a login takes then
#   slowloris  2 000 connections that do nothing, or nearly nothing
#   floods     of requests that need no account, from one address and from many
#
# interop/load.sh [PART ...]: all of them if none is named. LOAD=short measures less and holds against the same aims. All in namespaces of their
# own; nothing leaves the machine. The client runs on the same machine and takes its share of it.
. "$(dirname "$0")/module-common.sh"
AFPD_RS=$TARGET/release/afpd-rs
LOAD_PROGRAM=$TARGET/release/load
MAX_CONNECTIONS=200 # afpd's own default
OURS=127.0.0.1:5481

build_all() {
  make --no-print-directory build
  CARGO_TARGET_DIR=$TARGET cargo build --quiet --release --locked --manifest-path tools/load/Cargo.toml
}
for part in "$@"; do
  case $part in logins | idle | slowloris | floods) ;; *) die "no part of this: $part" ;; esac
done
# Root may raise the hard limit too, unless a container's rules forbid it.
files() { [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 10400 ]; }
files || ulimit -Hn 10400 2>/dev/null || skip "10 400 open files are needed, and $(ulimit -Hn) are allowed: raise the hard limit (ulimit -Hn, LimitNOFILE)"
ulimit -Sn "$(ulimit -Hn)"
enter_module_peer "$@"
PARTS=("$@")
[ ${#PARTS[@]} -gt 0 ] || PARTS=(logins idle slowloris floods)
full_or_short() { if [ "${LOAD:-full}" = short ]; then echo "$2"; else echo "$1"; fi; }

# Other work on the machine shall not decide: client and servers go before it, alike. Where that is not allowed, ranges are wider.
first() { renice -n -15 "$1" >/dev/null 2>&1 && echo -15 2>/dev/null >"/proc/$1/autogroup" || true; }
first $$

# start_ours ADDRESS < SETTINGS: our daemon with an account named as the peer's.
start_ours() {
  STATE=$SCRATCH/state
  rm -rf "$STATE" "$SCRATCH/ours.out"
  mkdir -m 700 "$STATE"
  cat >"$SCRATCH/afpd-rs.toml"
  printf %s "$PEER_PASSWORD" | "$AFPD_RS" --state "$STATE" --config "$SCRATCH/afpd-rs.toml" user add atalk1 --password-stdin >/dev/null
  setsid "$AFPD_RS" --state "$STATE" --config "$SCRATCH/afpd-rs.toml" serve --listen "$1" >"$SCRATCH/ours.out" 2>"$SCRATCH/ours.log" </dev/null &
  DAEMON=$!
  first "$DAEMON"
  for _ in $(seq 100); do grep -qs '^listening' "$SCRATCH/ours.out" && return; sleep 0.1; done
  die "afpd-rs does not listen: $(tail -3 "$SCRATCH/ours.log")"
}
stop_ours() {
  kill -TERM "$DAEMON"
  wait "$DAEMON" || die "afpd-rs ended badly: $(tail -3 "$SCRATCH/ours.log")"
  cp "$SCRATCH/ours.log" "$LOG/load-ours.log"
}

measured() { # measured PART OPTION=VALUE...: notes whether its aims were reached
  local part=$1
  ${LOAD_RUN:-} "$LOAD_PROGRAM" "$@" name=atalk1 password="$PEER_PASSWORD" || { FAILED=1; echo "load: $part: aims missed, or it could not be measured" >&2; }
}

start_theirs() { start_afpd; first "$AFPD"; }

logins() {
  start_theirs
  start_ours "$OURS" <<<'limits.challenges_per_minute = 0'
  measured logins "theirs=$ADDRESS,$AFPD" "ours=$OURS,$DAEMON" rounds="$(full_or_short 5 2)" logins="$(full_or_short 160 80)"
  stop_ours
  stop_afpd
}

idle() {
  start_theirs
  start_ours "$OURS" <<'CONF'
[timers]
first_frame = 3600
login = 3600
[limits]
max_sessions = 5100
max_strangers = 5100
exempt = ["127.0.0.1/32"]
CONF
  measured idle "theirs=$ADDRESS,$AFPD" "ours=$OURS,$DAEMON" rounds="$(full_or_short 3 1)" logins="$(full_or_short 500 300)"
  stop_ours
  stop_afpd
}

slowloris() {
  local kind
  for kind in silent dribble half-login; do
    start_theirs
    start_ours "$OURS" <<<'limits.exempt = ["127.0.0.1/32"]'
    measured slowloris kind="$kind" "theirs=$ADDRESS,$AFPD" "ours=$OURS,$DAEMON" rounds="$(full_or_short 3 2)" logins="$(full_or_short 102 34)" their_logins=10
    stop_ours
    stop_afpd
  done
}

# The clients of the floods are in a network namespace of their own, with 10.79.0.0/16 and 10.80.0.0/16 for addresses.
ip_() { if command -v ip >/dev/null; then ip "$@"; else chroot "$PEER_ROOT" ip "$@"; fi; }
in_clients() { nsenter --net=/proc/$CLIENTS/ns/net "$@"; }
make_clients() {
  unshare --net sleep infinity &
  CLIENTS=$!
  until [ "$(readlink /proc/$CLIENTS/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
  ip_ link add clients type veth peer name server netns "$CLIENTS"
  ip_ addr add 10.77.0.1/24 dev clients
  ip_ link set clients up
  export -f ip_
  export PEER_ROOT
  in_clients bash -euc '
    ip_ link set lo up
    ip_ addr add 10.77.0.2/24 dev server
    ip_ link set server up
    ip_ route add local 10.79.0.0/16 dev lo
    ip_ route add local 10.80.0.0/16 dev lo'
  ip_ route add 10.79.0.0/16 via 10.77.0.2
  ip_ route add 10.80.0.0/16 via 10.77.0.2
}

floods() {
  local flood kind from askers
  make_clients
  OURS=10.77.0.1:548
  for flood in status:one:200 status:many:200 begin:one:200 begin:many:200 wrong-proof:one:200 wrong-proof:many:200 wrong-proof:many:900; do
    IFS=: read -r kind from askers <<<"$flood"
    start_ours "$OURS" <<<'limits.exempt = ["10.79.0.1/32"]'
    LOAD_RUN=in_clients measured flood kind="$kind" from="$from" askers="$askers" "ours=$OURS,$DAEMON" "log=$SCRATCH/ours.log" \
      quiet="$(full_or_short 4 2)" seconds="$(full_or_short 20 6)"
    stop_ours
  done
  kill "$CLIENTS"
}

began=$SECONDS
for part in "${PARTS[@]}"; do
  printf '\n### %s\n' "$part"
  "$part"
  echo "load: $part: $((SECONDS - began)) s so far" >&2
done
[ "$FAILED" = 0 ] || die "aims were missed"
