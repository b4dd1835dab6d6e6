#!/usr/bin/env python3
"""The table of a long round: report.py [TARGET...] reads target/long and corpus, which long.sh and coverage.sh have filled."""
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
STATE = HERE / "target/long"

# What each target is for: the files whose lines it should reach.
AIMS = {
    "framer": ["afp-proto/src/dsi/"],
    "calls": ["afp-proto/src/afp", "afp-session/src/service.rs", "afp-proto/src/dsi/open_session.rs"],
    "server_info": ["afp-proto/src/server_info.rs"],
    "srp_messages": ["afp-proto/src/srp.rs"],
    "session": ["afp-session/src/"],
    "session_operations": ["afp-session/src/"],
    "store_native": ["verifier-store/src/native.rs", "verifier-store/src/hex.rs"],
    "store_netatalk_file": ["verifier-store/src/netatalk.rs", "verifier-store/src/hex.rs"],
    "store_netatalk_directory": ["verifier-store/src/netatalk.rs", "verifier-store/src/hex.rs"],
    "config": ["afpd-rs/src/config", "srp-uam/src/settings.rs", "uams-srp/src/settings.rs"],
    "captures": ["afpd-rs/src/decode/"],
    "tally": ["verifier-store/src/tally.rs", "srp-uam/src/attempts.rs"],
}


def read(name):
    path = STATE / name
    return path.read_text(errors="replace") if path.exists() else ""


def coverage(name):
    """Lines covered and counted, by file below crates/; None without llvm-cov."""
    text = read(f"{name}.coverage.json")
    if not text:
        return None
    files = json.loads(text)["data"][0]["files"]
    lines = {}
    for file in files:
        _, crates, path = file["filename"].rpartition("/crates/")
        if crates:
            lines[path] = (file["summary"]["lines"]["covered"], file["summary"]["lines"]["count"])
    return lines


def share(lines, aims):
    if lines is None:
        return "?"
    chosen = [numbers for path, numbers in lines.items() if any(path.startswith(aim) for aim in aims)]
    covered, count = (sum(column) for column in zip((0, 0), *chosen))
    return f"{covered} of {count} ({100 * covered / count:.0f} %)" if count else "none"


def row(target):
    rounds = [line.split() for line in read(f"{target}.rounds").splitlines()]
    seconds = sum(int(used) for used, _ in rounds) / 100
    runs = sum(int(runs) for _, runs in rounds)
    last = read(f"{target}.last")
    number = lambda what: (re.search(rf"\b{what}: (\d+)", last) or [None, "?"])[1]
    corpus = HERE / "corpus" / target
    files = [file.stat().st_size for file in corpus.iterdir()] if corpus.is_dir() else []
    size = f"{len(files)} / {sum(files) / 1000:.0f} kB"
    rate = f"{runs / seconds:.0f}" if seconds else "?"
    edges = f"{number('cov')} of {read(f'{target}.edges').strip() or '?'}"
    failed = " **failed**" if (STATE / f"{target}.failed").exists() else ""
    lines = coverage(target)
    aims = ", ".join(f"`crates/{aim}`" for aim in AIMS.get(target, []))
    return [f"{target}{failed}", f"{seconds / 60:.1f}", f"{runs:,}".replace(",", " "), rate, edges, number("ft"), size,
            share(lines, AIMS.get(target, [])), aims]


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for cells in rows:
        print("| " + " | ".join(str(cell) for cell in cells) + " |")


targets = sys.argv[1:] or list(AIMS)
table(["target", "CPU minutes", "runs", "runs/CPU s", "edges", "features", "corpus", "lines of what it is for", "which is"],
      [row(target) for target in targets])
everything = coverage("all")
if everything is None:
    print("\nLines are not known: there was no llvm-cov for this compiler. Edges are libFuzzer's, of all code in the program.")
else:
    print("\nAll targets together, lines of each crate that are in any of the programs:\n")
    crates = sorted({path.split("/")[0] for path in everything})
    table(["crate", "lines"], [[f"`{crate}`", share(everything, [crate + "/"])] for crate in crates])
commits = list(dict.fromkeys(read("commits").split()))
if commits:
    print(f"\nCommits: {', '.join(commits)}.")
