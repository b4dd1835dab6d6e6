#!/bin/bash
# The real peers: what `make interop` runs (Debian, root; elsewhere it says why not and ends well).
#
#   1. the black-box suite against Netatalk, then against ours
#   2. our client commands, `login` and `status`, against Netatalk
#   3. our server on a verifier file that Netatalk's afppasswd wrote, and Netatalk on one that ours wrote
#   4. Netatalk's own afp_logintest, nmap's afp-serverinfo and tshark's DSI and AFP dissectors against ours
#
# Each step's output is in $AFP_INTEROP_LOG (default target/interop/); a table at the end says what passed. Everything runs in
# namespaces of its own: ports are free, and every daemon ends with the script, however that ends.
. "$(dirname "$0")/common.sh"
LOG=${AFP_INTEROP_LOG:-$PROJECT/target/interop}
TARGET=${CARGO_TARGET_DIR:-$PROJECT/target}
export AFPD_RS=$TARGET/debug/afpd-rs
OURS=127.0.0.1:548 # where the dissectors and nmap look for AFP
export AFP_PEER_PORT=5480 PEER_PORT=5480
THEIRS=127.0.0.1:5480

if [ -z "${AFP_INTEROP_INSIDE:-}" ]; then
  require_environment
  mkdir -p "$LOG"
  rm -f "$PEER_ROOT/.ready"
  bash "$INTEROP/setup.sh"
  [ -e "$PEER_ROOT/.ready" ] || exit 0 # it has said why
  cd "$PROJECT"
  cargo build --quiet --locked -p afpd-rs
  cargo test --quiet --locked -p conformance --no-run
fi
enter_namespaces "$@"

SCRATCH=$(mktemp -d)
export AFP_PEER_STATE=$SCRATCH/peer

cleanup() {
  stop_ours || true
  "$INTEROP/stop.sh" || true
  rm -rf "$SCRATCH"
}
trap cleanup EXIT

start_ours() { # start_ours STATE [option ...]: our daemon on $OURS
  local state=$1
  shift
  "$AFPD_RS" serve --listen "$OURS" --state "$state" "$@" >"$SCRATCH/ours.out" 2>>"$LOG/afpd-rs.log" &
  echo $! >"$SCRATCH/ours.pid"
  wait_for_port "${OURS##*:}" || die "afpd-rs does not listen after 10 s; see $LOG/afpd-rs.log"
}

stop_ours() {
  [ -s "$SCRATCH/ours.pid" ] || return 0
  local pid
  pid=$(cat "$SCRATCH/ours.pid")
  rm "$SCRATCH/ours.pid"
  kill -TERM "$pid" 2>/dev/null || return 0
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  echo "afpd-rs, process $pid, does not stop on SIGTERM" >&2
  kill -KILL "$pid"
  return 1
}

add_accounts() { # add_accounts STATE: those the suite knows
  local user
  for user in atalk1 atalk2 nover noshell; do
    printf %s "$PEER_PASSWORD" | "$AFPD_RS" user add "$user" --state "$1" --password-stdin
  done
  printf %s "$PEER_PASSWORD" | "$AFPD_RS" user add carol --full-name "Carol Danvers" --state "$1" --password-stdin
  for user in nover noshell; do "$AFPD_RS" user disable "$user" --state "$1"; done
}

suite() { cargo test --locked --offline --no-fail-fast -p conformance; }
suite_against_netatalk() { AFP_SUBJECT=$THEIRS AFP_SUBJECT_KIND=netatalk suite; }

login() { printf %s "${3:-$PEER_PASSWORD}" | "$AFPD_RS" login "$1" "$2" --password-stdin; }
refused() { ! "$@"; }

client_against_netatalk() {
  login "$THEIRS" atalk1
  login "$THEIRS" carol
  for attempt in "atalk1 not-the-password" "nobody $PEER_PASSWORD" "nover $PEER_PASSWORD"; do
    refused login "$THEIRS" $attempt || { echo "let in: $attempt"; return 1; }
  done
  "$AFPD_RS" status "$THEIRS"
  "$AFPD_RS" status "$THEIRS" --json >"$SCRATCH/status.json"
  cat "$SCRATCH/status.json"
  grep -q '"SRP"' "$SCRATCH/status.json"
  grep -q 'peer451' "$SCRATCH/status.json"
}

netatalk_config() { # where the accounts are, for ours
  printf '[store]\nformat = "netatalk-file"\npath = "%s"\n' "$1" >"$SCRATCH/netatalk-file.toml"
}

