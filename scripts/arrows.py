#!/usr/bin/env python3
"""Crates know only those below them: checks docs/architecture.md's order against `cargo metadata`."""

import json
import subprocess
import sys

# What each crate may know in its normal dependencies. Development dependencies are free, but for testkit's own.
MAY_KNOW = {
    "srp6a": set(),
    "afp-proto": set(),
    "verifier-store": {"srp6a"},
    "srp-uam": {"srp6a", "afp-proto", "verifier-store"},
    "afp-session": {"afp-proto", "srp-uam"},
    "afpd-rs": {"srp6a", "afp-proto", "verifier-store", "srp-uam", "afp-session"},
    "uams-srp": {"srp-uam", "afp-proto", "verifier-store"},
    "testkit": set(),
    "conformance": {"afp-proto", "testkit"},
}
# Libraries that belong to some crates alone.
ONLY_IN = {
    "nom": {"afp-proto"},
    "crypto-bigint": {"srp6a"},
    "num-bigint": {"testkit", "conformance"},
    "tokio": {"afpd-rs"},
    "socket2": {"afpd-rs"},
}

metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"]))
wrong = []
for package in metadata["packages"]:
    name = package["name"]
    if name not in MAY_KNOW:
        wrong.append(f"{name}: not in scripts/arrows.py; give it its place in the order")
        continue
    for dependency in package["dependencies"]:
        if dependency["kind"] is not None:
            continue
        other = dependency["name"]
        if other in MAY_KNOW and other not in MAY_KNOW[name]:
            wrong.append(f"{name} must not know {other}")
        if other in ONLY_IN and name not in ONLY_IN[other]:
            wrong.append(f"{name} must not use {other}: it belongs to {', '.join(sorted(ONLY_IN[other]))}")
for line in wrong:
    print(f"arrows: {line}", file=sys.stderr)
if wrong:
    sys.exit(1)
print(f"arrows: {len(metadata['packages'])} packages know only those below them")
