#!/bin/bash
# record.sh FILE PORT COMMAND ...: runs a command (or an exported shell function) and keeps what goes over this loopback port meanwhile.
#
# Nothing is lost and nothing is waited for on a guess: a knock on a closed port shows in the capture when it has begun, and
# another when it has caught up; knocks are left out of the result. Runs inside the namespaces of common.sh.
. "$(dirname "$0")/common.sh"
FILE=$1 PORT=$2
shift 2
KNOCK=9
RAW=$PEER_ROOT/tmp/record.$$.pcap
trap 'rm -f "$RAW" "$RAW.err"' EXIT

knocks() { # how many are in the capture so far
  chroot "$PEER_ROOT" tshark -r "/tmp/$(basename "$RAW")" -Y "tcp.dstport == $KNOCK" 2>/dev/null | wc -l
}
knock_until_more_than() {
  for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$KNOCK") 2>/dev/null && die "something listens on port $KNOCK"
    [ -s "$RAW" ] && [ "$(knocks)" -gt "$1" ] && return
    sleep 0.1
  done
  die "the capture does not run: $(cat "$RAW.err")"
}

chroot "$PEER_ROOT" dumpcap -q -P -i lo -f "tcp port $PORT or tcp port $KNOCK" -w "/tmp/$(basename "$RAW")" 2>"$RAW.err" &
DUMPCAP=$!
knock_until_more_than 0
STATUS=0
bash -c "$*" || STATUS=$?
knock_until_more_than "$(knocks)"
kill -INT "$DUMPCAP"
wait "$DUMPCAP" || true
chroot "$PEER_ROOT" tshark -F pcap -r "/tmp/$(basename "$RAW")" -Y "tcp.port == $PORT" -w - 2>/dev/null >"$FILE"
exit "$STATUS"
