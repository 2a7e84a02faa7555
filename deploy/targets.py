#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Every documented target of the Makefile runs in CI: as a step of `make test`, `test-rest` or `test-documented`, by a target that
does, in tests/targets.sh, in .ci/run, or in a test that this file names.

    targets.py     prints the targets that nothing runs, and exits with 1 if there are any
"""

import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent
# Targets that a test runs by itself.
TESTED = {"install": "tests/e2e/test_build.py", "uninstall": "tests/e2e/test_build.py", "bench-nic": "tests/vm/pair.sh"}


def main():
    makefile = (TREE / "Makefile").read_text()
    documented = re.findall(r"^([a-z0-9_.-]+):.*## ", makefile, re.M)
    steps = re.findall(r"^define \w+_STEPS\n(.*?)^endef", makefile, re.M | re.S)
    run = {row.split("|")[2].split()[0] for block in steps for row in re.findall(r"'([^']*)'", block)}
    for path in (".ci/run", "tests/targets.sh"):
        text = (TREE / path).read_text()
        run |= {name for name in documented if re.search(rf"(make|in_copy|new)( -[^ ]+| [A-Z]+=[^ ]+)* {re.escape(name)}\b", text)}
    for name, path in TESTED.items():
        if re.search(rf"\b{name}\b|\bnic\.py\b", (TREE / path).read_text()):
            run.add(name)
    # What those run in turn: prerequisites and calls of make.
    rules = dict(re.findall(r"^([a-z0-9_.-]+):(?![=:])(.*\n(?:\t.*\n)*)", makefile, re.M))
    todo = list(run)
    while todo:
        for name in re.findall(r"[a-z0-9_.-]+", re.sub(r"##.*", "", rules.get(todo.pop(), ""))):
            if name in rules and name not in run:
                run.add(name)
                todo.append(name)
    # One whose recipe only calls such.
    calls = {name: re.findall(r"\$\(MAKE\)\S* --no-print-directory ([a-z0-9_.-]+)", rules.get(name, "")) for name in documented}
    missing = [name for name in documented if name not in run and not (calls[name] and run.issuperset(calls[name]))]
    for name in missing:
        print(f"Makefile: nothing runs `make {name}`: a row of TEST_STEPS, REST_STEPS or DOCUMENTED_STEPS is to")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
