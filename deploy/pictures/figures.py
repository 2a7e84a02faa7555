#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Takes the rows of `make bench-e2e` into docs/evidence/figures.tsv, the one table of published figures.

    figures.py RESULTS.json MACHINE     replaces the rows of that command; those of other commands stay

A row is NAME, VALUE, UNIT, COMMAND and MACHINE, separated by tabs. A name of this command is e2e/ROW/GATEWAY/PATH, with the
benchmark's own names; a value is the median over the rounds.
"""

import json
import pathlib
import sys

TABLE = pathlib.Path(__file__).resolve().parents[2] / "docs/evidence/figures.tsv"
HEAD = "name\tvalue\tunit\tcommand\tmachine"
COMMAND = "make bench-e2e"
RATIOS = [("times_nft", "times as fast as nft SNAT")]


def slug(text):
    return text.replace(", ", "-").replace(" ", "-")


def rows(results, machine):
    for row in results["rows"]:
        name = f"e2e/{row['name']}/{slug(row['gateway'])}/{row['path']}"
        unit = {"connection": "ns a connection", "new": "ns a new session"}.get(row["path"], "ns a packet")
        yield name, f"{row['ns']:.1f}", unit, COMMAND, machine
        for key, what in RATIOS:
            if key in row:
                yield f"{name}/{key}", f"{row[key]:.2f}", what, COMMAND, machine
    for row in results["bulk_tcp"]:
        name = f"e2e/bulk-tcp-{row['frames']}-{row['streams']}/{slug(row['gateway'])}"
        yield name, f"{row['gbits_per_second']:.2f}", "Gbit/s", COMMAND, machine
        yield f"{name}/of_nft", f"{row['of_nft']:.2f}", "times as fast as nft SNAT", COMMAND, machine


def read():
    """The published figures: name to row, a dictionary of the columns."""
    head, *lines = TABLE.read_text().splitlines()
    table = [dict(zip(head.split("\t"), line.split("\t"))) for line in lines]
    return {row["name"]: row for row in table}


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: figures.py RESULTS.json MACHINE")
    new = ["\t".join(row) for row in rows(json.loads(pathlib.Path(sys.argv[1]).read_text()), sys.argv[2])]
    old = TABLE.read_text().splitlines()[1:] if TABLE.exists() else []
    kept = [line for line in old if line.split("\t")[3] != COMMAND]
    TABLE.write_text("\n".join([HEAD, *kept, *new, ""]))


if __name__ == "__main__":
    main()
