#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Dead paths in what the packages install: links of documents, files below /usr/share/doc, and paths of the source tree."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parent.parent
DOC = pathlib.PurePath("usr/share/doc")
# In a document that operators get, such a path is of no use unless the sentence says that it is in the source.
SOURCE = re.compile(r"`((?:deploy|tests|agent|bpf|lib|cli|include)/[^`: ]*)")
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
INSTALLED = re.compile(r"/?(?:usr/)?share/doc/(detnat[\w./-]*\w)")
# What names installed files beside the documents.
TEXTS = ["agent/**/*.c", "cli/*.c", "lib/**/*.c", "lib/**/*.def", "deploy/*.service", "deploy/*.json"]


def install(root):
    """What `make install` and the lists of the package detnat-doc put below /usr/share."""
    (root / DOC / "detnat").mkdir(parents=True)
    subprocess.run(["make", "-s", "install-docs", f"DESTDIR={root}", "PREFIX=/usr"], cwd=TREE, check=True)
    rows = [(line, DOC / "detnat-doc") for line in read_list("docs")]
    rows += [(line, DOC / "detnat/examples") for line in read_list("examples")]
    rows += [(line.split()[0], line.split()[1]) for line in read_list("install")]
    for pattern, directory in rows:
        (root / directory).mkdir(parents=True, exist_ok=True)
        for file in TREE.glob(pattern):
            shutil.copy(file, root / directory)


def read_list(kind):
    return (TREE / f"debian/detnat-doc.{kind}").read_text().splitlines()


def dead_links(file, text):
    for match in LINK.finditer(text):
        if "://" not in match[1] and not (file.parent / match[1]).exists():
            yield match.start(), match[1]


def dead_source_paths(text, for_operators):
    for match in SOURCE.finditer(text):
        sentence = text[max(text.rfind(". ", 0, match.start()), text.rfind("\n\n", 0, match.start())) + 1:match.start()]
        if not any(TREE.glob(match[1])):
            yield match.start(), match[1]
        elif for_operators and "source" not in sentence:
            yield match.start(), f"{match[1]} is of the source, which operators need not have"


def dead_installed(root, text):
    for match in INSTALLED.finditer(text):
        if not (root / DOC / match[1]).exists():
            yield match.start(), match[0]


def main():
    found = []
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        install(root)
        for file in sorted((root / DOC).rglob("*.md")):
            text = file.read_text()
            name = file.relative_to(root / DOC)
            dead = [*dead_links(file, text), *dead_source_paths(text, name.parts[0] == "detnat"), *dead_installed(root, text)]
            found += [(name, text.count("\n", 0, at) + 1, what) for at, what in dead]
        pages = (root / "usr/share/man").rglob("*.[1-8]")
        for file in sorted([*pages, *(f for pattern in TEXTS for f in TREE.glob(pattern))]):
            text = file.read_text()
            found += [(file.name, text.count("\n", 0, at) + 1, what) for at, what in dead_installed(root, text)]
    for name, line, what in found:
        print(f"{name}:{line}: dead path: {what}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
