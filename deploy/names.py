#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Names in the documents that the source does not have: of source files, functions, structs, unions and enums."""

import pathlib
import re
import subprocess
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent
# README compares detnat with other projects and names their files.
DOCUMENTS = ["CONTRIBUTING.md", *sorted(str(p.relative_to(TREE)) for p in (TREE / "docs").rglob("*.md"))]
QUOTED = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"<?([\w/*-]+(?:\.bpf)?\.(?:h|c|def|sh|py))>?")
FUNCTION = re.compile(r"(\w+)\(\)")
TYPE = re.compile(r"(struct|union|enum) (\w+)")
SOURCE = {".h", ".c", ".py", ".sh"}
# Of a library; a pattern for names.
OTHERS = {"xdp_multiprog__from_id", "verb_ID"}


def tree_files():
    listed = subprocess.run(["git", "ls-files"], cwd=TREE, capture_output=True, text=True)
    if listed.returncode == 0:
        return [pathlib.PurePath(line) for line in listed.stdout.splitlines()]
    return [p.relative_to(TREE) for p in TREE.rglob("*") if p.is_file() and "build" not in p.parts]


def is_missing(name, files, words, types):
    if match := FILE.fullmatch(name):
        return not any(f.match(match[1]) for f in files)
    if match := FUNCTION.fullmatch(name):
        return match[1] not in words | OTHERS
    if match := TYPE.fullmatch(name):
        return match.groups() not in types
    return False


def main():
    files = tree_files()
    text = "\n".join((TREE / f).read_text(errors="ignore") for f in files if f.suffix in SOURCE and (TREE / f).is_file())
    words = set(re.findall(r"\b(\w+)\(", text))
    types = set(re.findall(r"\b(struct|union|enum) (\w+)", text))
    found = 0
    for document in DOCUMENTS:
        for number, line in enumerate((TREE / document).read_text().splitlines(), 1):
            for name in filter(lambda n: is_missing(n, files, words, types), QUOTED.findall(line)):
                print(f"{document}:{number}: the source has no `{name}`")
                found += 1
    return found > 0


if __name__ == "__main__":
    sys.exit(main())
