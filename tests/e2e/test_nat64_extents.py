# SPDX-License-Identifier: BSD-2-Clause
"""Sessions of IPv6 subscribers beyond their slots: each is its host's alone, and lives as one in a slot does."""

import pytest
from scapy.layers.inet import UDP

from agent import wait_for
from lab import SERVER
from lab64 import MAPPING64, block, host, kill_and_start, stop_and_start, subscriber_prefix

SLOTS = 8
PORT = 5000
HOSTS = 4
MAPPING = {**MAPPING64, "session_slots": SLOTS, "hosts_per_subscriber": HOSTS}


@pytest.fixture(name="lab")
def _lab(lab64_by_mode):
    return lab64_by_mode


def opened(lab, addr, port, dport):
    """Opens a session on whatever port; its outside endpoint."""
    lab.inside.send(lab.out6(addr, UDP(sport=port, dport=dport) / b"query"))
    came = lab.outside.packet()
    src = came["IP"].src, came[UDP].sport
    assert block(3).lo <= src[1] <= block(3).hi, src
    return src


def fill(lab, n=100):
    """Sessions of all hosts in turn, the first few in slots: {(host, inside port, port outside): outside endpoint}."""
    flows = [(host(3, 1 + i % HOSTS), PORT + i // HOSTS, 1000 + i // 16) for i in range(n)]
    return {flow: opened(lab, *flow) for flow in flows}


def strays(lab):
    """
    One inside port of each host, to one server, whose group of ports has no free one: they have one key, and ports of
    another group.
    """
    ports = block(3).ports
    first = PORT - PORT % ports + 9 + ports
    flows = [(host(3, 1 + i % HOSTS), first + ports * (i // HOSTS), 443) for i in range(3 * HOSTS)]
    found = {flow: opened(lab, *flow) for flow in flows}
    last = {flow: src for flow, src in found.items() if flow[1] == first + 2 * ports}
    assert len(last) == HOSTS and all((src[1] - block(3).lo) // 8 != 9 // 8 for src in last.values()), last
    return found


def go_on(lab, sessions):
    for (addr, port, dport), src in sessions.items():
        lab.answer6(src, addr, port=port, dport=dport)
        lab.open6(addr, port=port, dport=dport, outside=src)


def listed(lab, of=None):
    return {(s["in_addr"], s["in_port"], s["ext_port"]): (s["out_addr"], s["out_port"])
            for s in lab.agent.ctl("session", "list", of or subscriber_prefix(3))}


def no_findings(lab):
    findings = lab.agent.ctl("check")["findings"]
    assert not findings, findings


def test_they_pass_and_go_on(lab):
    lab.start(mappings=[MAPPING])
    sessions = {**fill(lab), **strays(lab)}
    assert len(set(sessions.values())) < len(sessions), "ports are shared by servers"
    go_on(lab, sessions)
    for step in (stop_and_start, kill_and_start, lambda lab: lab.agent.ctl("reload")):
        assert listed(lab) == sessions
        no_findings(lab)
        step(lab)
        go_on(lab, sessions)
    user = lab.agent.ctl("user", "show", subscriber_prefix(3))
    assert user["sessions"] == len(sessions), user
    assert {h["addr"]: h["sessions"] for h in user["hosts"]} == {host(3, 1 + i): len(sessions) // HOSTS for i in range(HOSTS)}, user
    assert lab.agent.ctl("check")["checked"]["overflow_sessions"] >= len(sessions) - SLOTS


def test_they_are_closed_and_flushed_by_host(lab):
    lab.start(mappings=[MAPPING])
    sessions = {**fill(lab), **strays(lab)}
    # Of four sessions with one key, one is closed.
    closed = next(flow for flow in sessions if flow[0] == host(3, 2) and flow[2] == 443)
    lab.agent.ctl("session", "close", "in", f"[{closed[0]}]:{closed[1]}", f"{SERVER}:443")
    src = sessions.pop(closed)
    assert listed(lab) == sessions
    with lab.counting(drop_no_session=1):
        lab.outside.send(lab.from_outside(src[0], UDP(sport=443, dport=src[1]) / b"late"))
    flushed = {flow: src for flow, src in sessions.items() if flow[0] == host(3, 1)}
    assert lab.agent.ctl("session", "flush", host(3, 1))["closed"] == len(flushed)
    left = {flow: src for flow, src in sessions.items() if flow not in flushed}
    assert listed(lab) == left
    go_on(lab, left)
    no_findings(lab)


def test_a_host_with_sessions_there_alone_is_in_use(lab):
    lab.start(mappings=[MAPPING])
    sessions = {(host(3, 1), PORT + i, 53): opened(lab, host(3, 1), PORT + i, 53) for i in range(3 * SLOTS)}
    sessions.update({(host(3, n), PORT, 443): opened(lab, host(3, n), PORT, 443) for n in range(2, HOSTS + 1)})
    with lab.counting(drop_hosts=1, sent_icmp_unreachable=1):
        lab.inside.send(lab.out6(host(3, 99), UDP(sport=PORT, dport=53) / b"one host too many"))
    lab.inside.clear()
    go_on(lab, sessions)
    lab.agent.ctl("session", "flush", host(3, 2))
    late = opened(lab, host(3, 99), PORT, 53)
    lab.answer6(late, host(3, 99))


def test_they_drain(lab):
    lab.start(mappings=[MAPPING])
    sessions = {**fill(lab), **strays(lab)}
    lab.agent.ctl("mapping", "add", MAPPING["in"], "1.1.2.0/30", "--replace", "--drain", "600")
    go_on(lab, sessions)
    # In the new mapping the hosts have other numbers, and sessions beyond its slots, too.
    for i in range(4 * SLOTS):
        lab.inside.send(lab.out6(host(3, HOSTS - i % HOSTS), UDP(sport=30000 + i, dport=80) / b"query"))
        assert lab.outside.packet()["IP"].src.startswith("1.1.2.")
    kill_and_start(lab)
    go_on(lab, sessions)
    no_findings(lab)
    lab.agent.ctl("mapping", "del", MAPPING["in"], MAPPING["out"])
    wait_for(lambda: len(lab.agent.ctl("mapping", "list")) == 1, what="the end of the drain")
    assert len(listed(lab)) == 4 * SLOTS
