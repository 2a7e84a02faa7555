#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Makes docs/reference, docs/guide/FIRST-GATEWAY.md and the results in PERFORMANCE.md from the manual pages and from the tables of the
source, so that they cannot drift.

    reference.py            prints the pages that differ from what would be made, and exits with 1 if there are any
    reference.py --write    writes them
"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import descriptions  # noqa: E402
import wrap  # noqa: E402

TREE = pathlib.Path(__file__).resolve().parent.parent
MANUAL = TREE / "docs/man"
MADE = "<!-- Made by `make docs` from {}; do not edit. -->\n"
LITERAL = r'"(?:[^"\\]|\\.)*"'
STRINGS = rf"({LITERAL}(?:\s*{LITERAL})*)"
METRIC = re.compile(rf'"((?:detnat|process)_\w+)",\s*"(gauge|counter|histogram)",((?:{LITERAL}|[^";}}])*)', re.S)
DURATION = re.compile(rf'metrics_duration\(out, "(\w+)",[^"]*{STRINGS}\)')
PEER_COUNTER = re.compile(rf'\{{ "(detnat_\w+_total)",\s*{STRINGS}', re.S)


def read(path):
    return (TREE / path).read_text()


def text_of(literals):
    """The text of adjacent string literals of C."""
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals)).replace('\\"', '"')


def macro(text, name):
    """The rows of an X macro: [(first, text), ...]."""
    body = re.search(rf"#define {name}\(X\)(.*?[^\\])\n", text, re.S)[1]
    return [(row[0], text_of(row[1])) for row in re.findall(rf"X\((\w+),\s*{STRINGS}\)", body)]


def table(head, rows):
    def line(cells):
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
    return "\n".join([line(head), line(["---"] * len(head)), *map(line, rows)]) + "\n"


TAG = re.compile(r"(?:\d+|[*`\[_\\-].*[^.:,])$")


def lists_quoted(lines):
    """
    The texts of lists as quotes, a level for each tab: mandoc indents them, and what is indented would be code, a line a word.
    Code stays code: what is indented behind prose, and in a list what mandoc quotes.
    """
    depth, made = 0, []  # depth of the list that is open
    for number, line in enumerate(lines):
        tabs = len(line) - len(line.lstrip("\t"))
        bare = line[tabs:]
        following = next((text for text in lines[number + 1:] if text), "")
        if not bare:
            inside = min(len(following) - len(following.lstrip("\t")), depth)
            made.append((">" * inside).replace(">", "> ").rstrip() if inside else "")
            continue
        depth = min(depth, tabs)
        # A tag at this depth opens a list, whose texts are one deeper.
        if tabs == depth and TAG.match(bare) and not lines[number + 1:number + 2] == [following] and following.startswith("\t" * (depth + 1)):
            made.append("> " * depth + bare)
            depth += 1
            continue
        if depth and bare.startswith("> ") and tabs == depth:
            bare = "    " + bare[2:]
        elif tabs > depth:
            bare = "\t" * (tabs - depth) + bare if not depth else "    " * (tabs - depth) + bare
        made.append("> " * depth + bare)
    return made


def page(name):
    """A manual page as Markdown, its headings one level lower and without its first and last line."""
    text = subprocess.run(["mandoc", "-T", "markdown", MANUAL / name], capture_output=True, text=True, check=True).stdout
    lines = text.rstrip("\n").split("\n")[1:-1]
    text = "\n".join(lines).strip("\n")
    text = re.sub(r"^#", "##", text, flags=re.MULTILINE)
    text = re.sub(r"'(`[^`\n]+`)'", r"\1", text)
    text = "\n".join(lists_quoted(text.split("\n")))
    # Headings of mdoc are in capitals; so are the links to them.
    return re.sub(r"^(#+) (.*)$", lambda m: f"{m[1]} {m[2].capitalize() if m[2].isupper() else m[2]}", text, flags=re.MULTILINE) + "\n"


def section(text, first, last):
    """The part of a page from one heading up to another."""
    return text[text.index(f"## {first}\n"):text.index(f"## {last}\n")]


def first_gateway():
    text = section(page("detnat.7"), "A first gateway", "See also")
    text = text.replace("## A first gateway\n", "# A first gateway\n", 1)
    return (MADE.format("detnat(7)") + "\n" + text + "\n[OPERATING.md](OPERATING.md) goes on from here, [TROUBLESHOOTING.md](TROUBLESHOOTING.md) helps when "
            "something does not work; [INSTALL.md](INSTALL.md) has the packages.\n")


def configuration():
    return (MADE.format("detnat.json(5)") + "\n# Configuration\n\nThis is detnat.json(5). [detnat.schema.json](detnat.schema.json), which "
            "`detnat-agent --schema` prints, lets an editor check a file, complete its keys and show help about each.\n\n" + page("detnat.json.5"))


