#!/bin/bash
# Unmodified afpd with our uams_srp.so in the place of its own: what `make interop-module` runs (Debian, root; elsewhere it says why not and
# ends well). module-memory.sh comes first. The steps are the functions below, in the order of the last lines; each one's output is in $AFP_INTEROP_LOG (default
# target/interop), and so is afpd's log.
. "$(dirname "$0")/module-common.sh"
build_more() {
  cargo test --quiet --locked -p conformance --no-run
  "$INTEROP/module-memory.sh" 2>&1 | tee "$LOG/module-memory.log"
}
enter_module_peer "$@"
STEP=module-

gives() { # gives ANSWER NAME PASSWORD: what a login must come to
  local got
  got=$("$CLIENT" "$ADDRESS" login "$2" "$3")
  echo "$2: $got"
  [ "$got" = "$1" ] || { echo "expected: $1"; return 1; }
}
UNKNOWN='-5023 [00, 01]'
WRONG='-6754 []'

in_the_log() { grep -q -- "$1" "$PEER_ROOT/var/log/afpd.log" || { echo "not in afpd's log: $1"; tail -20 "$PEER_ROOT/var/log/afpd.log"; return 1; }; }

which_module() {
  in_the_log 'afpd-rs uams_srp [0-9.]* loaded: Netatalk file "/etc/netatalk/afppasswd.srp"; unknown users: reveal; settings: defaults'
  grep -o 'afpd-rs uams_srp.*' "$PEER_ROOT/var/log/afpd.log"
}

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
  printf '[login]\nunknown_users = "decoy"\n' >"$PEER_ROOT/etc/netatalk/afpd-rs.toml"
  restart
  in_the_log 'unknown users: decoy; settings: "/etc/netatalk/afpd-rs.toml"'
  local user
  for user in nobody-of-this-name nover bin noshell root; do gives "$WRONG" $user "$PEER_PASSWORD"; done
  gives "$WRONG" atalk1 not-the-password
  gives signed-in atalk1 "$PEER_PASSWORD"
  printf '[login]\nunknown_user = "decoy"\n' >"$PEER_ROOT/etc/netatalk/afpd-rs.toml"
  restart
  in_the_log 'afpd-rs uams_srp is not loaded: .*line 2'
  gives '-5002 []' atalk1 "$PEER_PASSWORD"
  rm "$PEER_ROOT/etc/netatalk/afpd-rs.toml"
  restart
  gives "$UNKNOWN" nobody-of-this-name "$PEER_PASSWORD"
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
use_ours
restart
again() { AFPD=$(cat "$SCRATCH/afpd.pid"); }
step "which module is running" which_module
step "one login of each kind" one_login_of_each_kind
step "500 logins in a row, 400 by 8 clients" many
step "the black-box suite" suite
step "a file written and read through afpd" a_file; again
step "afppasswd adds and changes a user while it runs" afppasswd_while_it_runs
step "SIGHUP, three times" sighup
step "Netatalk 4.6's directory of records" a_directory_of_records; again
step "decoys, and settings that are wrong" decoys; again
step "back to Netatalk's own module" back_to_theirs; again
step "docs/netatalk-module.md, followed literally" the_manual; again

printf '\n%s' "$SUMMARY"
[ "$FAILED" = 0 ] || die "failed; logs in $LOG"
