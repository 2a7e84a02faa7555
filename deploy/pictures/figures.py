#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Takes figures of `make bench` and `make bench-e2e` into docs/evidence/figures.tsv, the one table of published figures.

    figures.py RESULTS.json MACHINE     replaces the rows of the command that made the results; those of the other stay

A row is NAME, VALUE, UNIT, COMMAND and MACHINE, separated by tabs. Of frames end to end a name is e2e/ROW/GATEWAY/PATH, with
the benchmark's own names, and a value the median over the rounds. Of rows of the datapath that were measured in turn a name
is bench/ROW/PATH/of/OTHER, and a value the median of the pairs' ratios, net.
"""

import json
import pathlib
import sys

TABLE = pathlib.Path(__file__).resolve().parents[2] / "docs/evidence/figures.tsv"
HEAD = "name\tvalue\tunit\tcommand\tmachine"
MOST_SPREAD = 0.03  # as in tests/bench/judge.h
RATIOS = [("times_nft", "times as fast as nft SNAT")]


def slug(text):
    return text.replace(", ", "-").replace(" ", "-")


def compared(results):
    for row in results["features"]:
        noisy = ", noisy" if row["spread"] > MOST_SPREAD else ""
        unit = f"times a packet of {row['with']}, {row['pairs']} pairs, spread {100 * row['spread']:.1f} %{noisy}"
        yield f"bench/{row['row']}/{row['path']}/of/{row['with']}", f"{row['ratio']:.3f}", unit


def end_to_end(results):
    for row in results["rows"]:
        name = f"e2e/{row['name']}/{slug(row['gateway'])}/{row['path']}"
        unit = {"connection": "ns a connection", "new": "ns a new session"}.get(row["path"], "ns a packet")
        yield name, f"{row['ns']:.1f}", unit
        for key, what in RATIOS:
            if key in row:
                yield f"{name}/{key}", f"{row[key]:.2f}", what
    for row in results["bulk_tcp"]:
        name = f"e2e/bulk-tcp-{row['frames']}-{row['streams']}/{slug(row['gateway'])}"
        yield name, f"{row['gbits_per_second']:.2f}", "Gbit/s"
        yield f"{name}/of_nft", f"{row['of_nft']:.2f}", "times as fast as nft SNAT"
        yield f"{name}/cpu", f"{row['cpu_seconds_per_gbit']:.3f}", "CPU seconds a gigabit, both ends included"


def read():
    """The published figures: name to row, a dictionary of the columns."""
    head, *lines = TABLE.read_text().splitlines()
    table = [dict(zip(head.split("\t"), line.split("\t"))) for line in lines]
    return {row["name"]: row for row in table}


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: figures.py RESULTS.json MACHINE")
    results = json.loads(pathlib.Path(sys.argv[1]).read_text())
    command, rows = ("make bench", compared) if "features" in results else ("make bench-e2e", end_to_end)
    new = ["\t".join([*row, command, sys.argv[2]]) for row in rows(results)]
    old = TABLE.read_text().splitlines()[1:] if TABLE.exists() else []
    kept = [line for line in old if line.split("\t")[3] != command]
    TABLE.write_text("\n".join([HEAD, *kept, *new, ""]))


if __name__ == "__main__":
    main()