def commands():
    verbs = re.split(r"^(?:LOCAL_)?VERB\(", read("lib/proto/verbs.def"), flags=re.MULTILINE)[1:]
    rows = []
    for verb in verbs:
        name = re.search(r'\.name = "([^"]+)"', verb)[1]
        purpose = text_of(re.search(rf"\.purpose = {STRINGS}", verb)[1])
        changes = ".changes = true" in verb
        if name == "check":
            changes = "with `--repair`"
        rows.append((f"`{name}`", purpose, {True: "yes", False: ""}.get(changes, changes)))
    count = sum(row[2] == "yes" for row in rows)
    return (MADE.format("lib/proto/verbs.def and detnatctl(8)") + f"\n# Commands\n\n{len(rows)} commands, of which {count} change the running state, "
            "and `check` with `--repair`. Those need the group `detnat-admin`.\n\n" + table(("command", "purpose", "changes"), rows)
            + "\nWhat follows is detnatctl(8), with the keys of each command's JSON.\n\n" + page("detnatctl.8"))


def metrics():
    rows = {}
    counters = read("agent/metrics/counters.c")
    for source in (read("agent/metrics/lists.c"), read("agent/metrics/page.c"), read("agent/metrics/page_leases.c"), counters):
        for name, value in re.findall(r'(\w+)\[\] = "(detnat_\w+)"', source):
            source = re.sub(rf"\(out, {name},", f'(out, "{value}",', source)
        for name, kind, rest in METRIC.findall(source):
            literals = re.findall(STRINGS, rest)
            if literals:
                rows[name] = (kind, text_of(literals[-1]))
        for name, literals in DURATION.findall(source):
            rows[name] = ("summary", text_of(literals))
        for name, literals in PEER_COUNTER.findall(source):
            rows.setdefault(name, ("counter", text_of(literals)))
    for name, text in activity():
        rows[f"detnat_{name}_total"] = ("counter", f"Of the datapath: {text}.")
    listed = [(f"`{name}`", *rows[name]) for name in sorted(rows)]
    return (MADE.format("agent/metrics and include/detnat/reasons.h") + f"\n# Metrics\n\n{len(listed)} families, at `metrics.listen`. The labels "
            "`reason` of `detnat_packets_total` are the counters of [REASONS.md](REASONS.md). With `metrics.per_mapping` false the "
            "families by mapping are left out, and with them the alerts and panels that need them.\n\n"
            + table(("metric", "type", "meaning"), listed))


def activity():
    text = read("include/detnat/reasons.h")
    names = [name for name in re.findall(r"#define (\w+)\(X\)", text) if name not in ("REASONS", "SENT_KINDS")]
    return [row for name in names for row in macro(text, name)]


def reasons():
    text = read("include/detnat/reasons.h")
    out = MADE.format("include/detnat/reasons.h") + "\n# Counters and drop reasons\n\n"
    out += ("At each hook that it crosses, a packet is counted under exactly one of these. `detnatctl stats`, traces and the label `reason` of "
            "`detnat_packets_total` use the same names; `detnatctl explain` says what to do about one.\n\n")
    out += table(("reason", "meaning"), [(f"`{name}`", meaning) for name, meaning in macro(text, "REASONS")])
    out += "\n## Packets that detnat sends\n\n" + table(("counter", "meaning"), [(f"`{n}`", m) for n, m in macro(text, "SENT_KINDS")])
    return out + "\n## Its own activity\n\n" + table(("counter", "meaning"), [(f"`{n}`", m) for n, m in activity()])


def troubles():
    body = re.search(r"#define TROUBLES\(X\)(.*?[^\\])\n", read("lib/base/trouble.h"), re.S)[1]
    rows = re.findall(rf'X\(\w+, "(\w+)",\s*{STRINGS}\)', body)
    return (MADE.format("lib/base/trouble.h") + f"\n# Troubles\n\nA trouble is a problem beside the datapath, which the agent survives and retries. There are "
            f"{len(rows)} kinds. [TROUBLESHOOTING.md](../guide/TROUBLESHOOTING.md#troubles) says how each comes about and how it ends.\n\n"
            + table(("trouble", "logged when it is over"), [(f"`{name}`", text_of(text)) for name, text in rows]))


GATEWAYS = {"nft-SNAT": "nat44nft", "XDP-no-NAT": "ip4xdp", "kernel-no-NAT": "ip4base", "detnat-redirect": "nat44det", "detnat-kernel": "nat44det",
            "detnat-tc-alone": "nat44det"}
