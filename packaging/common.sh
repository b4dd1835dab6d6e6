# shellcheck shell=bash
# Sourced by the scripts beside it: the two ways a script may end early, and Debian packages that are used without installing them.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

PACKAGING=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROJECT=$(dirname "$PACKAGING")
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/afpd-rs
AFPD_RS=${CARGO_TARGET_DIR:-$PROJECT/target}/release/afpd-rs

# The environment cannot do this: say why, and let the rest of the build go on.
skip() { echo "skipped: $*"; exit 0; }
# Something that should have worked did not.
die() { echo "packaging: $*" >&2; exit 1; }

on_debian() {
  [ "$(uname -s)" = Linux ] && [ -r /etc/os-release ] || return 1
  case " $(. /etc/os-release; echo "${ID:-} ${ID_LIKE:-}") " in *" debian "*) ;; *) return 1;; esac
}

# The directory where a package's files are, without its daemon being set up on this machine: `unpacked fail2ban`.
unpacked() {
  local folder=$CACHE/unpacked/$1
  if [ ! -e "$folder/.ready" ]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    (cd "$folder" && { apt-get download -qq "$1" || { apt-get update -qq && apt-get download -qq "$1"; }; } && dpkg-deb -x "$1"_*.deb . && touch .ready) \
      >/dev/null 2>&1 || return 1
  fi
  echo "$folder"
}
