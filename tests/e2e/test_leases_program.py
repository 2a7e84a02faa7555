# SPDX-License-Identifier: BSD-2-Clause
"""detnat-leases, the program that records leases: its rights, its end, and who may send to it."""

import json
import os
import pathlib
import signal

import pytest

from agent import wait_for
from radius import START, STATUS, Nas, event, request
from test_identity_radius import HOST, PORT, configure, figures, lines, secret_file, source, verify, who


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
    wait_for(lambda: "rb16777216" in radius_lab.gateway.run("ss", "-Hulnm", "sport", "=", f":{PORT}").stdout, what="the buffer")


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


def nas_from(lab, addr, secret, port=PORT):
    nas = Nas(lab.gateway, ("127.0.0.1", port), secret=secret)
    nas.socket.bind((addr, 0))
    return nas


def test_each_client_has_its_secret_and_others_are_discarded_by_the_kernel(lab):
    """A flood from elsewhere is no trouble, and no time in which events were lost; forged requests are counted and not written."""
    agent = configure(lab)
    clients = [{"prefix": prefix, "secret_file": secret_file(agent, secret, name=secret)}
               for prefix, secret in (("127.0.0.0/24", "wide"), ("127.0.0.8/32", "narrow"))]
    agent.write(leases=[{"type": "radius", "listen": f"127.0.0.1:{PORT}", "clients": clients}])
    agent.start()
    nas_from(lab, "127.0.0.7", "wide").tell(START, HOST)
    nas_from(lab, "127.0.0.8", "narrow").tell(START, "10.0.16.17", user="bob", session="s2")
    forger = nas_from(lab, "127.0.0.8", "wide")
    forger.send(request(*event(START, "10.0.16.18", user="eve", session="s3"), secret="wide"))
    wait_for(lambda: figures(lab)["radius_forged_total"] == 1, what="the forged request")
    stranger = nas_from(lab, "127.0.1.1", "wide")
    stranger.socket.setblocking(True)
    packet = request(*event(START, "10.0.16.19", user="mallory", session="s4"), secret="wide")
    for _ in range(100_000):
        stranger.send(packet)
    nas_from(lab, "127.0.0.7", "wide").tell(START, "10.0.16.20", user="carol", session="s5")
    found = wait_for(lambda: (f := figures(lab))["radius_strangers_total"] == 100_000 and f, what="strangers to be counted")
    assert (found["radius_dropped_total"], found["lost_total"], found["radius_forged_total"]) == (0, 0, 1)
    assert [line["id"] for line in lines(agent, "start")] == ["alice", "bob", "carol"] and not lines(agent, "lost")
    assert "leases" not in troubles(agent)
    assert who(agent, at=lines(agent, "start")[0]["time"])["customer"]["id"] == "alice"


def test_two_listeners_that_forward_to_each_other_end_it(lab):
    """What has no line, too, which nothing but its way gives away."""
    agent = configure(lab)
    other = PORT + 10
    agent.write(leases=[source(agent, forward=f"127.0.0.1:{other}"), source(agent, listen=f"127.0.0.1:{other}", forward=f"127.0.0.1:{PORT}")])
    agent.start()
    nas = Nas(lab.gateway, ("127.0.0.1", PORT))
    nas.tell(START, HOST)
    nas.ask(request((STATUS, 3)))
    found = wait_for(lambda: (f := figures(lab))["radius_looped_total"] >= 2 and not f["radius_forward_waiting"] and f, what="the end of the loops")
    assert found["radius_looped_total"] == 2 and found["radius_forwarded_total"] == 2
    assert [line["id"] for line in lines(agent, "start")] == ["alice"]
