# SPDX-License-Identifier: BSD-2-Clause
"""
Checks the documents of which each row names the tests that show it: CONFORMANCE.md, where a row has a known status, too, and each
test of NAT64 a row, OWNERSHIP.md, and the doors of SECURITY.md. Of FEATURES.md, HISTORY.md, LEASES.md, RELIABILITY.md and the limits
in TESTING.md it checks that the tests exist that they name anywhere. Prints what is wrong and exits with 1.
"""

import dataclasses
import fnmatch
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class Page:
    """What the rows of a document's tables are like; the last column names tests."""

    name: str
    first: str  # heading of the first column
    columns: int
    statuses: frozenset = frozenset()  # of the column before the last, if there are any
    untested: frozenset = frozenset()  # rows of this status need no test
    suites: bool = True  # a name has its suite or file before it
    section: str = ""  # the tables of this section alone


PAGES = (
    Page("evidence/CONFORMANCE.md", "requirement", 5, statuses=frozenset(("yes", "option", "partly", "no", "n/a")), untested=frozenset(("no", "n/a"))),
    Page("internals/OWNERSHIP.md", "case", 3, suites=False),
    Page("../SECURITY.md", "door", 3, section="## Doors"),
)

# Suites of which CONFORMANCE.md has a row for each test: NAT64's packets, configuration and history.
SIX = "drain enter errors fast fragments hairpins? leave model paths refusals states tables".replace(" ", "|")
WHOLE = re.compile(f"(?:six_(?:{SIX})|(?:config|doctor|history|history_cache)_six)/")

# Files of tests against somebody who means harm: SECURITY.md names each.
HOSTILE = re.compile(r"test_\w*(?:hostile|abuse|forged|privileges|tokens|desk_tenants|proxies|sources|evidence_changed|libxdp)\w*\.py")

MENTIONING = ("evidence/FEATURES.md", "evidence/HISTORY.md", "evidence/LEASES.md", "evidence/RELIABILITY.md")
LIMITS = ("evidence/TESTING.md", "## Limits")  # of this document the section alone
MENTION = re.compile(r"`(?:tests/\w+/)?((?:[\w*]+|test_\w+\.py|…)(?:/|::)[\w*…]+|test_\w+(?:\.py)?)`")


def tests_of_the_tree(root):
    """Test names with their suites or files: `suite/test`, `test_file.py::test`."""
    names = set()
    for path in [*root.glob("tests/unit/*.c"), *root.glob("tests/bpf/*.c")]:
        names.update(f"{suite}/{test}" for suite, test in re.findall(r"^Test\((\w+),\s*(\w+)", path.read_text(), re.MULTILINE))
    for path in root.glob("tests/e2e/test_*.py"):
        names.update(f"{path.name}::{test}" for test in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    return names


def check(page, text, tests):
    """Yields the faults of a document, one line each."""
    section, rows = "", 0
    text = of_section(text, page.section) if page.section else text
    if not page.suites:
        tests = {re.split("/|::", name)[-1] for name in tests}
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            section = line[3:]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not section or not line.startswith("|") or cells[0] == page.first or set(line) <= set("|- "):
            continue
        rows += 1
        where = f"line {number} ({section}, {cells[0]})"
        if len(cells) != page.columns:
            yield f"{where}: {len(cells)} columns, not {page.columns}"
            continue
        status, named = cells[-2] if page.statuses else "", re.findall(r"`([^`]+)`", cells[-1])
        if page.statuses and status not in page.statuses:
            yield f"{where}: status {status!r}"
        if not named and status not in page.untested:
            yield f"{where}: no test"
        if re.sub(r"`[^`]+`", "", cells[-1]).strip(" ,"):
            yield f"{where}: more than names of tests in the last column"
        yield from (f"{where}: there is no test {name}" for name in named if name not in tests)
    if not rows:
        yield "no rows"


def missing(text, tests):
    """Yields the tests that a text names and that are not there, one line each; `*` and `…` stand for any part of a name."""
    for number, line in enumerate(text.splitlines(), 1):
        for name in MENTION.findall(line):
            pattern = name.replace("…", "*")
            if name.endswith(".py"):
                pattern += "::*"
            elif "/" not in name and "::" not in name:
                pattern = "*::" + pattern
            if not fnmatch.filter(tests, pattern):
                yield f"line {number}: there is no test {name}"


def of_section(text, heading):
    """The lines of a section, with the others empty; nothing where it is missing."""
    inside, lines = False, []
    for line in text.splitlines():
        inside = line == heading if line.startswith("## ") else inside
        lines.append(line if inside else "")
    return "\n".join(lines)


def unnamed(text, tests):
    """Yields the tests of whole suites that no row names."""
    named = set(re.findall(r"`([^`]+)`", text))
    yield from (f"no row names {test}" for test in sorted(tests - named) if WHOLE.match(test))


def main():
    tests = tests_of_the_tree(ROOT)
    conformance = PAGES[0].name
    wrong = [f"{page.name}: {line}" for page in PAGES for line in check(page, (ROOT / "docs" / page.name).read_text(), tests)]
    wrong += [f"{name}: {line}" for name in MENTIONING for line in missing((ROOT / "docs" / name).read_text(), tests)]
    wrong += [f"{conformance}: {line}" for line in unnamed((ROOT / "docs" / conformance).read_text(), tests)]
    limits = of_section((ROOT / "docs" / LIMITS[0]).read_text(), LIMITS[1])
    wrong += [f"{LIMITS[0]}: {line}" for line in missing(limits, tests)]
    wrong += [] if limits.strip() else [f"{LIMITS[0]}: {LIMITS[1]} is missing"]
    doors = (ROOT / "SECURITY.md").read_text()
    hostile = {path.name for path in ROOT.glob("tests/e2e/test_*.py") if HOSTILE.fullmatch(path.name)}
    wrong += [f"SECURITY.md: no row names a test of {name}" for name in sorted(hostile) if name not in doors]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
