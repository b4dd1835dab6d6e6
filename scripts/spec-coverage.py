#!/usr/bin/env python3
"""docs/spec-coverage.md and docs/faults.md: every file it names exists, every `file::test` is a test in that file, every row says what shows it, and
every advisory in the table of frame rules is in the name of a test of its row."""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PAGES = [TOP / "docs/spec-coverage.md", TOP / "docs/faults.md"]
IN_CODE = re.compile(r"`([^`]+)`")
A_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)+")
# Also within proptest!, and with other attributes between.
TEST = r"#\[(?:\w+::)?test\b[^\n]*\]\s*(?:#\[[^\n]*\]\s*)*(?:async\s+)?fn\s+{}\b"

wrong = []
named = set()


def check(place, name):
    """A file, or a file and a test in it; anything else in code type is left alone."""
    file, _, test = name.partition("::")
    if not A_PATH.fullmatch(file):
        return
    path = TOP / file
    if not path.exists():
        wrong.append(f"{place}: there is no {file}")
    elif test and not re.search(TEST.format(re.escape(test)), path.read_text(encoding="utf-8")):
        wrong.append(f"{place}: {file} has no test {test}; name the one that shows this statement now, or say that none does")
    elif test:
        named.add(name)


statements = 0
for page in PAGES:
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        place = f"{page.relative_to(TOP)}, line {number}"
        for name in IN_CODE.findall(line):
            check(place, name)
        for link in re.findall(r"\]\(([^)#:]+)\)", line):
            if not (page.parent / link).exists():
                wrong.append(f"{place}: the link to {link} leads nowhere")
        if not line.startswith("| ") or number == len(lines) or lines[number].startswith("|---"):
            continue  # no row, or the head of a table
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        statements += bool(re.fullmatch(r"\d+\.\d+|F\d", cells[0]))
        if cells[-1] in ("", "-"):
            wrong.append(f"{place}: row {cells[0]} does not say what shows it")
        if re.fullmatch(r"F\d", cells[0]):
            for advisory in re.findall(r"CVE-\d+-\d+", cells[2]):
                if advisory.lower().replace("-", "_") not in cells[-1]:
                    wrong.append(f"{place}: no test of rule {cells[0]} has {advisory} in its name")

for line in wrong:
    print(f"spec-coverage: {line}", file=sys.stderr)
if wrong:
    sys.exit(1)
if statements < 100 or len(named) < 100:
    sys.exit(f"spec-coverage: {statements} statements and {len(named)} tests found; has the page changed its form?")
print(f"spec-coverage: {statements} statements and rules, {len(named)} tests, all there")
