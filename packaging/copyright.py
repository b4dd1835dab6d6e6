#!/usr/bin/env python3
"""Prints the Debian copyright file, or with --third-party the licence texts of every library that is linked into the program."""

import json
import pathlib
import subprocess
import sys


def linked():
    """The libraries the program is built from, without those that only build it (or others of its crates)."""
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--offline"]
    host = next(l for l in subprocess.check_output(["rustc", "-vV"], text=True).splitlines() if l.startswith("host: "))
    metadata = json.loads(subprocess.check_output([*command, "--filter-platform", host.removeprefix("host: ")]))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    waiting = [id for id, package in packages.items() if package["name"] == "afpd-rs"]
    found = set()
    while waiting:
        id = waiting.pop()
        if id not in found:
            found.add(id)
            deps = nodes[id]["deps"]
            waiting += [dep["pkg"] for dep in deps if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    return sorted((packages[id] for id in found if packages[id]["source"]), key=lambda package: package["name"])


def third_party():
    for package in linked():
        folder = pathlib.Path(package["manifest_path"]).parent
        texts = sorted(f for f in folder.iterdir() if f.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE")))
        print(f"{'=' * 78}\n{package['name']} {package['version']}: {package['license']}\n{package['repository'] or ''}\n")
        for text in texts:
            if text.is_file():
                print(f"--- {text.name}\n{text.read_text(errors='replace').rstrip()}\n")


def copyright():
    mit = pathlib.Path("LICENSE-MIT").read_text().strip().splitlines()
    holder = next(line for line in mit if line.startswith("Copyright (c) ")).removeprefix("Copyright (c) ")
    terms = mit[mit.index(f"Copyright (c) {holder}") + 1 :]
    print("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/")
    print("Upstream-Name: afpd-rs")
    print("Comment: The libraries linked into the program keep their own licences: third-party-licences.gz beside this file.")
    print(f"\nFiles: *\nCopyright: {holder}\nLicense: Expat or Apache-2.0")
    print("\nLicense: Expat")
    print("\n".join(f" {line}" if line else " ." for line in terms[1:] if terms))
    print("\nLicense: Apache-2.0\n On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.")


third_party() if "--third-party" in sys.argv[1:] else copyright()
