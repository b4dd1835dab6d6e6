#!/bin/bash
# Unmodified afpd with our uams_srp.so in the place of its own: what `make interop-module` runs (Debian, root; elsewhere it says why not and
# ends well). module-memory.sh comes first. The steps are the functions below, in the order of the last lines; each one's output is in $AFP_INTEROP_LOG (default
# target/interop), and so is afpd's log.
. "$(dirname "$0")/module-common.sh"
build_more() {
  cargo test --quiet --locked -p conformance --no-run
  cargo build --quiet --locked -p afpd-rs
  "$INTEROP/module-memory.sh" 2>&1 | tee "$LOG/module-memory.log"
}
enter_module_peer "$@"
STEP=module-

gives() { # gives ANSWER NAME PASSWORD [ADDRESS]: what a login must come to
  local got
  got=$("$CLIENT" "${4:-$ADDRESS}" login "$2" "$3")
  echo "$2${4:+ at $4}: $got"
  [ "$got" = "$1" ] || { echo "expected: $1"; return 1; }
}
UNKNOWN='-5023 [00, 01]'
WRONG='-6754 []'

in_the_log() { grep -q -- "$1" "$PEER_ROOT/var/log/afpd.log" || { echo "not in afpd's log: $1"; tail -20 "$PEER_ROOT/var/log/afpd.log"; return 1; }; }

which_module() {
  in_the_log 'afpd-rs uams_srp [0-9.]* loaded: Netatalk file "/etc/netatalk/afppasswd.srp"; unknown users: reveal; settings: defaults; failed logins: "/var/lib/afpd-rs/tally"'
  grep -o 'afpd-rs uams_srp.*' "$PEER_ROOT/var/log/afpd.log"
  [ "$(stat -c '%a %U' "$PEER_ROOT$TALLY")" = '700 root' ]
}

settings() { printf '%s\n' "$@" >"$PEER_ROOT/etc/netatalk/afpd-rs.toml"; }
# Most steps are not about attempts, and all clients of theirs are one address.
EXEMPT='exempt = ["127.0.0.1"]'

one_login_of_each_kind() {
  gives signed-in atalk1 "$PEER_PASSWORD"
  gives signed-in carol "$PEER_PASSWORD"
  gives "$WRONG" atalk1 not-the-password
  gives "$UNKNOWN" nobody-of-this-name "$PEER_PASSWORD"
  gives "$UNKNOWN" nover "$PEER_PASSWORD" # a placeholder: disabled, or never had a password
  gives "$UNKNOWN" bin "$PEER_PASSWORD"   # a system user without a line
  gives "$UNKNOWN" noshell "$PEER_PASSWORD"
  in_peer afppasswd -n -a root -w "$PEER_PASSWORD"
  gives "$UNKNOWN" root "$PEER_PASSWORD"
  gives "$WRONG" ATALK1 "$PEER_PASSWORD"
  in_the_log 'a client that hashes the name as typed fails with every password; log in as'
  in_the_log 'login name="atalk1" uam="SRP" outcome="signed-in"'
}

many() {
  "$CLIENT" "$ADDRESS" load 1 500 atalk1 "$PEER_PASSWORD"
  "$CLIENT" "$ADDRESS" load 8 400 carol "$PEER_PASSWORD"
}

suite() {
  AFP_SUBJECT=$ADDRESS AFP_SUBJECT_KIND=netatalk AFP_SUBJECT_SRP_MODULE=afpd-rs cargo test --locked --offline --no-fail-fast -p conformance
}

a_file() {
  restart share
  "$CLIENT" "$ADDRESS" file atalk1 "$PEER_PASSWORD" share
  "$CLIENT" "$ADDRESS" file carol "$PEER_PASSWORD" share
}

afppasswd_while_it_runs() {
  in_peer useradd -m -s /bin/bash late
  gives "$UNKNOWN" late first-password
  in_peer afppasswd -n -a late -w first-password
  gives signed-in late first-password
  in_peer afppasswd -n -a late -w second-password
  gives "$WRONG" late first-password
  gives signed-in late second-password
  gives signed-in atalk1 "$PEER_PASSWORD"
}

