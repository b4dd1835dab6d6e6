#!/usr/bin/env bash
# Makes the Debian package from what `make install` installs, with dpkg's own tools, and prints where it is.
# Environment: DEB_VERSION (instead of Cargo.toml's), DEB_DIR (where to put it; target), DEBFULLNAME and DEBEMAIL (who vouches for it).
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

for tool in dpkg-deb dpkg-shlibdeps gzip strip; do
    command -v $tool >/dev/null || { echo "deb: $tool is missing (Debian: apt-get install dpkg-dev binutils)" >&2; exit 1; }
done

version=${DEB_VERSION:-$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)}
architecture=$(dpkg --print-architecture)
maintainer="${DEBFULLNAME:-$(id -un)} <${DEBEMAIL:-$(id -un)@$(hostname -f)}>"
# Every file is as old as the last commit, so that the same source gives the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
output=${DEB_DIR:-target}/afpd-rs_${version}_$architecture.deb

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/stage
make --no-print-directory install DESTDIR="$stage" PREFIX=/usr >&2
strip --strip-unneeded "$stage/usr/sbin/afpd-rs"
install -d "$stage/etc/afpd-rs"
mv "$stage/usr/share/doc/afpd-rs/afpd-rs.toml" "$stage/etc/afpd-rs/"

doc=$stage/usr/share/doc/afpd-rs
cp README.md SECURITY.md "$doc/"
cp CHANGELOG.md "$doc/NEWS"
cat >"$doc/changelog" <<END
afpd-rs ($version) unstable; urgency=medium

  * What has changed is in NEWS.gz.

 -- $maintainer  $(date -R -u -d "@$SOURCE_DATE_EPOCH")
END
packaging/copyright.py >"$doc/copyright"
packaging/copyright.py --third-party >"$doc/third-party-licences"
gzip -9n "$doc/NEWS" "$doc/changelog" "$doc/third-party-licences" "$stage"/usr/share/man/man?/*

# dpkg-shlibdeps wants a source package around it.
mkdir -p "$work/debian" "$stage/DEBIAN"
printf 'Source: afpd-rs\n\nPackage: afpd-rs\nArchitecture: any\n' >"$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O "$stage/usr/sbin/afpd-rs" | sed 's/^shlibs:Depends=//')

sed -e "s|@VERSION@|$version|; s|@ARCHITECTURE@|$architecture|; s|@MAINTAINER@|$maintainer|" \
    -e "s|@SIZE@|$(du -sk --apparent-size "$stage" | cut -f1)|; s|@LIBRARIES@|$libraries|" config/debian/control >"$stage/DEBIAN/control"
install -m 644 config/debian/conffiles "$stage/DEBIAN/"
install -m 755 config/debian/postinst config/debian/prerm config/debian/postrm "$stage/DEBIAN/"
(cd "$stage" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
chmod 644 "$stage/DEBIAN/md5sums" "$stage/DEBIAN/control"

mkdir -p "$(dirname "$output")"
dpkg-deb --root-owner-group -Zxz --build "$stage" "$output" >/dev/null
echo "$output"
