#!/bin/sh
# Licences, bans and sources of every dependency, by cargo-deny. Advisories are not looked up: that needs a database from the network.
set -eu
cd "$(dirname "$0")/.."
if ! command -v cargo-deny >/dev/null; then
    echo "deny: cargo-deny is missing; \`cargo install --locked cargo-deny\` brings it" >&2
    exit 1
fi
cargo deny --offline --all-features check licenses bans sources