SMALL, LARGE = "h1024-p63-s64512", "h16384-p63-s1032192"
RESULTS = [
    ("64-octet frames out, 64,512 sessions", "64b-1c-ethip4udp-{}-" + SMALL + "-mrr", "in2out"),
    ("in", "64b-1c-ethip4udp-{}-" + SMALL + "-mrr", "out2in"),
    ("out, 1,032,192 sessions", "64b-1c-ethip4udp-{}-" + LARGE + "-mrr", "in2out"),
    ("in", "64b-1c-ethip4udp-{}-" + LARGE + "-mrr", "out2in"),
    ("IMIX, a million routes, 100,000 destinations, 5 % openings", "imix-1c-ethip4udp-{}-" + LARGE + "-d100k-r1m-new5-mrr", "mixed"),
    ("a new UDP session, 64,512 of them", "64b-1c-ethip4udp-{}-" + SMALL + "-open", "new"),
    ("a TCP connection, six segments", "64b-1c-ethip4tcp-{}-" + SMALL + "-cps", "connection"),
]
BULK = [("bulk TCP, frames of 1500 octets, 1 connection", "mtu-1"), ("8 connections", "mtu-8"), ("frames of 64 KB, 1 connection", "gso-1"),
        ("8 connections", "gso-8")]
BEGIN, END = "<!-- Results, made by `make docs` from docs/evidence/figures.tsv. -->\n", "<!-- End of the results. -->\n"


def results():
    """The tables of present results, within docs/evidence/PERFORMANCE.md."""
    figures = dict(line.split("\t")[:2] for line in read("docs/evidence/figures.tsv").splitlines()[1:])
    machines = sorted({line.split("\t")[4] for line in read("docs/evidence/figures.tsv").splitlines()[1:]})
    head = ["", *(name.replace("-", " ") for name in GATEWAYS)]

    def cells(names, places):
        return [f"{float(figures[name]):.{places}f}" if name in figures else "-" for name in names]
    packets = [(what, *cells((f"e2e/{row.format(word)}/{name}/{path}" for name, word in GATEWAYS.items()), 0)) for what, row, path in RESULTS]
    bulk = [(what, *cells((f"e2e/bulk-tcp-{row}/{name}" for name in GATEWAYS), 1)) for what, row in BULK]
    text = read("docs/evidence/PERFORMANCE.md")
    made = f"Nanoseconds of one core: a packet, a session or a connection.\n\n{table(head, packets)}\nGbit/s:\n\n{table(head, bulk)}\n{', '.join(machines)}.\n"
    return text[:text.index(BEGIN)] + BEGIN + "\n" + made + "\n" + text[text.index(END):]


COMPARED_BEGIN, COMPARED_END = "<!-- Compared, made by `make docs` from docs/evidence/figures.tsv. -->\n", "<!-- End of what is compared. -->\n"


def comparison():
    """What nftables is compared with, within docs/guide/COMPARISON.md."""
    figures = dict(line.split("\t")[:2] for line in read("docs/evidence/figures.tsv").splitlines()[1:])
    gateways = {"detnat-redirect": "detnat, by XDP", "detnat-tc-sends": "detnat, by tc (the default on veth, taps, most virtio)",
                "detnat-kernel": "detnat, `forwarding` \"kernel\""}
    rows = [(what, *(f"{float(figures[key]):.1f}" if (key := f"e2e/{row.format('nat44det')}/{name}/{path}/times_nft") in figures else "-" for name in gateways))
            for what, row, path in RESULTS]
    rows += [(f"bulk TCP, {what}", *(f"{float(figures[key]):.1f}" if (key := f"e2e/bulk-tcp-{row}/{name}/of_nft") in figures else "-" for name in gateways))
             for what, row in (("frames of 1500 octets, 8 connections", "mtu-8"), ("frames of 64 KB, 8 connections", "gso-8"))]
    text = read("docs/guide/COMPARISON.md")
    made = f"How many times as fast as nftables without its flowtable:\n\n{table(['', *gateways.values()], rows)}"
    return text[:text.index(COMPARED_BEGIN)] + COMPARED_BEGIN + "\n" + made + "\n" + text[text.index(COMPARED_END):]


PAGES = {
    "docs/guide/COMPARISON.md": comparison,
    "docs/evidence/PERFORMANCE.md": results,
    "agent/config/descriptions.def": descriptions.definitions,
    "docs/guide/FIRST-GATEWAY.md": first_gateway,
    "docs/reference/CONFIGURATION.md": configuration,
    "docs/reference/COMMANDS.md": commands,
    "docs/reference/METRICS.md": metrics,
    "docs/reference/REASONS.md": reasons,
    "docs/reference/TROUBLES.md": troubles,
}


def main():
    write, wrong = sys.argv[1:] == ["--write"], 0
    for name, make in PAGES.items():
        path = TREE / name
        text = wrap.wrap_fully(make()) if name.endswith(".md") else make()
        if path.exists() and path.read_text() == text:
            continue
        if write:
            path.write_text(text)
        else:
            print(f"{name} is not what the source says; `make docs` makes it")
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
