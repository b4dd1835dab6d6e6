#!/bin/bash
# Makes the peer: a Debian chroot with Netatalk, its test programs, tshark and nmap, from the mirror this machine is configured
# for. About a minute the first time; run again, it only puts back the accounts. Environment: AFP_PEER_ROOT (where; see common.sh).
. "$(dirname "$0")/common.sh"
require_environment

mirror() {
  sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -1
  awk '/^deb /{for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) {print $i; exit}}' /etc/apt/sources.list 2>/dev/null || true
}
MIRROR=$(mirror | head -1)
[ -n "$MIRROR" ] || skip "no Debian mirror is configured in /etc/apt"

# debootstrap is a set of shell scripts: where it is not installed it is unpacked beside the chroot, and the machine stays as it was.
find_debootstrap() {
  command -v debootstrap >/dev/null && { DEBOOTSTRAP=debootstrap; return; }
  local unpacked=$PEER_ROOT.debootstrap
  if [ ! -x "$unpacked/usr/sbin/debootstrap" ]; then
    mkdir -p "$unpacked"
    (cd "$unpacked" && { apt-get download -qq debootstrap || { apt-get update -qq && apt-get download -qq debootstrap; }; } && dpkg-deb -x debootstrap_*.deb .) \
      >/dev/null 2>&1 || skip "no debootstrap available (apt-get install debootstrap)"
  fi
  export DEBOOTSTRAP_DIR=$unpacked/usr/share/debootstrap
  DEBOOTSTRAP=$unpacked/usr/sbin/debootstrap
}

if [ ! -e "$PEER_ROOT/.packages-ready" ]; then
  find_debootstrap
  mkdir -p "$PEER_ROOT"
  script=$RELEASE
  [ -e "${DEBOOTSTRAP_DIR:-/usr/share/debootstrap}/scripts/$RELEASE" ] || script=sid
  echo "setting up the peer in $PEER_ROOT (Debian $RELEASE, about a minute)"
  unshare --mount --pid --fork --kill-child "$DEBOOTSTRAP" --variant=minbase --include=ca-certificates \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg "$RELEASE" "$PEER_ROOT" "$MIRROR" \
    "${DEBOOTSTRAP_DIR:-/usr/share/debootstrap}/scripts/$script" >"$PEER_ROOT.log" 2>&1 || die "debootstrap failed: see $PEER_ROOT.log"
  echo "deb $MIRROR $RELEASE main" >"$PEER_ROOT/etc/apt/sources.list"
  # A mirror frozen at a date has a release file past its time; signatures are checked all the same.
  echo 'Acquire::Check-Valid-Until "false";' >"$PEER_ROOT/etc/apt/apt.conf.d/99interop"
  # No package may start a daemon in here.
  printf '#!/bin/sh\nexit 101\n' >"$PEER_ROOT/usr/sbin/policy-rc.d"
  chmod +x "$PEER_ROOT/usr/sbin/policy-rc.d"
  cp -L /etc/resolv.conf "$PEER_ROOT/etc/resolv.conf"
  export -f mount_peer
  export PEER_ROOT
  unshare --mount --pid --fork --kill-child bash -euc '
    mount_peer
    chroot "$PEER_ROOT" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive chroot "$PEER_ROOT" apt-get install -y -qq --no-install-recommends \
      netatalk netatalk-tests netatalk-tools tshark nmap iproute2' >>"$PEER_ROOT.log" 2>&1 || die "installing the packages failed: see $PEER_ROOT.log"
  touch "$PEER_ROOT/.packages-ready"
fi

# Accounts. atalk1, atalk2, carol: verifier (carol has a full name); nover: a placeholder line only; noshell: a verifier, but no valid shell.
in_peer() { chroot "$PEER_ROOT" "$@"; }
for user in atalk1 atalk2 carol nover noshell; do
  in_peer id "$user" >/dev/null 2>&1 || in_peer useradd -m -s /bin/bash "$user"
  echo "$user:$PEER_PASSWORD" | in_peer chpasswd
done
in_peer usermod -s /usr/sbin/nologin noshell
in_peer usermod -c "Carol Danvers,,," carol
rm -f "$PEER_ROOT/etc/netatalk/afppasswd.srp"
in_peer afppasswd -c >/dev/null
for user in atalk1 atalk2 carol noshell; do in_peer afppasswd -n -a "$user" -w "$PEER_PASSWORD" >/dev/null; done
touch "$PEER_ROOT/.ready"
echo "peer ready: $(in_peer dpkg-query -W -f '${Package} ${Version}  ' netatalk netatalk-tests tshark nmap)"
