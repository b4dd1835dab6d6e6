#!/bin/bash
# Installs, uses, upgrades, removes and purges the Debian package in a chroot of this machine's own Debian release, twice: as it is,
# with the service's rights given by hand, and with systemd booted in it. The second is left out, and says so, where systemd cannot
# boot. Everything runs in namespaces that end with this script. Environment: AFP_DEB_ROOT (where the untouched chroot is kept).
. "$(dirname "$0")/common.sh"

# The two lives of the package, inside the chroot.
in_chroot() {
  set -eu
  phase=$1
  state=/var/lib/afpd-rs
  as_service() { runuser -u afpd-rs -- "$@"; }
  add() { echo "right" | as_service afpd-rs user add "$1" --password-stdin; }
  signs_in() { echo "right" | afpd-rs login "${2:-127.0.0.1}" "$1" --password-stdin | tail -n 1; }
  claim() { echo "  ok: $*"; }
  fail() { echo "packaging: $phase: $*" >&2; exit 1; }
  listening() { (exec 3<>/dev/tcp/127.0.0.1/548) 2>/dev/null; }
  installed() { dpkg-query -W -f '${Version}' afpd-rs; }
  kept() { [ -e $state/accounts ] && [ -e /etc/afpd-rs/afpd-rs.toml ] && [ "$(sha256sum $state/signature)" = "$signature" ]; }

  start() { # as the unit does: the user, the one capability
    setpriv --reuid=afpd-rs --regid=afpd-rs --clear-groups --no-new-privs --inh-caps=-all,+net_bind_service \
      --ambient-caps=-all,+net_bind_service --bounding-set=-all,+net_bind_service afpd-rs serve >/dev/null 2>&1 &
    daemon=$!
    for _ in $(seq 100); do listening && return; sleep 0.1; done
    fail "the daemon does not listen on port 548"
  }
  stop() { kill "$daemon" && wait "$daemon"; }
  if [ "$phase" = systemd ]; then
    trap '[ $? = 0 ] || journalctl --unit=afpd-rs --no-pager --lines=30' EXIT
    start() { systemctl is-active --quiet afpd-rs || fail "the service is not running: $(systemctl status afpd-rs 2>&1)"; }
    stop() { :; }
  fi

  dpkg -i /root/first.deb >/dev/null
  claim "installed $(installed)"
  [ "$(stat -c '%a %U %G' $state)" = "700 afpd-rs afpd-rs" ] || fail "state directory: $(stat -c '%a %U %G' $state)"
  as_service afpd-rs check-config >/dev/null || fail check-config
  claim "check-config, as the service's user"
  # Root's own files would be unreadable for the service; it is told so and makes none.
  refused=$(echo right | afpd-rs user add root-made --password-stdin 2>&1) && fail "root could make an account the service cannot read"
  [[ $refused == *"run as its owner"* ]] || fail "root is told: $refused"
  [ ! -e $state/accounts/root-made.toml ] || fail "root has left an account"
  claim "user add as root is refused and says how"
  add alice
  start
  signs_in alice
  signs_in alice ::1
  signature=$(sha256sum $state/signature)
  if [ "$phase" = systemd ]; then
    pid=$(systemctl show afpd-rs -p MainPID --value)
    [ "$(awk '/^CapEff/ {print $2}' "/proc/$pid/status")" = 0000000000000400 ] || fail "the service has other capabilities than CAP_NET_BIND_SERVICE"
    [ "$(stat -c %U "/proc/$pid")" = afpd-rs ] || fail "the service does not run as afpd-rs"
    claim "runs as afpd-rs with CAP_NET_BIND_SERVICE alone, exposure $(systemd-analyze security afpd-rs | sed -n 's/.*afpd-rs.service: //p')"
    echo wrong | afpd-rs login 127.0.0.1 alice --password-stdin >/dev/null 2>&1 && fail "a wrong password signs in"
    journalctl --sync
    counted=$(fail2ban-regex --out ip systemd-journal /etc/fail2ban/filter.d/afpd-rs.conf)
    [ "$counted" = 127.0.0.1 ] || fail "fail2ban counts in the journal: $counted"
    claim "fail2ban counts the wrong password, and nothing else, in the journal"
    systemctl reload afpd-rs
    echo '[nonsense]' >>/etc/afpd-rs/afpd-rs.toml
    systemctl reload afpd-rs
    for _ in $(seq 100); do journalctl --unit=afpd-rs --grep='reload failed, the settings in force stay' --quiet >/dev/null && break; sleep 0.1; done
    journalctl --unit=afpd-rs --grep='settings and accounts read again' --quiet >/dev/null || fail "the first reload is not in the journal"
    journalctl --unit=afpd-rs --grep='reload failed, the settings in force stay' --quiet >/dev/null || fail "the wrong settings are not in the journal"
    [ "$(systemctl show afpd-rs -p MainPID --value)" = "$pid" ] || fail "reload has restarted the service"
    signs_in alice
    sed -i '$d' /etc/afpd-rs/afpd-rs.toml
    systemctl reload afpd-rs
    claim "reloads; wrong settings change nothing"
  fi
  # A Netatalk file, which is root's alone, is taken over by way of a copy (docs/packaging.md).
  install -d -m 755 /etc/netatalk
  afpd-rs --state /root/other user add netta --password-stdin <<<right >/dev/null
  afpd-rs --state /root/other user export netatalk-file /etc/netatalk/afppasswd.srp >/dev/null
  install -m 600 -o afpd-rs -g afpd-rs /etc/netatalk/afppasswd.srp $state/netatalk.srp
  as_service afpd-rs user import netatalk-file $state/netatalk.srp >/dev/null
  rm $state/netatalk.srp
  signs_in netta
  claim "accounts of root's Netatalk file taken over"
  stop

  echo '# changed here' >>/etc/afpd-rs/afpd-rs.toml
  dpkg -i /root/second.deb >/dev/null
  claim "upgraded to $(installed)"
  kept && grep -q 'changed here' /etc/afpd-rs/afpd-rs.toml || fail "the upgrade has lost state or settings"
  if [ "$phase" = systemd ]; then
    [ "$(systemctl show afpd-rs -p MainPID --value)" != "$pid" ] || fail "the upgrade has not restarted the service"
  fi
  start
  signs_in alice
  stop

  dpkg -r afpd-rs >/dev/null
  kept && grep -q 'changed here' /etc/afpd-rs/afpd-rs.toml || fail "the removal has lost state or settings"
  listening && fail "the removed server still listens"
  claim "removed; accounts and settings stay"
  dpkg -i /root/second.deb >/dev/null
  start
  signs_in alice
  stop
  claim "installed again; the account signs in"

  dpkg -P afpd-rs >/dev/null 2>&1
  left=$(ls -d $state /etc/afpd-rs /etc/fail2ban/*/afpd-rs.* /etc/systemd/system/*/afpd-rs.service /usr/share/doc/afpd-rs 2>/dev/null || true)
  [ -z "$left" ] || fail "the purge has left $left"
  dpkg-query -W afpd-rs 2>/dev/null && fail "the purged package is still known"
  claim "purged; nothing is left but the user"
}

