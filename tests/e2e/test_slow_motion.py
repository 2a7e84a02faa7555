# SPDX-License-Identifier: BSD-2-Clause
"""Starts and changes in slow motion: packets arrive after each call by which the agent changes anything.

strace holds the agent up for a few milliseconds after every call, so that a moment in which an inside address would
leave untranslated is as long, wherever it is, and the flood finds it. What is in no mapping is routed, not dropped.
"""

import re
import socket

import frame_flood
import pytest
from scapy.layers.inet import UDP

import agent as agent_module
from lab import MAPPING
from test_guard import OUT, SERVER, flooded
from test_kills import attached

pytestmark = pytest.mark.long

DELAY_MS = 4
CALLS = "bpf,sendto,sendmsg"
OTHER = {"in": "10.9.0.0/24", "out": "1.1.9.0/28"}
MOVED = {**MAPPING, "out": "1.1.2.0/30"}
SPLIT = [{"in": "10.0.0.0/19", "out": "1.1.3.0/31"}, {"in": "10.0.32.0/19", "out": "1.1.3.2/31"}]
OPTIONS = ["-e", f"trace={CALLS}", "-e", f"inject={CALLS}:delay_exit={DELAY_MS}ms"]


def start(lab, monkeypatch):
    monkeypatch.setattr(agent_module, "wrapper", ["strace", "-D", "-f", "-q", "-o", lab.agent.directory / "strace", *OPTIONS])
    lab.agent.launch()
    monkeypatch.setattr(agent_module, "wrapper", [])
    assert lab.agent.first_line().endswith("ready"), lab.agent.log_end()


def change(lab, **configuration):
    lab.agent.write(**configuration)
    with attached(lab.agent, *OPTIONS):
        lab.agent.text("reload")


def calls(lab):
    return len(re.findall(r"^\d+ +\w+\(", (lab.agent.directory / "strace").read_text(errors="replace"), re.MULTILINE))


@pytest.fixture(autouse=True)
def no_leak_check(monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # leak detection needs ptrace, which strace uses


@pytest.mark.parametrize("forwarding", ["redirect", "kernel"])
def test_nothing_leaks_during_a_first_start(lab, forwarding, monkeypatch):
    """The guard is in place, as with the units."""
    assert lab.prepare(forwarding=forwarding, unmatched="route").once("--guard").status == 0
    with flooded(lab):
        start(lab, monkeypatch)
    print(f"{calls(lab)} calls")
    assert lab.translated


@pytest.mark.parametrize("forwarding", ["redirect", "kernel"])
def test_nothing_leaks_during_a_restart_with_another_mapping(lab, forwarding, monkeypatch):
    lab.start(forwarding=forwarding, unmatched="route")
    lab.agent.stop()
    lab.agent.write(mappings=[MOVED])
    with flooded(lab):
        start(lab, monkeypatch)
    print(f"{calls(lab)} calls")
    assert lab.translated


CHANGES = {
    "another mapping": {"mappings": [MAPPING, OTHER]},
    "another outside prefix": {"mappings": [MOVED]},
    "a mapping in two parts": {"mappings": SPLIT},
    "other programs": {"answer_arp": True},
    "other forwarding": {"forwarding": "kernel"},
    "other forwarding and prefix": {"forwarding": "kernel", "mappings": [MOVED, OTHER]},
}


@pytest.mark.parametrize("what", CHANGES)
def test_nothing_leaks_during_a_change(lab, what):
    lab.start(unmatched="route")
    with flooded(lab):
        change(lab, **CHANGES[what])
    print(f"{calls(lab)} calls")
    assert lab.translated


REPLACED = {
    "by the same prefix": "mapping del 10.0.0.8/29\nmapping add 10.0.0.8/29 1.1.6.0/32\n",
    "by a longer one": "mapping del 10.0.0.8/29\nmapping add 10.0.0.9/32 1.1.6.0/32\n",
    "by a shorter one": "mapping del 10.0.0.8/29\nmapping add 10.0.0.0/28 1.1.6.0/32\n",
}


@pytest.mark.parametrize("how", REPLACED)
def test_an_exception_that_is_replaced_never_leaves_by_the_mapping_around(lab, how, tmp_path):
    """Something drains, so that the agent writes the map of drains between the deletion and the addition."""
    lab.start(mappings=[MAPPING, {"in": "10.0.0.8/29", "out": "1.1.5.0/32"}, OTHER], sweep_interval=60)
    lab.agent.ctl("mapping", "del", OTHER["in"], "--drain", "100")
    outside, host = frame_flood.Sniffer(lab.outside_ns), lab.host("10.0.0.9")
    lines = tmp_path / "batch"
    lines.write_text(REPLACED[how])
    with frame_flood.Flood(lab.inside_ns, "eth0", lab.from_inside(host, UDP(sport=5000, dport=53) / OUT)) as up:
        up.wait(300)
        with attached(lab.agent, *OPTIONS):
            lab.agent.text("-b", str(lines))
        up.wait(300)
    before, after, around = outside.count(*(socket.inet_aton(a) + socket.inet_aton(SERVER) for a in ("1.1.5.0", "1.1.6.0", "1.1.1.0")))
    outside.close()
    assert before and after, "it was translated before and is afterwards"
    assert not around, f"{around} packets left by the mapping around the exception"
