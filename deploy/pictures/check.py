#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether the pictures are those of this tree, and the figures that documents quote those of docs/evidence/figures.tsv."""

import html
import json
import pathlib
import re
import sys

import chart
import figures

TREE = pathlib.Path(__file__).resolve().parents[2]
PICTURES = TREE / "docs/pictures"
SHORT, LARGE = "ethip4udp-{}-h1024-p63-s64512-mrr/{}/in2out", "ethip4udp-{}-h16384-p63-s1032192-mrr/{}/in2out"
# A document, a pattern in it, joined over its lines, and the figure of each group: a name, and how it is quoted.
MIXED = "e2e/imix-1c-ethip4udp-nat44det-h16384-p63-s1032192-d100k-r1m-new5-mrr/detnat-redirect/mixed"
MEMORY = r"([\d.]+) KB(?: a subscriber)? (?:with|at)(?: up to)? 63 ports?(?: [^.;]*?)?,? (?:and )?([\d.]+)(?: KB)? (?:with|at) 1008"
QUOTED = [
    ("docs/guide/FAQ.md", r"one core translates ([\d.]+) million packets a second of mixed traffic", [(MIXED, "mpps")]),
    ("docs/guide/ROUTING.md", r"\| 64,512 \| ([\d.]+) / ([\d.]+) \| 2 MB .* 1,032,192 \| ([\d.]+) / ([\d.]+) \| 35 MB "
     r".* 5 % openings\) \| 1,032,192 \| ([\d.]+), both.* \| 64,512 \| ([\d.]+) / ([\d.]+) \|",
     [(f"e2e/64b-1c-{row.format('nat44det', 'detnat-redirect').replace('in2out', path)}", "mpps")
      for row in (SHORT, LARGE) for path in ("in2out", "out2in")] + [(MIXED, "mpps")] +
     [(f"e2e/64b-1c-{SHORT.format('nat44det', 'detnat-kernel').replace('in2out', path)}", "mpps") for path in ("in2out", "out2in")]),
    ("docs/man/detnat.json.5", r"translation: ([\d.]+) ns a packet where it takes ([\d.]+) with",
     [(f"e2e/64b-1c-{SHORT.format('nat44det', name)}", "ns") for name in ("detnat-kernel", "detnat-redirect")]),
    *((page, MEMORY, [(63, "memory"), (1008, "memory")]) for page in
      ("README.md", "docs/guide/COMPARISON.md", "docs/guide/LIMITS.md", "docs/evidence/PERFORMANCE.md")),
    ("README.md", r"detnat translates ([\d.]+) with 64,512 sessions and ([\d.]+) with a million, nftables ([\d.]+) and ([\d.]+), "
     r"a bare XDP redirect ([\d.]+) and ([\d.]+)",
     [(f"e2e/64b-1c-{row.format(program, gateway)}", "mpps") for program, gateway in
      (("nat44det", "detnat-redirect"), ("nat44nft", "nft-SNAT"), ("ip4xdp", "XDP-no-NAT")) for row in (SHORT, LARGE)]),
    ("README.md", r"connections open and close ([\d.]+) times",
     [("e2e/64b-1c-ethip4tcp-nat44det-h1024-p63-s64512-cps/detnat-redirect/connection/times_nft", "ratio")]),
    ("README.md", r"tc sends by default: ([\d.]+) times nftables a packet out, ([\d.]+) in, and bulk TCP ([\d.]+) times nftables with one connection, "
     r"([\d.]+) times with eight",
     [(f"e2e/64b-1c-{SHORT.format('nat44det', 'detnat-tc-sends').replace('/in2out', '')}/{path}/times_nft", "ratio") for path in ("in2out", "out2in")] +
     [(f"e2e/bulk-tcp-gso-{n}/detnat-tc-sends/of_nft", "ratio") for n in (1, 8)]),
]


def words_of(picture):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", picture.read_text())))


def missing_words():
    """What the demo prints in any run, and its recording does not have."""
    recorded = words_of(PICTURES / "demo.svg")
    source = (TREE / "deploy/demo.sh").read_text().split('if [ -n "$keep" ]')[0]
    version = re.search(r'DETNAT_VERSION "(.*)"', (TREE / "include/detnat/version.h").read_text())[1]
    wanted = re.findall(r'^title "([^"]*)"', source, re.MULTILINE)
    wanted += [f"detnatctl {words}" for words in re.findall(r"^ctl ([a-z -]+)", source, re.MULTILINE)]
    wanted.append(f"detnat-agent {version}:")
    return [words for words in wanted if words.strip() not in recorded]


def quoted(table, name, how):
    if how == "memory":  # 64 octets, and 16 for each slot: twice as many as ports, a power of two from 128 to 1024
        slots = next(n for n in (128, 256, 512, 1024) if n >= 2 * name or n == 1024)
        return f"{(64 + 16 * slots) / 1000:.1f}"
    value = float(table[name]["value"])
    return f"{1000 / value if how == 'mpps' else value:.{0 if how == 'ns' else 1}f}"


def wrong_figures(table):
    for page, pattern, names in QUOTED:
        match = re.search(pattern, re.sub(r"\s+", " ", (TREE / page).read_text()))
        if not match:
            yield f"{page} has nothing like: {pattern}"
            continue
        for shown, (name, how) in zip(match.groups(), names):
            if shown != quoted(table, name, how):
                yield f"{page} has {shown}, docs/evidence/figures.tsv {quoted(table, name, how)}: {name}"


def missing_panels():
    """Panels of the dashboard's picture that the dashboard does not have."""
    titles = [panel["title"] for panel in json.loads((TREE / "deploy/grafana/detnat.json").read_text())["panels"]]
    shown = re.findall(r'class="t"[^>]*>([^<]*)<', (PICTURES / "dashboard.svg").read_text())[1:]
    return [title for title in map(html.unescape, shown) if title not in titles] if shown else ["no panel"]


def main():
    table = figures.read()
    found = [f"docs/pictures/demo.svg has no \"{words}\", which the demo prints: make pictures" for words in missing_words()]
    if (PICTURES / "speed.svg").read_text() != chart.draw(table):
        found.append("docs/pictures/speed.svg is not what docs/evidence/figures.tsv gives: make pictures")
    found += [f"docs/pictures/dashboard.svg has a panel \"{title}\", which deploy/grafana/detnat.json has not: make pictures" for title in missing_panels()]
    found += wrong_figures(table)
    print("\n".join(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
