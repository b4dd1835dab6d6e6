#!/bin/bash
# Starts the peer's afpd on 127.0.0.1 and waits until it answers; its process id goes into $AFP_PEER_STATE/afpd.pid.
# run.sh calls it inside a network namespace of its own, where port 548 is always free. By hand, outside one:
# AFP_PEER_PORT=5480 interop/start.sh
. "$(dirname "$0")/common.sh"
STATE=${AFP_PEER_STATE:-$PEER_ROOT.state}
[ -e "$PEER_ROOT/.ready" ] || die "no peer in $PEER_ROOT: run interop/setup.sh"
[ -s "$STATE/afpd.pid" ] && kill -0 "$(cat "$STATE/afpd.pid")" 2>/dev/null && die "already running as process $(cat "$STATE/afpd.pid"): interop/stop.sh"
mountpoint -q "$PEER_ROOT/proc" || mount_peer
mkdir -p "$STATE" "$PEER_ROOT/run/lock" "$PEER_ROOT/var/log"

# The order of the UAMs and every setting the suite's expectations rest on. No volumes: this is about the login.
cat >"$PEER_ROOT/etc/netatalk/interop.conf" <<CONF
[Global]
uam list = uams_srp.so uams_dhx2.so uams_clrtxt.so uams_guest.so
afp listen = 127.0.0.1
afp port = $PEER_PORT
zeroconf = no
hostname = peer451
max connections = 1000
login message = Welcome to the peer
log file = /var/log/netatalk-afpd.log
log level = default:info uams:debug
CONF
setsid chroot "$PEER_ROOT" /usr/sbin/afpd -d -F /etc/netatalk/interop.conf >"$STATE/afpd.out" 2>&1 </dev/null &
echo $! >"$STATE/afpd.pid"
wait_for_port "$PEER_PORT" || die "afpd does not listen on $PEER_PORT after 10 s: $(tail -3 "$STATE/afpd.out")"
kill -0 "$(cat "$STATE/afpd.pid")" 2>/dev/null || die "afpd ended at once: $(tail -3 "$STATE/afpd.out")"
echo "netatalk $(chroot "$PEER_ROOT" dpkg-query -W -f '${Version}' netatalk) on 127.0.0.1:$PEER_PORT, process $(cat "$STATE/afpd.pid")"
