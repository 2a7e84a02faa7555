#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The table of pairs: which test, or which profile of the world, has two features or faults at once.

    pairs.py            compares tests/world/pairs.tsv with the tests, the profiles and docs/internals/PAIRS.md
    pairs.py --write    writes docs/internals/PAIRS.md
    pairs.py --met FILE shows the pairs that runs of the world (`--pairs FILE`) have not met

A line of pairs.tsv is a pair and its cell, separated by tabs: `world ARGUMENTS`, the name of a test, `never: REASON`, or several of
them separated by `; `.
"""

import itertools
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "deploy"))
import wrap  # noqa: E402

TABLE, PAGE = HERE / "pairs.tsv", ROOT / "docs/internals/PAIRS.md"
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "e2e")]

THINGS = ("plain", "beyond", "exception", "untranslated", "open", "drain", "move", "handover", "EIM", "EIF", "portmap", "PCP lease", "hairpin",
          "fragment", "ICMP error", "reset", "quota", "forged source", "stranger", "close", "reload", "batch", "two stages", "kernel mode",
          "tc alone", "tc sends", "restart", "kill", "reboot", "slow disk", "failing disk", "clock step", "link", "rename", "route move", "foreign program",
          "takeover", "split brain", "growth", "limits")
MODES = ("two stages", "kernel mode", "tc alone", "tc sends")


def read_table():
    """{(one, other): [what is in the cell]}, and faults of the file."""
    cells, wrong = {}, []
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        one, other, cell = (line.split("\t") + ["", ""])[:3]
        if one not in THINGS or other not in THINGS or (one, other) in cells or not cell:
            wrong.append(f"line {number}: {one!r} and {other!r}: unknown, twice or without a cell")
        cells[one, other] = cell.split("; ")
    for pair in itertools.combinations(THINGS, 2):
        if pair not in cells:
            wrong.append(f"no line for {pair[0]} and {pair[1]}, in this order")
    return cells, wrong


def reached(words):
    """What a world with these arguments can have at once."""
    from profiles import OF_MODES, REACHES, weights_of
    profile, *more = words
    named = dict(word.split("=") for word in more)
    gateways = int(named.get("GATEWAYS", 1))
    found = {"plain", *OF_MODES[named.get("MODE", "redirect1")]}
    for kind in weights_of(profile, gateways):
        found.update(REACHES[kind])
    return found


def faults(cells):
    from conformance import tests_of_the_tree
    tests = tests_of_the_tree(ROOT)
    for pair, cell in cells.items():
        for what in cell:
            if what.startswith("world "):
                missing = set(pair) - reached(what.split()[1:])
                if missing:
                    yield f"{pair[0]} and {pair[1]}: `{what}` does not reach {', '.join(sorted(missing))}"
            elif not what.startswith("never: ") and what not in tests:
                yield f"{pair[0]} and {pair[1]}: there is no test {what}"


def page(cells):
    """docs/internals/PAIRS.md"""
    notes, letters = {}, {}
    lines = ["# Pairs of features and faults", "",
             "Faults hide where two features meet. This table has a cell for each pair; `tests/world/pairs.tsv` is its source,",
             "`tests/world/pairs.py --write` writes it, and `make lint` compares it with the tests and with the world's profiles.", "",
             "`w` is a world with one gateway and profile `all` (`make world PROFILE=all`). `s`, `k`, `n` and `t` are the same with `MODE=redirect2`,",
             "`MODE=kernel`, `MODE=none` and `MODE=tc`; a `2` behind it is `GATEWAYS=2`. A number is a test in the list below, and `-` a pair that",
             "cannot meet.",
             "A world counts how often both were there within ten seconds: `tests/world/world.py --pairs FILE`.", ""]
    short = {}
    for mode, letter in (("", "w"), (" MODE=redirect2", "s"), (" MODE=kernel", "k"), (" MODE=none", "n"), (" MODE=tc", "t")):
        short |= {f"world all{mode}": letter, f"world all{mode} GATEWAYS=2": f"{letter}2"}
    for number, thing in enumerate(THINGS):
        letters[thing] = chr(65 + number) if number < 26 else "A" + chr(65 + number - 26)
    lines.append("| | | " + " | ".join(letters[t] for t in THINGS[1:]) + " |")
    lines.append("| --- " * (len(THINGS) + 1) + "|")
    for row, one in enumerate(THINGS[:-1]):
        shown = []
        for column, other in enumerate(THINGS[1:], 1):
            marks = []
            for what in cells[one, other] if column > row else []:
                if what in short:
                    marks.append(short[what])
                elif what.startswith("never: "):
                    marks.append("-")
                else:
                    marks.append(str(notes.setdefault(what, len(notes) + 1)))
            shown.append(" ".join(marks))
        lines.append(f"| {letters[one]} | {one} | " + " | ".join(shown) + " |")
    lines += ["", f"{letters[THINGS[-1]]} is {THINGS[-1]}.", "", "## Tests", ""]
    lines += [f"{number}. `{what}`" for what, number in notes.items()]
    lines += ["", "## What cannot meet", "", "| pair | why |", "| --- | --- |"]
    for (one, other), cell in cells.items():
        lines += [f"| {one}, {other} | {what[7:]} |" for what in cell if what.startswith("never: ")]
    return "\n".join(lines) + "\n"


def not_met(paths):
    met = set()
    for path in paths:
        for line in pathlib.Path(path).read_text().splitlines():
            one, other, _ = line.split("\t")
            met.update({(one, other), (other, one)})
    cells, _ = read_table()
    for pair, cell in cells.items():
        if pair not in met and any(what.startswith("world ") for what in cell):
            print(f"{pair[0]}\t{pair[1]}\t{'; '.join(cell)}")


def main():
    if sys.argv[1:2] == ["--met"]:
        not_met(sys.argv[2:])
        return 0
    cells, wrong = read_table()
    wrong += [] if wrong else list(faults(cells))
    if sys.argv[1:] == ["--write"] and not wrong:
        PAGE.write_text(wrap.wrap_fully(page(cells)))
    if not wrong and (not PAGE.exists() or PAGE.read_text() != wrap.wrap_fully(page(cells))):
        wrong.append(f"{PAGE.name} is not what pairs.py --write makes of it")
    for line in wrong:
        print(f"{TABLE.name}: {re.sub(chr(9), ' ', line)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
