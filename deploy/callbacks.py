#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Callbacks of loops in bpf/ that return something else than LOOP_ON or LOOP_END (bpf/base/subprogram.h)."""

import pathlib
import re
import sys

BPF = pathlib.Path(__file__).resolve().parent.parent / "bpf"
USE = re.compile(r"\bbpf_(?:loop|for_each_map_elem)\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)")
FUNCTION = re.compile(r"^static long (\w+)\(.*?^}", re.M | re.S)
RETURN = re.compile(r"\breturn\b([^;]*);")


def main():
    text = "\n".join(p.read_text() for p in sorted(BPF.rglob("*.[ch]")))
    functions = {m[1]: m[0] for m in FUNCTION.finditer(text)}
    wrong = []
    for use in USE.finditer(text):
        if "," not in use[1]:
            continue  # a comment
        name = re.sub(r"\([^()]*\)", "", use[1]).split(",")[1].strip()
        returned = RETURN.findall(functions.get(name, ""))
        if not returned or not all(r.endswith(("LOOP_ON", "LOOP_END")) for r in returned):
            wrong.append(name)
    for name in wrong:
        print(f"bpf/: {name}() is the callback of a loop: it is `static long` and returns LOOP_ON or LOOP_END")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