# The directory of 4.6 in 4.5's afpd, which knows nothing of it: the module is handed the path, whatever it leads to.
a_directory_of_records() {
  local file=$PEER_ROOT/etc/netatalk/afppasswd.srp user
  mv "$file" "$file.kept"
  mkdir -m 755 "$file"
  for user in atalk1 carol; do
    (umask 077; grep "^$user:" "$file.kept" >"$file/$(in_peer id -u $user)")
    in_peer chown "$user" "/etc/netatalk/afppasswd.srp/$(in_peer id -u $user)"
  done
  restart
  in_the_log 'loaded: Netatalk directory "/etc/netatalk/afppasswd.srp"'
  gives signed-in atalk1 "$PEER_PASSWORD"
  gives "$UNKNOWN" atalk2 "$PEER_PASSWORD"
  rm -r "$file"
  mv "$file.kept" "$file"
  restart
  gives signed-in atalk2 "$PEER_PASSWORD"
}

restart() {
  stop_afpd
  start_afpd "$@"
  echo "$AFPD" >"$SCRATCH/afpd.pid" # a step is a process of its own
}

# afpd acts on SIGHUP at the next connection, and resets that one: unloads the module and loads it again.
sighup() {
  local before now
  before=$(grep -c 'afpd-rs uams_srp .* loaded' "$PEER_ROOT/var/log/afpd.log")
  for _ in 1 2 3; do
    kill -HUP "$AFPD"
    for _ in $(seq 50); do
      "$CLIENT" "$ADDRESS" login atalk1 "$PEER_PASSWORD" 2>/dev/null || true
      now=$(grep -c 'afpd-rs uams_srp .* loaded' "$PEER_ROOT/var/log/afpd.log")
      [ "$now" = "$before" ] || break
    done
    [ "$now" -gt "$before" ] || { echo "not loaded again after SIGHUP"; return 1; }
    before=$now
    wait_for_port "$PEER_PORT"
    for user in atalk1 carol; do gives signed-in $user "$PEER_PASSWORD"; done
  done
  # What is mapped now is one copy of the module, not what earlier ones have left.
  [ "$(grep -c 'r-xp.*uams_srp.so' "/proc/$AFPD/maps")" = 1 ] || { grep uams_srp "/proc/$AFPD/maps"; return 1; }
  "$CLIENT" "$ADDRESS" load 1 20 atalk1 "$PEER_PASSWORD"
}

decoys() {
  settings '[login]' 'unknown_users = "decoy"' '[attempts]' "$EXEMPT"
  restart
  in_the_log 'unknown users: decoy; settings: "/etc/netatalk/afpd-rs.toml"'
  local user
  for user in nobody-of-this-name nover bin noshell root; do gives "$WRONG" $user "$PEER_PASSWORD"; done
  gives "$WRONG" atalk1 not-the-password
  gives signed-in atalk1 "$PEER_PASSWORD"
  settings '[login]' 'unknown_user = "decoy"'
  restart
  in_the_log 'afpd-rs uams_srp is not loaded: .*line 2'
  gives '-5002 []' atalk1 "$PEER_PASSWORD"
  settings '[attempts]' "$EXEMPT"
  restart
  gives "$UNKNOWN" nobody-of-this-name "$PEER_PASSWORD"
}

# A client that connects to one of these is at the same address itself.
MORE_ADDRESSES="10.9.0.1 10.9.0.2 10.9.0.3 10.9.0.4 10.9.0.5 fd00:9::1 fd00:9::2"
TALLY=/var/lib/afpd-rs/tally
TOO_MANY='too many failures: refused for'
afpd_rs() { in_peer /usr/local/sbin/afpd-rs --config /etc/netatalk/afpd-rs.toml "$@"; }
wrong() { # wrong TIMES ADDRESS [NAME]
  local i
  for i in $(seq "$1"); do gives "$WRONG" "${3:-atalk1}" "wrong $i" "$2"; done
}
lets_in() { gives signed-in "${2:-atalk1}" "$PEER_PASSWORD" "$1"; }
keeps_out() { gives "$WRONG" "${2:-atalk1}" "$PEER_PASSWORD" "$1"; } # with the right password
log_from() { tail -n "+$1" "$PEER_ROOT/var/log/afpd.log"; }
log_end() { echo $(($(wc -l <"$PEER_ROOT/var/log/afpd.log") + 1)); }
count() { grep -c -- "$1" || true; }

