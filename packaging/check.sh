#!/bin/bash
# Looks at the systemd unit, the Avahi file and the fail2ban filter with the tools of those they are for, and at what the daemon
# tells systemd. Nothing is installed and no service of this machine is touched. docs/packaging.md says what each part proves.
. "$(dirname "$0")/common.sh"
cd "$PROJECT" || exit
on_debian || skip "the packaging is checked on Debian only"
for tool in systemd-analyze:systemd xmllint:libxml2-utils nm:binutils ip:iproute2 unshare:util-linux; do
  command -v "${tool%:*}" >/dev/null || die "${tool%:*} is missing: apt-get install ${tool#*:}"
done
fail2ban=$(unpacked fail2ban) && avahi=$(unpacked avahi-daemon) || skip "the packages fail2ban and avahi-daemon cannot be had here (apt-get download)"

echo "== make install"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
make --no-print-directory --silent install PREFIX="$stage/usr" SYSCONFDIR="$stage/etc"
unit=$stage/usr/lib/systemd/system/afpd-rs.service
(cd "$stage" && find . -type f | sort | sed 's|^\.|  |')

echo "== what the program imports"
# No call that changes its user, and none that starts another program: docs/known-weaknesses.md counts on it.
imports=$(nm -D --undefined-only "$stage/usr/sbin/afpd-rs" | awk '{sub(/@.*/, "", $2); print $2}')
grep -qx getrandom <<<"$imports" || die "nm shows no imports of the program"
forbidden=$(grep -xE '_?(v?fork|clone3?|exec[a-z]*|fexecve|posix_spawnp?|system|popen|dlopen|set(e|re|res)?[ug]id|setfs[ug]id|initgroups|setgroups)' <<<"$imports") &&
  die "the program imports $forbidden"
echo "  $(wc -l <<<"$imports") names: no call that changes users, none that starts a program"

echo "== systemd unit"
if command -v man >/dev/null; then man=yes; else man=no; fi
complaints=$(MANPATH=$stage/usr/share/man systemd-analyze verify --man=$man "$unit" 2>&1) || die "systemd-analyze verify: $complaints"
[ -z "$complaints" ] || die "systemd-analyze verify: $complaints"
exposure=$(systemd-analyze security --offline=true --threshold=20 --no-pager "$unit") || die "exposure above 2.0: $(tail -n 1 <<<"$exposure")"
echo "  verified; $(tail -n 1 <<<"$exposure" | sed 's/^[^A-Za-z]*//')"
# A user number is given, a directory made: on an empty root.
mkdir -p "$stage/root/etc"
systemd-sysusers --root="$stage/root" "$stage/usr/lib/sysusers.d/afpd-rs.conf" 2>/dev/null
grep -q '^afpd-rs:' "$stage/root/etc/passwd" || die "systemd-sysusers made no user afpd-rs"
if [ "$(id -u)" = 0 ]; then
  systemd-tmpfiles --root="$stage/root" --create "$stage/usr/lib/tmpfiles.d/afpd-rs.conf"
  made=$(stat -c '%a %u' "$stage/root/var/lib/afpd-rs")
  [ "$made" = "700 $(awk -F: '$1 == "afpd-rs" {print $3}' "$stage/root/etc/passwd")" ] || die "systemd-tmpfiles made a state directory of mode and owner $made"
fi

echo "== what systemd is told"
python3 packaging/notify.py "$AFPD_RS"

echo "== Avahi"
# Avahi looks for the DTD beside its own; here it is laid beside ours.
cp "$avahi/usr/share/avahi/avahi-service.dtd" config/avahi/afpd-rs.service "$stage/"
xmllint --noout --nonet --valid "$stage/afpd-rs.service"
echo "  valid by avahi-service.dtd"

echo "== fail2ban"
command=$stage/fail2ban-regex
printf '#!/bin/sh\nPYTHONPATH=%s exec /usr/bin/python3 -W ignore %s -c %s "$@"\n' "$fail2ban/usr/lib/python3/dist-packages" \
  "$fail2ban/usr/bin/fail2ban-regex" "$fail2ban/etc/fail2ban" >"$command"
chmod +x "$command"
# Real addresses, in a network of their own.
as_root=(); [ "$(id -u)" = 0 ] || as_root=(--user --map-root-user)
unshare "${as_root[@]}" --net true 2>/dev/null || skip "fail2ban: no network namespace can be made here"
unshare "${as_root[@]}" --net bash -euc '
  ip link set lo up
  ip addr add 192.0.2.7/32 dev lo
  ip addr add 2001:db8::7/128 dev lo nodad
  ip addr add fe80::7/64 dev lo nodad scope link
  exec /usr/bin/python3 packaging/fail2ban.py "$@"' fail2ban "$AFPD_RS" "$command"
# The jail as an administrator turns it on.
cp -r "$fail2ban/etc/fail2ban" "$stage/jails"
cp -r config/fail2ban/filter.d config/fail2ban/jail.d "$stage/jails/"
printf '[afpd-rs]\nenabled = true\n[sshd]\nenabled = false\n' >"$stage/jails/jail.d/afpd-rs.local"
jail=$(PYTHONPATH=$fail2ban/usr/lib/python3/dist-packages /usr/bin/python3 -W ignore "$fail2ban/usr/bin/fail2ban-client" -c "$stage/jails" --dp 2>"$stage/jail.log") || die "fail2ban-client: $(cat "$stage/jail.log")"
for part in "'add', 'afpd-rs', 'systemd'" "'set', 'afpd-rs', 'addjournalmatch', '_SYSTEMD_UNIT=afpd-rs.service'"; do
  grep -qF "$part" <<<"$jail" || die "fail2ban-client does not set the jail up: no $part in $jail"
done
echo "  the jail is set up for the journal of afpd-rs.service"
