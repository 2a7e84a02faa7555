#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Draws the chart of README from docs/evidence/figures.tsv: packets a second on a core, by gateway and sessions.

    chart.py FILE.svg
"""

import html
import pathlib
import sys

import figures

GATEWAYS = [("XDP-no-NAT", "bare XDP redirect, no NAT", "#9aa5b1"), ("detnat-redirect", "detnat", "#1f8f5f"),
            ("kernel-no-NAT", "kernel forwarding, no NAT", "#c4ccd4"), ("nft-SNAT", "nftables SNAT", "#c8553d")]
GROUPS = [("h1024-p63-s64512", "64,512 sessions"), ("h16384-p63-s1032192", "1,032,192 sessions")]
ROW = "e2e/64b-1c-ethip4udp-{}-{}-mrr/{}/in2out"
PROGRAM = {"XDP-no-NAT": "ip4xdp", "detnat-redirect": "nat44det", "kernel-no-NAT": "ip4base", "nft-SNAT": "nat44nft"}
LEFT, TOP, BAR, GAP, SCALE, WIDTH = 190, 54, 20, 4, 44, 780
STYLE = "text { font: 13px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #24292f } .h { font-weight: 600 } .s { font-size: 11px; fill: #57606a }"


def text(x, y, words, kind="", anchor="start"):
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{html.escape(words)}</text>'


def draw(table):
    body, y, used = [], TOP, []
    for sessions, title in GROUPS:
        body.append(text(16, y + 4, title, "h"))
        y += 14
        for gateway, label, colour in GATEWAYS:
            row = table[ROW.format(PROGRAM[gateway], sessions, gateway)]
            used.append(row)
            mpps = 1000 / float(row["value"])
            body += [text(LEFT - 8, y + 15, label, anchor="end"),
                     f'<rect x="{LEFT}" y="{y}" width="{mpps * SCALE:.1f}" height="{BAR}" fill="{colour}"/>',
                     text(LEFT + mpps * SCALE + 6, y + 15, f"{mpps:.1f}")]
            y += BAR + GAP
        y += 22
    commands, machines = ({row[key] for row in used} for key in ("command", "machine"))
    body.append(text(16, y, f"{', '.join(sorted(commands))}: 64-octet UDP frames from inside to outside over veth, generator and sink on the same core.", "s"))
    body.append(text(16, y + 16, f"{', '.join(sorted(machines))}.", "s"))
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 30}" width="{WIDTH}" height="{y + 30}">',
        f"<style>{STYLE}</style>", f'<rect width="{WIDTH}" height="{y + 30}" rx="8" fill="#ffffff" stroke="#d0d7de"/>',
        text(16, 28, "Million packets a second on one core", "h"), *body, "</svg>", ""])


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: chart.py FILE.svg")
    pathlib.Path(sys.argv[1]).write_text(draw(figures.read()))


if __name__ == "__main__":
    main()