# One connection is one process. Then the daemon's commands, for a store and a tally that the module is using.
five_failures() {
  install -m 755 "$TARGET/debug/afpd-rs" "$PEER_ROOT/usr/local/sbin/afpd-rs"
  settings '[store]' 'format = "netatalk-file"' '[attempts]' "$EXEMPT"
  restart
  local from log
  from=$(log_end)
  wrong 5 10.9.0.1:548
  keeps_out 10.9.0.1:548
  log=$(log_from "$from" | grep 'login name="atalk1"')
  echo "$log"
  [ "$(count 'reason="wrong password" result=-6754' <<<"$log")" = 5 ]
  [ "$(grep -o 'afpd\[[0-9]*\]' <<<"$log" | sort -u | wc -l)" = 6 ]
  grep -q "reason=\"$TOO_MANY [0-9]* s\" result=-6754" <<<"$log"
  lets_in 10.9.0.2:548
  lets_in 10.9.0.1:548 carol
  afpd_rs user list | grep '5 failures from 10.9.0.1: refused for [0-9]* s more, 1 attempts turned away'
  afpd_rs user unlock atalk1
  lets_in 10.9.0.1:548
  # An IPv6 client counts by its /64.
  wrong 3 '[fd00:9::1]:548'
  wrong 2 '[fd00:9::2]:548'
  keeps_out '[fd00:9::1]:548'
  afpd_rs user list | grep '5 failures from fd00:9::/64'
  # Only what begins with an address is one: a name in the DNS that reads like another address is not looked at.
  grep -q 10.9.0.3 "$PEER_ROOT/etc/hosts" || echo '10.9.0.3 10.9.0.4 elsewhere' >>"$PEER_ROOT/etc/hosts"
  wrong 1 10.9.0.3:548
  afpd_rs user list | grep '1 failures from 10.9.0.3$'
  afpd_rs user unlock atalk1
}

# What a process that acts for a user has open: nothing of the tally.
nothing_stays_open() {
  local child open
  coproc HOLD { "$CLIENT" 10.9.0.1:548 hold 1 carol "$PEER_PASSWORD"; }
  read -r _ <&"${HOLD[0]}"
  for child in $(pgrep -P "$AFPD"); do
    open=$(ls -l "/proc/$child/fd")
    printf '%s\n' "$(grep Uid "/proc/$child/status")" "$open"
    ! grep -i tally <<<"$open" || return 1
  done
  [ -n "${child:-}" ]
  ls -l "/proc/$AFPD/fd" | grep 'memfd:afpd-rs tally' # which shows that it would be seen
  eval "exec ${HOLD[1]}>&-"
  wait "$HOLD_PID"
}

