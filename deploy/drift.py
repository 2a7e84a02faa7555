#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
What documents say against what the source has: anchors of links, numbers of alert rules, troubles, commands and metrics,
lists of troubles and of changing commands, options of --help.

    drift.py [BUILD]     prints the differences, and exits with 1 if there are any
"""

import pathlib
import re
import subprocess
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^)#\s]*)#([^)\s]+)\)")
PROGRAMS = {"detnat-agent": "detnat-agent.8", "detnatctl": "detnatctl.8", "detnat-xdp": "detnat-xdp.8",
            "detnat-desk": "detnat-desk.8", "detnat-leases": "detnat-leases.8"}


def read(path):
    return (TREE / path).read_text()


def documents():
    return [TREE / "README.md", TREE / "CONTRIBUTING.md", TREE / "SECURITY.md", TREE / "CHANGELOG.md", *sorted((TREE / "docs").rglob("*.md"))]


# ---- links


def slugs(text):
    """The anchors of a document's headings, as GitHub and mkdocs make them."""
    found, fenced = set(), False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        heading = re.match(r"#+ (.*)", line)
        if heading and not fenced:
            plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1]).replace("`", "").lower()
            slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
            found.add(slug if slug not in found else f"{slug}-1")
    return found


def anchors():
    for document in documents():
        for target, anchor in LINK.findall(document.read_text()):
            if "://" in target:
                continue
            other = (document.parent / target) if target else document
            if other.suffix == ".md" and other.exists() and anchor not in slugs(other.read_text()):
                yield f"{document.relative_to(TREE)}: {other.name} has no heading for #{anchor}"


def navigation():
    """Each document has its place on the site."""
    listed = set(re.findall(r": ([\w./-]+\.md)$", read("deploy/site/mkdocs.yml"), re.MULTILINE))
    for document in documents():
        if (name := str(document.relative_to(TREE))) not in listed:
            yield f"deploy/site/mkdocs.yml: {name} is in no menu"


# ---- numbers and lists


def changing_commands():
    verbs = re.split(r"^(?:LOCAL_)?VERB\(", read("lib/proto/verbs.def"), flags=re.MULTILINE)[1:]
    return [re.search(r'\.name = "([^"]+)"', verb)[1] for verb in verbs if ".changes = true" in verb]


def commands():
    return re.findall(r'\.name = "([^"]+)"', read("lib/proto/verbs.def"))


def troubles():
    body = re.search(r"#define TROUBLES\(X\)(.*?[^\\])\n", read("lib/base/trouble.h"), re.S)[1]
    return re.findall(r'X\(\w+, "(\w+)"', body)


def counts():
    """A pattern of prose, and the number that it must have."""
    rules = read("deploy/prometheus/detnat.rules.yml")
    alerts, records = len(re.findall(r"- alert:", rules)), len(re.findall(r"- record:", rules))
    return {r"(\d+) rules found": alerts + records, r"(\d+) alerts?\b(?! rules)": alerts, r"(\d+) (?:kinds of )?troubles\b": len(troubles()),
            r"each of the (\d+) changing commands": len(changing_commands()), r"(\d+) commands, of which": len(commands())}


def numbers():
    for document in [*documents(), *sorted((TREE / "docs/man").iterdir())]:
        text = re.sub(r"\s+", " ", document.read_text())
        for pattern, right in counts().items():
            for found in re.findall(pattern, text):
                if int(found) != right:
                    yield f"{document.relative_to(TREE)}: {pattern.replace(chr(92), '')} has {found}, the source {right}"


