# SPDX-License-Identifier: BSD-2-Clause
"""How the programs are built: hardened, and with nothing in them of where they were built."""

import pytest

import isolation
import prometheus
from agent import AGENT, CTL


@pytest.mark.parametrize("program", [AGENT, CTL], ids=lambda path: path.name)
def test_programs_are_hardened(program):
    headers = isolation.run("readelf", "-W", "-h", "-l", "-d", "-s", program).stdout
    assert "DYN (Position-Independent Executable file)" in headers
    assert "GNU_RELRO" in headers and "BIND_NOW" in headers, "full RELRO"
    assert "__stack_chk_fail" in headers
    stack = next(line for line in headers.splitlines() if "GNU_STACK" in line)
    assert " RWE " not in stack


@pytest.mark.parametrize("program", [AGENT, CTL], ids=lambda path: path.name)
def test_programs_do_not_tell_where_they_were_built(program):
    """So that two builds in two directories are the same; the BPF objects in the agent have type and line information."""
    if any(path.stat().st_mtime < (prometheus.TREE / "Makefile").stat().st_mtime for path in program.parent.rglob("*.o")):
        pytest.skip("objects are older than the Makefile: make clean, and build again")
    assert str(prometheus.TREE).encode() not in program.read_bytes()
