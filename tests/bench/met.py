#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The last line of `make bench`: how many goals are met, of the datapath, end to end, of the agent and of offline work.

    met.py RESULTS.json...      names each goal that is not met
"""

import json
import pathlib
import sys


def goals(results):
    """What, and whether it is met, of each goal: the datapath and end to end have lists of them, the others rows."""
    if "goals" in results:
        return [(goal["what"], goal["met"]) for goal in results["goals"] if "met" in goal]
    rows = results if isinstance(results, list) else results["rows"]
    return [(f"{row['name']}: {row['what']}", row["met"]) for row in rows if row["met"] is not None]


def main():
    found = [goal for path in sys.argv[1:] for goal in goals(json.loads(pathlib.Path(path).read_text()))]
    for what, met in found:
        if not met:
            print(f"not met: {what}")
    print(f"{sum(met for _, met in found)} of {len(found)} met")


if __name__ == "__main__":
    main()
