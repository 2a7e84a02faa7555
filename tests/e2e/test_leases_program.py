# SPDX-License-Identifier: BSD-2-Clause
"""detnat-leases, the program that records leases: its rights, its end, and who may send to it."""

import json
import os
import pathlib
import signal

import pytest

from agent import wait_for
from radius import START, Nas
from test_identity_radius import HOST, PORT, configure, figures, lines, verify, who


def program_of(agent):
    """The process that the agent has started."""
    children = pathlib.Path(f"/proc/{agent.process.pid}/task/{agent.process.pid}/children").read_text().split()
    found = [int(pid) for pid in children if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "detnat-leases"]
    return found[0] if found else None


def troubles(agent):
    return {t["what"]: t["text"] for t in json.loads(agent.command("-j", "status").out)["troubles"]}


@pytest.fixture
def radius_lab(lab):
    configure(lab).start()
    return lab


def test_the_program_has_no_capability_and_leaves_no_core(radius_lab):
    pid = program_of(radius_lab.agent)
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    assert all(f"{name}:\t0000000000000000\n" in status for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"))
    assert "NoNewPrivs:\t1\n" in status
    assert "Max core file size        0                    0" in pathlib.Path(f"/proc/{pid}/limits").read_text()
    # The agent has enlarged the buffer, for which the program has no right.
    memory = radius_lab.gateway.run("ss", "-Hulnm", "sport", "=", f":{PORT}").stdout
    assert "rb16777216" in memory, memory


def test_a_killed_program_is_a_gap_in_the_leases_and_none_in_the_translation(radius_lab):
    agent, nas = radius_lab.agent, Nas(radius_lab.gateway, ("127.0.0.1", PORT))
    nas.tell(START, HOST)
    host = radius_lab.host()
    endpoint = radius_lab.open_udp(host)
    pid = program_of(agent)
    os.kill(pid, signal.SIGKILL)
    nas.tell(START, "10.0.16.17", user="bob", session="s2")
    assert program_of(agent) not in (None, pid)
    assert radius_lab.session(host)["out_port"] == endpoint[1]
    begin = lines(agent, "begin")
    assert len(begin) == 2 and begin[1]["from"]
    assert who(agent, at=lines(agent, "start")[0]["time"])["customer"]["id"] == "alice"
    verify(agent)
    wait_for(lambda: "leases" not in troubles(agent), what="the end of the trouble")
    assert figures(radius_lab)["sources"] == 1


def test_a_program_that_cannot_be_started_is_a_trouble(radius_lab):
    """Something else is at the place of the service's socket."""
    agent = radius_lab.agent
    agent.stop()
    (agent.directory / "leases.sock").touch()
    agent.start()
    wait_for(lambda: "leases are not recorded: detnat-leases does not answer at" in troubles(agent).get("leases", ""), what="the trouble")
    (agent.directory / "leases.sock").unlink()
    wait_for(lambda: "leases" not in troubles(agent), what="the end of the trouble")