def lists():
    known = set(troubles())
    table = read("docs/guide/TROUBLESHOOTING.md").split("\n## Troubles\n")[1].split("\n## ")[0]
    shown = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    page = read("docs/man/detnat-agent.8")
    section = page[page.index(".Ss Trouble"):page.index(".Sh ENVIRONMENT")]
    listed = set(re.findall(r"^\.It Ql (\w+)", section, re.MULTILINE))
    for where, have in (("docs/guide/TROUBLESHOOTING.md", shown), ("docs/man/detnat-agent.8", listed)):
        if have != known:
            yield f"{where}: troubles {sorted(have ^ known)} are there or in lib/base/trouble.h alone"
    # Of detnatctl(8), and the nouns of the guide.
    right = set(changing_commands()) | {"check --repair"}
    page = subprocess.run(["mandoc", "-T", "ascii", "-O", "width=1000", TREE / "docs/man/detnatctl.8"], capture_output=True, text=True, check=True).stdout
    text = re.search(r"Changes are (.*?)\.", re.sub(r".\x08", "", page))[1]
    if (have := set(re.split(r", | and ", text))) != right:
        yield f"docs/man/detnatctl.8: changes {sorted(have ^ right)} are there or in lib/proto/verbs.def alone"
    row = re.search(r"^\| groups `detnat` and `detnat-admin` \|(.*)", read("docs/guide/OPERATING.md"), re.MULTILINE)[1].lower()
    for name in sorted(right):
        if name.split()[0] not in row:
            yield f"docs/guide/OPERATING.md: the permissions do not name {name}"


def notice_kinds():
    """The kinds of `monitor`, which its help, completion and refusals have from lib/proto/words.c."""
    table = re.search(r"notice_words\[\] = \{(.*?)\n\};", read("lib/proto/words.c"), re.S)[1]
    right = re.findall(r'\{ "(\w+)"', table)
    page = read("docs/man/detnatctl.8")
    section = page[page.index(".Oo Cm refusals"):].split("\n.Fl -in :")[0]
    described = re.findall(r"^\.It Cm (\w+)", section[section.index("The kinds of events"):], re.MULTILINE)
    key = read("agent/config/descriptions.def").split('"syslog.events"')[1].split("\n")[0].split("Default")[0]
    places = {"docs/man/detnatctl.8: the synopsis of monitor": re.findall(r"\w+", section.split("Oc")[0])[2:],
              "docs/man/detnatctl.8: monitor": described, "agent/config/descriptions.def: syslog.events": re.findall(r"'(\w+)'", key)}
    for where, have in places.items():
        if have != right:
            yield f"{where} has the kinds {', '.join(have)}; lib/proto/words.c has {', '.join(right)}"


# ---- options


def options(build):
    """--help of each program against its manual page: the same options."""
    for program, name in PROGRAMS.items():
        if not (build / program).exists():
            continue
        told = subprocess.run([build / program, "--help"], capture_output=True, text=True, check=True).stdout
        helped = set(re.findall(r"^ {2,6}(?:-\w, )?(--[\w-]+)", told, re.MULTILINE))
        page = read(f"docs/man/{name}")
        described = page[:page.index(".Ss")] if ".Ss" in page else page
        described = described[described.index(".Sh DESCRIPTION"):]
        listed = {"--" + option for line in re.findall(r"^\.It Fl (.*)", described, re.MULTILINE) for option in re.findall(r"-([a-z][\w-]+)", line)}
        if helped != listed:
            yield f"docs/man/{name}: options {sorted(helped ^ listed)} are there or in {program} --help alone"
        synopsis = re.sub(r"\s+", " ", page[page.index(".Sh SYNOPSIS"):page.index(".Sh DESCRIPTION")])
        usage = told.split("\n\n")[0]
        for option in re.findall(r"--[a-z][\w-]+", usage):
            if option.replace("--", "Fl -", 1) not in synopsis:
                yield f"docs/man/{name}: the synopsis lacks {option}, which {program} --help has"
        for option in re.findall(r"Fl -([a-z][\w-]+)", synopsis):
            if f"--{option}" not in usage:
                yield f"{program} --help: the usage lacks --{option}, which the synopsis has"


def main():
    build = TREE / (sys.argv[1] if len(sys.argv) > 1 else "build")
    found = [*anchors(), *navigation(), *numbers(), *lists(), *notice_kinds(), *options(build)]
    print("\n".join(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