# A daemon with a user of its own, and the module, which is root's, on one directory.
with_the_daemon() {
  in_peer useradd -r -d /var/lib/afpd-rs -s /usr/sbin/nologin afpd-rs
  in_peer chown -R afpd-rs: /var/lib/afpd-rs
  local daemon as_user=(setpriv --reuid afpd-rs --regid afpd-rs --clear-groups /usr/local/sbin/afpd-rs --config /etc/afpd-rs.toml)
  printf '[server]\nlisten = ["10.9.0.3:5548", "10.9.0.4:5548"]\n' >"$PEER_ROOT/etc/afpd-rs.toml"
  in_peer "${as_user[@]}" user add atalk1 --password-stdin <<<"$PEER_PASSWORD"
  chroot "$PEER_ROOT" "${as_user[@]}" serve &
  daemon=$!
  for _ in $(seq 100); do (exec 3<>/dev/tcp/10.9.0.3/5548) 2>/dev/null && break; sleep 0.1; done
  wrong 2 10.9.0.3:548
  wrong 3 10.9.0.3:5548
  keeps_out 10.9.0.3:548
  keeps_out 10.9.0.3:5548
  lets_in 10.9.0.4:5548
  lets_in 10.9.0.4:548
  # Each is known to the other, and each finds what the other has made, from the beginning too.
  in_peer rm -r "$TALLY"
  wrong 3 10.9.0.3:548
  wrong 2 10.9.0.3:5548
  keeps_out 10.9.0.3:548
  keeps_out 10.9.0.3:5548
  afpd_rs user unlock atalk1
  lets_in 10.9.0.3:5548
  lets_in 10.9.0.3:548
  in_peer ls -la "$TALLY"
  [ -z "$(in_peer find "$TALLY" ! -user afpd-rs)" ]
  kill "$daemon"
  wait "$daemon"
  in_peer chown -R root: /var/lib/afpd-rs
}

# Eight clients at once, five wrong logins each: five are compared.
a_crowd() { # a_crowd ADDRESS
  local from client clients=()
  from=$(log_end)
  for client in 1 2 3 4 5 6 7 8; do
    wrong 5 "$1:548" & clients+=($!)
  done
  for client in "${clients[@]}"; do wait "$client"; done
  [ "$(log_from "$from" | count 'login name="atalk1" .*reason="wrong password" result=-6754')" = 5 ]
  [ "$(log_from "$from" | count "login name=\"atalk1\" .*reason=\"$TOO_MANY")" = 35 ]
  keeps_out "$1:548"
}
crowds() {
  a_crowd 10.9.0.5
  afpd_rs user unlock atalk1
  lets_in 10.9.0.5:548
}

tally_removed() {
  wrong 5 10.9.0.1:548
  keeps_out 10.9.0.1:548
  in_peer rm -r "$TALLY"
  lets_in 10.9.0.1:548 # a new beginning
  wrong 5 10.9.0.1:548
  keeps_out 10.9.0.1:548
  afpd_rs user unlock atalk1
}

# Known networks go on, within their limit, though each connection is another process; others are refused; the log says so once for all of them.
tally_read_only() {
  local from uncounted='failed logins cannot be counted: .*Read-only file system'
  lets_in 10.9.0.1:548
  lets_in 10.9.0.5:548
  mount --bind "$PEER_ROOT$TALLY" "$PEER_ROOT$TALLY"
  mount -o remount,bind,ro "$PEER_ROOT$TALLY"
  from=$(log_end)
  lets_in 10.9.0.1:548
  lets_in 10.9.0.1:548
  keeps_out 10.9.0.3:548 atalk2
  log_from "$from" | grep 'reason="failures cannot be counted: refused"'
  wrong 5 10.9.0.1:548
  keeps_out 10.9.0.1:548
  log_from "$from" | grep "$TOO_MANY"
  a_crowd 10.9.0.5
  log_from "$from" | grep "$uncounted"
  [ "$(log_from "$from" | count "$uncounted")" = 1 ]
  umount "$PEER_ROOT$TALLY"
  # What was counted meanwhile comes to disk with the next attempt.
  keeps_out 10.9.0.1:548
  afpd_rs user list | grep '5 failures from 10.9.0.1: refused'
  afpd_rs user unlock atalk1
  lets_in 10.9.0.1:548
}

# Accounts that have a file go on as ever; who has none is not let in from where nobody knows.
tally_full() {
  mount -t tmpfs -o size=64k,mode=700 tally "$PEER_ROOT$TALLY"
  lets_in 10.9.0.1:548
  dd if=/dev/zero of="$PEER_ROOT$TALLY/filler" bs=4k 2>/dev/null || true
  local from
  from=$(log_end)
  wrong 5 10.9.0.1:548
  keeps_out 10.9.0.1:548
  keeps_out 10.9.0.1:548 atalk2
  log_from "$from" | grep 'reason="failures cannot be counted: refused"'
  rm "$PEER_ROOT$TALLY/filler"
  lets_in 10.9.0.1:548 atalk2
  umount "$PEER_ROOT$TALLY"
}

