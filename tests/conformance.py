# SPDX-License-Identifier: BSD-2-Clause
"""Checks docs/CONFORMANCE.md: every row has a known status and names tests that exist. Prints what is wrong and exits with 1."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "CONFORMANCE.md"
STATUSES = {"yes", "option", "partly", "no", "n/a"}
# Rows of this status need no test.
UNTESTED = {"no", "n/a"}


def tests_of_the_tree(root):
    """Test names in the form that the page uses."""
    names = set()
    for path in [*root.glob("tests/unit/*.c"), *root.glob("tests/bpf/*.c")]:
        names.update(f"{suite}/{test}" for suite, test in re.findall(r"^Test\((\w+),\s*(\w+)", path.read_text(), re.MULTILINE))
    for path in root.glob("tests/e2e/test_*.py"):
        names.update(f"{path.name}::{test}" for test in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    return names


def check(page, tests):
    """Yields the page's faults, one line each."""
    section, rows = "", 0
    for number, line in enumerate(page.splitlines(), 1):
        if line.startswith("## "):
            section = line[3:]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not section or not line.startswith("|") or cells[0] == "requirement" or set(line) <= set("|- "):
            continue
        rows += 1
        where = f"line {number} ({section}, {cells[0]})"
        if len(cells) != 5:
            yield f"{where}: {len(cells)} columns, not 5"
            continue
        status, named = cells[3], re.findall(r"`([^`]+)`", cells[4])
        if status not in STATUSES:
            yield f"{where}: status {status!r}"
        if not named and status not in UNTESTED:
            yield f"{where}: no test"
        if re.sub(r"`[^`]+`", "", cells[4]).strip():
            yield f"{where}: more than names of tests in the last column"
        yield from (f"{where}: there is no test {name}" for name in named if name not in tests)
    if not rows:
        yield "no rows"


def main():
    wrong = list(check(PAGE.read_text(), tests_of_the_tree(ROOT)))
    for line in wrong:
        print(f"{PAGE.name}: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