ours_on_a_file_of_netatalk() {
  cp -p "$PEER_ROOT/etc/netatalk/afppasswd.srp" "$SCRATCH/theirs.srp"
  netatalk_config "$SCRATCH/theirs.srp"
  start_ours "$SCRATCH/no-state" --config "$SCRATCH/netatalk-file.toml"
  login "$OURS" atalk1
  login "$OURS" carol
  refused login "$OURS" nover
  stop_ours
  cmp "$SCRATCH/theirs.srp" "$PEER_ROOT/etc/netatalk/afppasswd.srp"
}

netatalk_on_a_file_of_ours() {
  local file=$PEER_ROOT/etc/netatalk/afppasswd.srp
  cp -p "$file" "$SCRATCH/kept.srp"
  netatalk_config "$file"
  printf %s another-password | "$AFPD_RS" user passwd atalk2 --config "$SCRATCH/netatalk-file.toml" --password-stdin
  login "$THEIRS" atalk2 another-password
  login "$THEIRS" atalk1
  refused login "$THEIRS" atalk2 "$PEER_PASSWORD"
  cp -p "$SCRATCH/kept.srp" "$file"
}

# Netatalk's afp_logintest knows guests, plain passwords and DHX alone. Its cases about DSI need no login: 1 GetStatus, 2 a session
# (-m: and GetStatus in it, as with a Mac), 6 an offset field in OpenSession, 7 a round trip. One at a time, because in one run a case
# that is refused a login leaves the next one a used-up connection.
logintest() {
  local test
  for test in test1 test2 test6 test7; do
    chroot "$PEER_ROOT" afp_logintest -7 -C -v -m -h 127.0.0.1 -p "${OURS##*:}" -u atalk1 -w "$PEER_PASSWORD" -f "$test" | tee "$SCRATCH/logintest"
    grep -q '^ *Passed: *1$' "$SCRATCH/logintest"
  done
  # What they would log in with is not offered, and that is what they are told.
  for test in test3 test5 test8 test10; do
    refused chroot "$PEER_ROOT" afp_logintest -7 -C -v -m -h 127.0.0.1 -p "${OURS##*:}" -u atalk1 -w "$PEER_PASSWORD" -f "$test"
  done
}

nmap_serverinfo() {
  chroot "$PEER_ROOT" nmap -n -Pn -p "${OURS##*:}" --script afp-serverinfo 127.0.0.1 | tee "$SCRATCH/nmap"
  grep -q 'UAMs: SRP$' "$SCRATCH/nmap"
  grep -q 'AFP Versions: AFP3.4, AFP3.3, AFP3.2, AFP3.1' "$SCRATCH/nmap"
  grep -q 'Server Signature: [0-9a-f]\{32\}' "$SCRATCH/nmap"
  grep -q '127\.0\.0\.1' "$SCRATCH/nmap"
}

scenes() { # everything a client can meet at the door
  login "$OURS" atalk1
  login "$OURS" carol
  refused login "$OURS" atalk1 not-the-password
  refused login "$OURS" nobody
  refused login "$OURS" nover
  "$AFPD_RS" status "$OURS"
}

dissectors() {
  "$INTEROP/record.sh" "$SCRATCH/ours.pcap" "${OURS##*:}" scenes
  local frames malformed
  frames=$(tshark_on "$SCRATCH/ours.pcap" -Y 'afp.command == 63 || afp.command == 19' -T fields -e frame.number | wc -l)
  [ "$frames" -ge 7 ] || { echo "tshark sees only $frames login calls"; return 1; }
  malformed=$(tshark_on "$SCRATCH/ours.pcap" -Y '_ws.malformed || _ws.expert.severity == "Error"')
  [ -z "$malformed" ] || { echo "tshark marks frames:"; echo "$malformed"; return 1; }
  tshark_on "$SCRATCH/ours.pcap" -Y 'dsi'
}

tshark_on() {
  local file=$1
  shift
  chroot "$PEER_ROOT" tshark -r - "$@" <"$file" 2>/dev/null
}

cd "$PROJECT"
export -f scenes login refused
export OURS PEER_PASSWORD PEER_ROOT
"$INTEROP/start.sh"
step "suite against Netatalk" suite_against_netatalk
step "our login and status against Netatalk" client_against_netatalk
step "ours on a verifier file of Netatalk's" ours_on_a_file_of_netatalk
step "Netatalk on a verifier file of ours" netatalk_on_a_file_of_ours
"$INTEROP/stop.sh"

add_accounts "$SCRATCH/state" >"$LOG/accounts.log"
start_ours "$SCRATCH/state"
step "Netatalk's afp_logintest against ours" logintest
step "nmap's afp-serverinfo against ours" nmap_serverinfo
step "tshark's DSI and AFP dissectors on ours" dissectors
stop_ours
step "suite against ours" suite

printf '\n%s' "$SUMMARY"
[ "$FAILED" = 0 ] || die "failed; logs in $LOG"
