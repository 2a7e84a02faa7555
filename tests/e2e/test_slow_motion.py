# SPDX-License-Identifier: BSD-2-Clause
"""Starts and changes in slow motion: packets arrive after each call by which the agent changes anything.

strace holds the agent up for a few milliseconds after every call, so that a moment in which an inside address would
leave untranslated is as long, wherever it is, and the flood finds it. What is in no mapping is routed, not dropped.
"""

import re

import pytest

import agent as agent_module
from lab import MAPPING
from test_guard import flooded
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