if [ "${1:-}" = in-chroot ]; then in_chroot "$2"; exit; fi

# A network, processes and mounts of its own; systemd, where it is to boot, is process 1 of them.
if [ "${1:-}" = in-namespaces ]; then
  root=$2 phase=$3
  ip link set lo up
  mount --bind "$root" "$root"
  mount --make-rprivate /
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --make-rslave "$root/dev"
  cp "$PACKAGING/common.sh" "$PACKAGING/test-deb.sh" "$root/root/"
  [ "$phase" = systemd ] || exec chroot "$root" bash /root/test-deb.sh in-chroot "$phase"
  mount -t tmpfs tmpfs "$root/run"
  mount -t sysfs sysfs "$root/sys"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  # The test is a unit itself; its output goes to a file, its end is the end of systemd.
  cat >"$root/etc/systemd/system/test-deb.service" <<'END'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
Environment=HOME=/root
ExecStart=/bin/bash /root/test-deb.sh in-chroot systemd
ExecStopPost=/bin/sh -c 'echo $$EXIT_STATUS >/root/status; systemctl exit --force --force'
StandardOutput=append:/root/output
StandardError=inherit
[Install]
WantedBy=multi-user.target
END
  chroot "$root" systemctl enable --quiet test-deb.service
  exec env container=chroot chroot "$root" /lib/systemd/systemd --system --log-target=null --unit=multi-user.target
