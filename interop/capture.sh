#!/bin/bash
# Records the scenes of captures/02, 03, 04, 05 and 09 between our client and our server into captures/ours, with a manifest.
# Debian, root; the peer's chroot lends dumpcap and tshark. The client's secret is known, so that every proof can be computed
# again. Run it when the wire has changed; salts and B are new each time, so the files are too.
. "$(dirname "$0")/common.sh"
TARGET=${CARGO_TARGET_DIR:-$PROJECT/target}
AFPD_RS=$TARGET/debug/afpd-rs
OURS=127.0.0.1:548

if [ -z "${AFP_INTEROP_INSIDE:-}" ]; then
  require_environment
  [ -e "$PEER_ROOT/.ready" ] || bash "$INTEROP/setup.sh"
  [ -e "$PEER_ROOT/.ready" ] || exit 0
  cd "$PROJECT"
  cargo build --quiet --locked -p afpd-rs
  cargo build --quiet --locked -p conformance --example scene
fi
enter_namespaces

SCRATCH=$(mktemp -d)
trap '[ -z "${SERVER:-}" ] || kill "$SERVER" 2>/dev/null || true; rm -rf "$SCRATCH"' EXIT
for user in atalk1 nover; do printf %s "$PEER_PASSWORD" | "$AFPD_RS" user add "$user" --state "$SCRATCH/state" --password-stdin; done
printf %s "$PEER_PASSWORD" | "$AFPD_RS" user add carol --full-name "Carol Danvers" --state "$SCRATCH/state" --password-stdin
"$AFPD_RS" user disable nover --state "$SCRATCH/state"
printf '[server]\nname = "ours"\nlogin_message = "Welcome to the peer"\n' >"$SCRATCH/afpd-rs.toml"
"$AFPD_RS" serve --listen "$OURS" --state "$SCRATCH/state" --config "$SCRATCH/afpd-rs.toml" >/dev/null 2>"$SCRATCH/log" &
SERVER=$!
wait_for_port "${OURS##*:}" || die "afpd-rs does not listen: $(cat "$SCRATCH/log")"

OUT=$PROJECT/captures/ours
mkdir -p "$OUT"
rm -f "$OUT"/*.pcap
{
  echo "# $("$AFPD_RS" --version) and the test kit's client, recorded by interop/capture.sh on $(date -u +%F) on the loopback interface, port 548:"
  echo "# the scenes of the captures with the same numbers one folder up. Keys as explained there; in 03 the password is the wrong one"
  echo "# that the client used. Throw-away accounts that lived in a temporary directory."
} >"$SCRATCH/manifest.toml"
record() { # record FILE SCENE WHAT-IT-SHOWS
  AFP_SUBJECT=$OURS "$INTEROP/record.sh" "$OUT/$1" "${OURS##*:}" "$TARGET/debug/examples/scene" "$2" >"$SCRATCH/secrets"
  local frames
  frames=$(chroot "$PEER_ROOT" tshark -r - -Y dsi -T fields -e dsi.command <"$OUT/$1" 2>/dev/null | tr ',' '\n' | grep -c .)
  printf '\n[[capture]]\nfile = "%s"\nshows = "%s"\nframes = %s\n' "$1" "$3" "$frames" >>"$SCRATCH/manifest.toml"
  cat "$SCRATCH/secrets" >>"$SCRATCH/manifest.toml"
}
record 02_srp_login_ok.pcap login "GetStatus on its own connection, OpenSession, FPLoginExt (with pad byte), FPLoginCont, three calls, FPLogout; user atalk1"
record 03_srp_wrong_password.pcap wrong-password "-6754, then DSIAttention 0x8000, DSICloseSession, FIN"
record 04_srp_unknown_user.pcap unknown-user "-5023 with payload 0001, then the same good-bye"
record 05_srp_disabled_user.pcap disabled-user "an account that is disabled: the same bytes as for an unknown one"
record 09_srp_login_ok_carol_5_letters.pcap login-without-pad "SRP login without the pad byte (odd-length user name)"
mv "$SCRATCH/manifest.toml" "$OUT/manifest.toml"
ls -l "$OUT"
