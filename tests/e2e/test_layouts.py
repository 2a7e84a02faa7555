# SPDX-License-Identifier: BSD-2-Clause
"""A datapath of another layout is taken over, newer or older, under traffic, and after a kill at any moment."""

import ctypes
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest
from scapy.layers.inet import TCP, UDP

import agent as programs
import other_layout
from agent import wait_for
from gateways import Gateways
from lab import GATEWAY_IN, MAPPING
from pcp_client import Client
from test_pcp import HOST, configured, leases, real_hosts
from test_restart import Stream

pytestmark = pytest.mark.long

RUNTIME = ("10.9.0.0/24", "1.1.9.0/28")


@pytest.fixture(scope="module")
def other_layout_build(tmp_path_factory):
    """The directory of an agent whose records have their members in another order, or of an earlier version."""
    if "DETNAT_EARLIER_BUILD" in os.environ:
        return pathlib.Path(os.environ["DETNAT_EARLIER_BUILD"])
    return other_layout.build(other_layout.migratable, tmp_path_factory.mktemp("other") / "tree")


def use(monkeypatch, directory):
    monkeypatch.setattr(programs, "AGENT", directory / "detnat-agent")


def fill(lab):
    """Sessions of every kind, some beyond the slots, and a mapping that is not in the file."""
    agent = lab.agent
    host = lab.host()
    lab.open_udp(host)
    lab.ping(host)
    lab.handshake(host, 5001)
    crowd = [bytes(lab.from_inside(h, UDP(sport=1000 + k, dport=80) / bytes(12), dst=f"198.51.{101 + k % 25}.9"))
             for h in [lab.host() for _ in range(4)] for k in range(300)]

    def opened():
        for frame in crowd:
            lab.inside.send(frame)
        return agent.counters()["sessions_opened"] >= 1203

    wait_for(opened, what="sessions")
    lab.outside.drain()
    assert agent.counters()["sessions_overflowed"] > 500
    agent.ctl("mapping", "add", *RUNTIME)


def listed(agent):
    return sorted((s["proto"], s["in_addr"], s["in_port"], s["out_addr"], s["out_port"], s["ext_addr"]) for s in agent.ctl("session", "list"))


def history(agent):
    return [json.loads(line) for line in (agent.state / "history.jsonl").read_text().splitlines()]


def only_layout(agent):
    """The directory of the pins once everything has been compared."""
    wait_for(lambda: len(list(agent.pins.glob("v*"))) == 1, what="the old pins to go")
    return next(agent.pins.glob("v*")).name


@pytest.mark.parametrize("way", ["up", "down"])
def test_an_agent_of_another_layout_loses_nothing(lab, other_layout_build, monkeypatch, way):
    own = programs.BUILD
    use(monkeypatch, own if way == "up" else other_layout_build)
    agent = lab.start(session_slots=16)
    layout = only_layout(agent)
    fill(lab)
    before, counters = listed(agent), agent.counters()
    with Stream(lab) as stream:
        use(monkeypatch, other_layout_build if way == "up" else own)
        agent.stop()
        assert agent.once("-t").status == 0
        agent.start()
        assert only_layout(agent) != layout
    after = listed(agent)
    assert not set(before) - set(after)
    assert [m["in"] for m in agent.ctl("mapping", "list")] == ["10.0.0.0/18", RUNTIME[0]]
    assert agent.counters()["sessions_opened"] >= counters["sessions_opened"] + 1 and agent.counters()["no_program"] == 0
    assert agent.ctl("check")["findings"] == []
    assert f"the datapath of layout {layout[1:]} was taken over as layout" in agent.log_text() and "of 2 mappings" not in agent.log_text()
    # The history continues: no time is unknown.
    assert [(r["event"], r.get("unknown_since")) for r in history(agent)][-1] == ("start", None)
    assert history(agent)[-1]["taken_over"] is True
    assert stream.sent > 0


