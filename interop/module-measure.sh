#!/bin/bash
# Our uams_srp.so beside Netatalk's, in the same afpd, in turn: what docs/measurements.md shows under "The module". Prints the table in Markdown.
# The client runs on the same machine and takes its share of it, the same for both. Environment: ROUNDS (5).
. "$(dirname "$0")/module-common.sh"
enter_module_peer "$@"
ROUNDS=${ROUNDS:-5}
RESULTS=$LOG/module-measure.txt
: >"$RESULTS"
cd "$PROJECT"

# CPU that afpd and the children it has seen end have used, in clock ticks.
ticks() { sed 's/.*) //' "/proc/$AFPD/stat" | awk '{print $12 + $13 + $14 + $15}'; }
children() { pgrep -P "$AFPD" || true; }
wait_for_children() { for _ in $(seq 200); do [ -n "$(children)" ] || return 0; sleep 0.05; done; die "children of afpd do not end: $(children)"; }
# Names are asked for without an answer, which counts against them.
forgive() { rm -f "$PEER_ROOT"/var/lib/afpd-rs/tally/*.tally; }
note() { echo "$*" >>"$RESULTS"; } # WHAT MODULE VALUE
login() { "$CLIENT" "$ADDRESS" "$@"; }

memory() { # memory MODULE: of a child with a signed-in user, KiB; one alone, then the mean of 20
  local count child
  for count in 1 20; do
    coproc HOLD { login hold $count atalk1 "$PEER_PASSWORD"; }
    read -r _ <&"${HOLD[0]}"
    for child in $(children); do cat "/proc/$child/smaps_rollup"; done |
      awk -v module="$1" -v count=$count '/^(Rss|Pss|Private_Dirty):/ {sum[substr($1, 1, length($1) - 1)] += $2} END {for (what in sum) print what count, module, sum[what] / count}' >>"$RESULTS"
    eval "exec ${HOLD[1]}>&-"
    wait "$HOLD_PID"
    wait_for_children
  done
}

measure() { # measure MODULE
  local before rate
  start_afpd
  login load 1 10 atalk1 "$PEER_PASSWORD" >/dev/null # the first ones are slower
  login steps 100 atalk1 "$PEER_PASSWORD" | while read -r step median _; do note "$step $1 $median"; done
  for clients in 1 8; do
    wait_for_children
    before=$(ticks)
    rate=$(login load $clients 320 atalk1 "$PEER_PASSWORD")
    wait_for_children
    note "rate$clients $1 $rate"
    note "cpu$clients $1 $(echo "$before $(ticks) $(getconf CLK_TCK)" | awk '{printf "%.3f", ($2 - $1) * 1000 / $3 / 320}')"
  done
  login names 100 atalk1 nover nobody-of-this-name noshell | while read -r name spread; do note "names-$name $1 $spread"; done
  forgive
  memory "$1"
  stop_afpd
}

for _ in $(seq "$ROUNDS"); do
  measure theirs
  use_ours
  measure ours
  printf '[login]\nunknown_users = "decoy"\n' >"$PEER_ROOT/etc/netatalk/afpd-rs.toml"
  start_afpd
  login names 100 atalk1 nover nobody-of-this-name noshell | while read -r name spread; do note "names-$name decoy $spread"; done
  stop_afpd
  rm "$PEER_ROOT/etc/netatalk/afpd-rs.toml"
  use_theirs
done

python3 - "$RESULTS" <<'PY'
import collections, statistics, sys
values = collections.defaultdict(list)
for line in open(sys.argv[1]):
    what, module, *numbers = line.split()
    values[what, module].append([float(number) for number in numbers])
def shown(what, module, form, column=0):
    column = [row[column] for row in values[what, module]]
    return f"{statistics.median(column):{form}} ({min(column):{form}}-{max(column):{form}})"
def ratio(what):
    ours, theirs = (statistics.median(row[0] for row in values[what, module]) for module in ("ours", "theirs"))
    return f"{ours / theirs:.2f}"
print(f"| | Netatalk's module | ours | ours / theirs |\n|---|---|---|---|")
for what, title, form in [
    ("connect", "TCP connect, ms", ".2f"), ("OpenSession", "DSIOpenSession (afpd forks), ms", ".2f"),
    ("LoginExt", "FPLoginExt, ms", ".2f"), ("LoginCont", "FPLoginCont, ms", ".2f")]:
    print(f"| {title} | {shown(what, 'theirs', form)} | {shown(what, 'ours', form)} | {ratio(what)} |")
both = {m: [e[0] + c[0] for e, c in zip(values['LoginExt', m], values['LoginCont', m])] for m in ("theirs", "ours")}
cells = [f"{statistics.median(both[m]):.2f} ({min(both[m]):.2f}-{max(both[m]):.2f})" for m in ("theirs", "ours")]
print(f"| **both login calls, ms** | {cells[0]} | {cells[1]} | **{statistics.median(both['ours']) / statistics.median(both['theirs']):.2f}** |")
for what, title, form in [
    ("rate1", "logins per second, 1 client", ".0f"), ("rate8", "logins per second, 8 clients", ".0f"),
    ("cpu1", "CPU of afpd per login, 1 client, ms", ".2f"), ("cpu8", "CPU of afpd per login, 8 clients, ms", ".2f"),
    ("Rss1", "signed-in child, the only one: Rss, KiB", ".0f"), ("Pss1", "the same: Pss, KiB", ".0f"), ("Private_Dirty1", "the same: Private_Dirty, KiB", ".0f"),
    ("Pss20", "signed-in child, one of 20: Pss, KiB", ".0f"), ("Private_Dirty20", "the same: Private_Dirty, KiB", ".0f")]:
    print(f"| {title} | {shown(what, 'theirs', form)} | {shown(what, 'ours', form)} | {ratio(what)} |")
print("\n| answer to FPLoginExt, ms: median (10 % - 90 %) | Netatalk's module | ours | ours, decoy |\n|---|---|---|---|")
for name, title in [("atalk1", "a user with a verifier"), ("nover", "a user with a placeholder"),
                    ("nobody-of-this-name", "no user of the system"), ("noshell", "a user without a valid shell")]:
    def cell(module):
        medians = [statistics.median(row[column] for row in values[f"names-{name}", module]) for column in range(3)]
        return "{:.2f} ({:.2f}-{:.2f})".format(*medians)
    print(f"| {title} | {cell('theirs')} | {cell('ours')} | {cell('decoy')} |")
PY