back_to_theirs() {
  use_theirs
  cmp "$SCRATCH/original.so" "$PEER_ROOT$UAMDIR/uams_srp.so"
  restart
  gives signed-in atalk1 "$PEER_PASSWORD"
  gives '-5023 []' noshell "$PEER_PASSWORD" # the original's answer
  use_ours
  use_ours # twice does no harm
  use_theirs
  cmp "$SCRATCH/original.so" "$PEER_ROOT$UAMDIR/uams_srp.so"
  [ ! -e "$PEER_ROOT$UAMDIR/uams_srp.so.netatalk" ]
}

# The commands of docs/netatalk-module.md for Debian, as they stand there. No systemd runs in the chroot: a restart is ours.
the_manual() {
  cp "$MODULE" "$PEER_ROOT/root/libuams_srp.so"
  printf '#!/bin/sh\necho "$*" >>/run/systemctl\n' >"$PEER_ROOT/usr/local/bin/systemctl"
  chmod +x "$PEER_ROOT/usr/local/bin/systemctl"
  local commands=$SCRATCH/commands part
  for part in 1 2 3; do
    awk -v want=$part '/^```sh debian$/ {part++; inside = 1; next} /^```$/ {inside = 0} inside && part == want' "$PROJECT/docs/netatalk-module.md" >"$commands.$part"
    [ -s "$commands.$part" ] || { echo "no part $part"; return 1; }
  done
  manual() { { echo set -eux; head -1 "$commands.1"; cat "$commands.$1"; } | chroot "$PEER_ROOT" env PATH=/usr/local/bin:/usr/sbin:/usr/bin bash; }
  manual 1
  restart
  in_the_log 'afpd-rs uams_srp .* loaded'
  cmp "$MODULE" "$PEER_ROOT$UAMDIR/uams_srp.so"
  cmp "$SCRATCH/original.so" "$PEER_ROOT$UAMDIR/uams_srp.so.netatalk"
  gives signed-in atalk1 "$PEER_PASSWORD"
  [ "$(manual 2)" = 1 ]
  manual 3
  restart
  cmp "$SCRATCH/original.so" "$PEER_ROOT$UAMDIR/uams_srp.so"
  gives '-5023 []' noshell "$PEER_PASSWORD"
  [ "$(grep -c 'restart netatalk' "$PEER_ROOT/run/systemctl")" = 2 ]
}

cd "$PROJECT"
cp "$PEER_ROOT$UAMDIR/uams_srp.so" "$SCRATCH/original.so"
for address in $MORE_ADDRESSES; do in_peer ip addr add "$address" dev lo; done
use_ours
restart
again() { AFPD=$(cat "$SCRATCH/afpd.pid"); }
step "which module is running" which_module
settings '[attempts]' "$EXEMPT"
restart
step "one login of each kind" one_login_of_each_kind
step "500 logins in a row, 400 by 8 clients" many
step "the black-box suite" suite
step "a file written and read through afpd" a_file; again
step "afppasswd adds and changes a user while it runs" afppasswd_while_it_runs
step "SIGHUP, three times" sighup
step "Netatalk 4.6's directory of records" a_directory_of_records; again
step "decoys, and settings that are wrong" decoys; again
step "five failures in five processes, and user unlock" five_failures; again
step "nothing of the tally stays open after a login" nothing_stays_open
step "five failures, some at the daemon" with_the_daemon
step "eight clients at once" crowds
step "the tally is removed" tally_removed
step "the tally becomes read-only" tally_read_only
step "the tally's disk is full" tally_full
step "back to Netatalk's own module" back_to_theirs; again
step "docs/netatalk-module.md, followed literally" the_manual; again

printf '\n%s' "$SUMMARY"
[ "$FAILED" = 0 ] || die "failed; logs in $LOG"