# State of the pins when the agent is killed.
MOMENTS = {
    "the copy is begun": lambda agent, old: any(agent.pins.glob("v*/moving")),
    "the copy is complete": lambda agent, old: any(p.parent.name != old for p in agent.pins.glob("v*/running")),
    "the new programs are loaded": lambda agent, old: any(p.parent.name != old for p in agent.pins.glob("v*/tc_leaves_*")),
    "the new programs run": lambda agent, old: len(list(agent.pins.glob("v*"))) == 2 and not any(agent.pins.glob("v*/moving")),
    "the old pins are gone": lambda agent, old: not (agent.pins / old).exists(),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_after_a_kill_at_any_moment_the_next_start_continues(lab, other_layout_build, monkeypatch, moment):
    agent = lab.start(session_slots=16)
    layout = only_layout(agent)
    fill(lab)
    before = listed(agent)
    with Stream(lab):
        agent.stop()
        use(monkeypatch, other_layout_build)
        agent.launch()
        end = time.monotonic() + 60
        # Brief states may be missed; then it is killed later, which must do no harm either.
        while not MOMENTS[moment](agent, layout) and (agent.pins / layout).exists() and agent.running() and time.monotonic() < end:
            pass
        agent.end(signal.SIGKILL)
        agent.start()
        assert only_layout(agent) != layout
    assert not set(before) - set(listed(agent))
    assert [m["in"] for m in agent.ctl("mapping", "list")] == ["10.0.0.0/18", RUNTIME[0]]
    assert agent.ctl("check")["findings"] == []


def rewrite_types(pin, old, new):
    """Changes the spelling of a name in pinned type information."""
    size = json.loads(subprocess.run(["bpftool", "-j", "map", "show", "pinned", pin], check=True, stdout=subprocess.PIPE).stdout)["bytes_value"]
    key, value = ctypes.c_uint32(0), ctypes.create_string_buffer(size)
    path = ctypes.create_string_buffer(str(pin).encode())

    def bpf(command, *words):
        attr = (ctypes.c_uint64 * 8)(*words)
        result = ctypes.CDLL(None, use_errno=True).syscall(321 if os.uname().machine == "x86_64" else 280, command, attr, ctypes.sizeof(attr))
        assert result >= 0, os.strerror(ctypes.get_errno())
        return result

    fd = bpf(7, ctypes.addressof(path))
    bpf(1, fd, ctypes.addressof(key), ctypes.addressof(value))
    assert old + b"\0" in value.raw and len(old) == len(new)
    value.raw = value.raw.replace(old + b"\0", new + b"\0")
    bpf(2, fd, ctypes.addressof(key), ctypes.addressof(value))
    os.close(fd)


def test_gateways_keep_each_others_copies_when_one_gets_another_layout(run_directory, other_layout_build, monkeypatch):
    gateways = Gateways(run_directory)
    try:
        a, b = gateways.start().labs
        own, copied = a.host(), b.host("10.0.0.99")
        for lab, host in ((a, own), (b, copied)):
            for port in range(5000, 5010):
                lab.open_udp(host, port)
        for number in (0, 1):
            gateways.wait_copied(number, 10)
        a.agent.stop()
        gateways.wait_state("down", 1)
        use(monkeypatch, other_layout_build)
        a.agent.start()
        gateways.wait_synchronised()
        assert [gateways.peer(n)["copies"] for n in (0, 1)] == [10, 10]
        # None has become its own on both sides: what ends at its gateway ends at the other.
        for lab, host in ((a, own), (b, copied)):
            lab.agent.ctl("session", "flush", host.addr)
        wait_for(lambda: [lab.agent.ctl("status")["sessions"] for lab in (a, b)] == [0, 0], what="the end of all", interval=0.05)
    finally:
        gateways.close()


@pytest.mark.parametrize("before", [{"udp": 3}, {}], ids=["limits before", "none before"])
def test_limits_hold_after_a_change_of_the_layout(lab, other_layout_build, monkeypatch, before):
    """Limits that the datapath of before had, and those that come with the new agent alone, count the sessions there are."""
    agent = lab.start(mappings=[{**MAPPING, "limits": before} if before else MAPPING])
    host = lab.host()
    for port in (5000, 5001):
        lab.open_udp(host, port)
    lab.handshake(host, 6000)
    use(monkeypatch, other_layout_build)
    agent.stop()
    agent.write(mappings=[{**MAPPING, "limits": {"udp": 3, "tcp": 1}}])
    agent.start()

    def limits():
        return agent.ctl("user", "show", host.addr)["limits"]

    wait_for(lambda: not limits()["counting"], what="the counts")
    assert (limits()["udp"], limits()["tcp"]) == ({"sessions": 2, "limit": 3}, {"sessions": 1, "limit": 1})
    lab.open_udp(host, 5002)
    with lab.counting(drop_quota_protocol=2, sent_icmp_unreachable=None):
        lab.inside.send(lab.from_inside(host, UDP(sport=5003, dport=53) / b"query"),
                        lab.from_inside(host, TCP(sport=6001, dport=80, flags="S")))
    assert agent.ctl("check")["findings"] == []


def test_leases_and_the_epoch_outlive_a_change_of_the_layout(lab, other_layout_build, monkeypatch):
    real_hosts(lab)
    agent = lab.start(**configured())
    with Client(lab.inside_ns, HOST, GATEWAY_IN) as client:
        out = client.lease(port=443)
        # More than passes until the next agent answers, were the epoch its own.
        wait_for(lambda: client.announce().epoch >= 10, what="the epoch to grow old", interval=1)
        use(monkeypatch, other_layout_build)
        agent.stop()
        agent.start()
        assert client.announce().epoch >= 10
    assert [(lease["out_addr"], lease["out_port"]) for lease in leases(agent)] == [out]


def test_an_incompatible_datapath_keeps_running_until_replaced(lab):
    agent = lab.start()
    agent.ctl("mapping", "add", *RUNTIME)
    host = lab.host()
    lab.open_udp(host, 6000)
    with Stream(lab) as stream:
        agent.stop()
        next(agent.pins.glob("v*")).rename(agent.pins / "v99")
        rewrite_types(agent.pins / "v99" / "types", b"truth", b"trvth")
        for options in (["-t"], []):
            result = agent.once(*options)
            assert result.status == 2, result
            assert 'its records "slot" differ' in result.err and "--replace; 2 sessions of 2 mappings are then lost" in result.err
        assert [p.name for p in agent.pins.glob("v*")] == ["v99"]
        assert agent.once("-t", "--replace").status == 2
    agent.start("--replace")
    assert only_layout(agent) != "v99" and "it is replaced, as requested" in agent.log_text()
    # The mappings are the same, their sessions are gone, and the history knows when.
    assert [m["in"] for m in agent.ctl("mapping", "list")] == ["10.0.0.0/18", RUNTIME[0]]
    assert agent.ctl("status")["sessions"] == 0 and stream.sent > 0
    events = [(r["event"], r.get("unknown_since")) for r in history(agent)]
    assert ("detach", None) in events and not any(since for _, since in events), events
    lab.open_udp(host, 6000)
    assert agent.ctl("check")["findings"] == []
