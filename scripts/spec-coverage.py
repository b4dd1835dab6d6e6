#!/usr/bin/env python3
"""The pages in docs/: every source file they name exists, every `file::test` is a test in that file. And of docs/spec-coverage.md and docs/faults.md:
every file they name exists, every row says what shows it, and every advisory in the table of frame rules is in the name of a test of its row."""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
DOCS = TOP / "docs"
TABLES = [DOCS / "spec-coverage.md", DOCS / "faults.md"]
IN_CODE = re.compile(r"`([^`]+)`")
A_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)+")
# Also within proptest!, and with other attributes between.
TEST = r"#\[(?:\w+::)?test\b[^\n]*\]\s*(?:#\[[^\n]*\]\s*)*(?:async\s+)?fn\s+{}\b"

wrong = []
named = set()


def check(page, line, name):
    """A file, or a file and a test in it; anything else in code type is left alone. Other pages than the two tables also name files
    that are not of this repository: there only sources are looked at."""
    file, _, test = name.partition("::")
    if not A_PATH.fullmatch(file) or (page not in TABLES and not file.endswith(".rs")):
        return
    path = TOP / file
    if not path.exists():
        complain(page, line, f"there is no {file}")
    elif test and not re.search(TEST.format(re.escape(test)), path.read_text(encoding="utf-8")):
        complain(page, line, f"{file} has no test {test}; name the one that shows this statement now, or say that none does")
    elif test:
        named.add(name)


def complain(page, line, what):
    wrong.append(f"{page.relative_to(TOP)}, line {line}: {what}")


for page in sorted(DOCS.rglob("*.md")):
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        for name in IN_CODE.findall(line):
            check(page, number, name)
        for link in re.findall(r"\]\(([^)#:]+)\)", line):
            if not (page.parent / link).exists():
                complain(page, number, f"the link to {link} leads nowhere")

statements = 0
for page in TABLES:
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.startswith("| ") or number == len(lines) or lines[number].startswith("|---"):
            continue  # no row, or the head of a table
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        statements += bool(re.fullmatch(r"\d+\.\d+|F\d", cells[0]))
        if cells[-1] in ("", "-"):
            complain(page, number, f"row {cells[0]} does not say what shows it")
        if re.fullmatch(r"F\d", cells[0]):
            for advisory in re.findall(r"CVE-\d+-\d+", cells[2]):
                if advisory.lower().replace("-", "_") not in cells[-1]:
                    complain(page, number, f"no test of rule {cells[0]} has {advisory} in its name")

for line in wrong:
    print(f"spec-coverage: {line}", file=sys.stderr)
if wrong:
    sys.exit(1)
if statements < 100 or len(named) < 100:
    sys.exit(f"spec-coverage: {statements} statements and {len(named)} tests found; has the page changed its form?")
print(f"spec-coverage: {statements} statements and rules, {len(named)} tests, all there")
