# SPDX-License-Identifier: BSD-2-Clause
"""Agents with other layouts: this tree with the members of its records in another order, built once per run."""

import os
import pathlib
import re
import shutil
import subprocess

TOP = pathlib.Path(__file__).parents[2]
TABLES = "include/detnat/tables.h"


def edit(directory, name, change):
    path = directory / name
    before = path.read_text()
    after = change(before)
    assert after != before, f"{name}: nothing to change"
    path.write_text(after)


def struct(text, name):
    """Where the body of a struct begins and ends."""
    begin = text.index(f"struct {name} {{")
    return begin, text.index("\n};", begin)


def rotate(text, name):
    """Moves each 32-bit member of a struct to the place of the next one."""
    begin, end = struct(text, name)
    body = text[begin:end]
    # Not those in a union at the beginning, which the programs change as one word.
    head = body.rindex("\t};") if "\t};" in body else 0
    members = re.compile(r"^(\t__u32 )(\w+);", re.MULTILINE)
    names = [m[2] for m in members.finditer(body, head)]
    following = iter(names[1:] + names[:1])
    body = body[:head] + members.sub(lambda m: f"{m[1]}{next(following)};", body[head:])
    return text[:begin] + body + text[end:]


def version(text, by):
    return re.sub(r"(#define LAYOUT_VERSION )(\d+)", lambda m: m[1] + str(int(m[2]) + by), text)


def migratable(directory):
    """Reorders the members of subscribers and of the shared record, and adds a counter."""
    edit(directory, TABLES, lambda t: rotate(rotate(version(t, +1), "subscriber"), "globals"))
    edit(directory, "include/detnat/reasons.h", lambda t: t.replace("\tX(drop_quota,", '\tX(drop_of_other_layout, "") \\\n\tX(drop_quota,', 1))


def build(kind, directory):
    """Builds an agent with another layout; returns the directory with the programs."""
    directory.mkdir()
    for part in ("Makefile", "agent", "bpf", "cli", "include", "lib"):
        source, target = TOP / part, directory / part
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    kind(directory)
    environment = {k: v for k, v in os.environ.items() if k not in ("BUILD", "MAKEFLAGS", "SANITIZE")}
    # Not optimized, and without the description of the chunks: it is there for a few seconds.
    subprocess.run(["make", "-s", "-j2", "CFLAGS=-O0 -Wno-unused", "build/detnat-agent"],
                   cwd=directory, env=environment, check=True, stdout=subprocess.DEVNULL)
    return directory / "build"
