# SPDX-License-Identifier: BSD-2-Clause
"""Agents of earlier versions, built from the history below build/upgrades, each once for a tree."""

import fcntl
import os
import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).parents[2]

# 1.0.0 by the layout of its samples, and by its date in CHANGELOG.
COMMITS = {6: "46b352715ab8974d63cc13601820f415bb4f0c26", 5: "3b1881860edf4740c2c65ee14514ed1a4ec840f9"}


# Root is not the owner of everybody's clone.
GIT = ("git", "-c", f"safe.directory={TOP}", "-C", TOP)


def _run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def _make(commit, directory):
    archive = subprocess.run([*GIT, "archive", commit, "Makefile", "agent", "bpf", "cli", "include", "lib", "xdp", "deploy"],
                             check=True, stdout=subprocess.PIPE)
    directory.mkdir(parents=True, exist_ok=True)
    _run("tar", "-x", "-C", directory, input=archive.stdout)
    makefile = directory / "Makefile"
    # Compilers of now warn of more than those of then.
    makefile.write_text(makefile.read_text().replace("-Werror ", ""))
    environment = {k: v for k, v in os.environ.items() if k not in ("BUILD", "MAKEFLAGS", "MFLAGS", "SANITIZE", "MAKELEVEL")}
    _run("make", "-s", f"-j{os.cpu_count()}", "CFLAGS=-O1", "build/detnat-agent", "build/detnatctl", "build/detnat-xdp", cwd=directory, env=environment)


def build(layout):
    """The directory with the programs of 1.0.0 that has this layout; skips the test where the history lacks it."""
    commit = COMMITS[layout]
    if subprocess.run([*GIT, "cat-file", "-e", commit + "^{commit}"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip(f"1.0.0 with layout {layout} is built from commit {commit[:8]}, which this history lacks: it takes a whole clone")
    directory = TOP / "build" / "upgrades" / commit[:8]
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(directory.parent / f"{commit[:8]}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # The last one made.
        done = directory / "build" / "done"
        if not done.exists():
            _make(commit, directory)
            done.touch()
    return directory / "build"