fi

on_debian || skip "the Debian package is tested on Debian only"
[ "$(id -u)" = 0 ] || skip "the Debian package is not tested: that needs root, for chroot and namespaces"
unshare --mount --net --pid --fork true 2>/dev/null || skip "the Debian package is not tested: this root may not create namespaces (CAP_SYS_ADMIN is missing)"
for tool in debootstrap ip:iproute2; do
  command -v "${tool%:*}" >/dev/null || die "${tool%:*} is missing: apt-get install ${tool#*:}"
done
mirror() {
  sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null
  awk '/^deb /{for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) {print $i; exit}}' /etc/apt/sources.list 2>/dev/null || true
}
MIRROR=$(mirror | head -n 1)
[ -n "$MIRROR" ] || skip "the Debian package is not tested: no Debian mirror is configured in /etc/apt"
release=$(. /etc/os-release; echo "$VERSION_CODENAME")
clean=${AFP_DEB_ROOT:-$CACHE/debian-$release}

if [ ! -e "$clean/.ready" ]; then
  echo "== a clean Debian $release in $clean (about two minutes, once)"
  rm -rf "$clean"
  mkdir -p "$clean"
  unshare --mount --pid --fork --kill-child debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    "$release" "$clean" "$MIRROR" >"$clean.log" 2>&1 || die "debootstrap failed: see $clean.log"
  # A mirror frozen at a date has a release file past its time; signatures are checked all the same.
  echo 'Acquire::Check-Valid-Until "false";' >"$clean/etc/apt/apt.conf.d/99test-deb"
  cp -L /etc/resolv.conf "$clean/etc/resolv.conf"
  unshare --mount --pid --fork --kill-child bash -euc '
    mount --bind "$0" "$0"
    mount -t proc proc "$0/proc"
    chroot "$0" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive chroot "$0" apt-get install -y -qq --no-install-recommends adduser systemd fail2ban python3-systemd lintian' \
    "$clean" >>"$clean.log" 2>&1 || die "installing packages failed: see $clean.log"
  touch "$clean/.ready"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "== two packages"
first=$(DEB_DIR=$work "$PACKAGING/deb.sh" 2>"$work/log") || die "make deb: $(cat "$work/log")"
second=$work/second.deb # the same with a higher version
dpkg-deb -R "$first" "$work/second"
sed -i 's/^Version: .*/&+next/' "$work/second/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip --build "$work/second" "$second" >/dev/null
dpkg-deb -f "$first" Package Version Architecture Depends | sed 's/^/  /'

life() { # a life of the package, in a fresh copy of the chroot
  cp -a --reflink=auto "$clean" "$work/root"
  cp "$first" "$work/root/root/first.deb"
  cp "$second" "$work/root/root/second.deb"
  unshare --mount --net --pid --ipc --uts --cgroup --fork --kill-child bash "$PACKAGING/test-deb.sh" in-namespaces "$work/root" "$1"
}

echo "== lintian"
cp "$first" "$clean/root/first.deb"
# That the builder of this very package has no address in the world is not the package's fault.
chroot "$clean" lintian --allow-root --fail-on error,warning \
  --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog,root-in-contact /root/first.deb
rm "$clean/root/first.deb"

echo "== without systemd"
life plain
rm -rf "$work/root"

echo "== with systemd"
life systemd >"$work/boot.log" 2>&1 || true
if [ ! -e "$work/root/root/output" ]; then
  skip "with systemd: it cannot boot in a chroot here: $(tail -n 3 "$work/boot.log")"
fi
cat "$work/root/root/output"
[ "$(cat "$work/root/root/status" 2>/dev/null)" = 0 ] || die "the package's life with systemd ended with status $(cat "$work/root/root/status" 2>/dev/null || echo none)"
