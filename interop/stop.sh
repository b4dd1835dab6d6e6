#!/bin/bash
# Stops the afpd that start.sh started, by its recorded process id.
. "$(dirname "$0")/common.sh"
STATE=${AFP_PEER_STATE:-$PEER_ROOT.state}
[ -s "$STATE/afpd.pid" ] || exit 0
pid=$(cat "$STATE/afpd.pid")
kill -TERM "$pid" 2>/dev/null || true
for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
kill -0 "$pid" 2>/dev/null && die "afpd, process $pid, does not stop"
rm -f "$STATE/afpd.pid"
if [ -z "${AFP_INTEROP_INSIDE:-}" ] && mountpoint -q "$PEER_ROOT/proc"; then umount "$PEER_ROOT/proc" && umount -R "$PEER_ROOT/dev"; fi
