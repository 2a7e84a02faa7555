# SPDX-License-Identifier: BSD-2-Clause
"""Granted blocks among gateways: carried to peers, taken over, and resolved where both have granted alike."""

import pytest
from scapy.layers.inet import UDP

from agent import CTL, execute, wait_for
from test_ctl_monitor import monitor
from test_growth import GROWING, OUT, checked, close_all, fill, grants, grow, holder, lines, open_one, query, settled
from test_grant_retention import day_lines
from test_history import verified

CONFIG = {"mappings": [GROWING], "unmatched": "drop"}


@pytest.fixture
def pair(gateways):
    gateways.start(**CONFIG)
    return gateways


def blocks(lab):
    return [(g["in_addr"], g["port_lo"]) for g in grants(lab)]


def wait_alike(gateways):
    wait_for(lambda: blocks(gateways.a) == blocks(gateways.b), what="the same grants at both", interval=0.05)


def test_a_grant_is_carried_to_the_peer_with_its_sessions_and_both_histories_name_the_same(pair):
    a, b = pair.labs
    host, there = a.host("10.0.0.3"), b.host("10.0.0.3")
    fill(a, host)
    src = grow(a, host, 5008)
    wait_for(lambda: blocks(b) == blocks(a) != [], what="the grant", interval=0.05)
    wait_for(lambda: len(b.sessions(host.addr)) == 9, what="the copies", interval=0.05)
    b.send_in(b.from_outside(OUT, UDP(sport=53, dport=src[1]) / b"answer"), there, 5008)
    b.send_out(query(b, there, 5008), src)
    assert [g["sessions"] for g in grants(b)] == [1]
    assert holder(a, src[1], settled(a)) == holder(b, src[1], settled(b)) == host.addr
    for lab in pair.labs:
        checked(lab)


@pytest.mark.parametrize("kept", [("30d", "30d"), (None, "30d"), ("30d", None)], ids=["both", "the-peer", "the-granting-one"])
def test_each_gateway_keeps_grants_in_its_own_files_whoever_granted_them(gateways, kept):
    a, b = gateways.labs
    for number, keeping in enumerate(kept):
        gateways.prepare(number, **CONFIG, **({"grant_retention": keeping} if keeping else {})).start()
    gateways.wait_synchronised()
    host = a.host("10.0.0.3")
    fill(a, host)
    src = grow(a, host, 5008)
    wait_for(lambda: blocks(b) == blocks(a) != [], what="the grant", interval=0.05)
    granted = max(settled(lab) for lab in (a, b))
    b.agent.ctl("grant", "revoke", f"{OUT}:{blocks(b)[0][1]}")
    wait_for(lambda: not grants(a) and not grants(b), what="the end", interval=0.05)
    ended = max(settled(lab) for lab in (a, b))
    for lab, keeping in zip(gateways.labs, kept):
        days = day_lines(lab.agent.state)
        assert [bool(one["to"]) for one in (days if keeping else lines(lab))] == [False, True], (keeping, days)
        assert bool(days) == bool(lines(lab, "grant-of-day")) == bool(keeping)
        assert holder(lab, src[1], granted) == host.addr
        told = execute(CTL, "who", f"{OUT}:{src[1]}", "--at", ended, "--state-dir", lab.agent.state)
        assert told.status == 1 and "other gateways grant blocks, too, and none was recorded" in told.err, told
        verified(lab.agent)
        checked(lab)
    # What one of them forgets, the other still knows.
    forgetful, other = (a, b) if kept[0] else (b, a)
    told = execute(CTL, "leases", "expire", "--grants", "--older", "1d", "--state-dir", forgetful.agent.state)
    assert told.status == 0 and day_lines(forgetful.agent.state), told
    assert holder(other, src[1], granted) == host.addr


def test_after_a_failover_the_peer_goes_on_serving_grants_and_takes_idle_blocks_back(gateways):
    idle = {**GROWING, "growth": {**GROWING["growth"], "idle": 2}}
    gateways.start(mappings=[idle], unmatched="drop")
    a, b = gateways.labs
    host, there = a.host("10.0.0.3"), b.host("10.0.0.3")
    fill(a, host)
    src = grow(a, host, 5008)
    wait_for(lambda: len(b.sessions(host.addr)) == 9, what="the copies", interval=0.05)
    a.agent.kill()
    gateways.wait_state("down", 1)
    b.send_out(query(b, there, 5008), src)
    for port in range(6000, 6008):
        open_one(b, there, port)
    assert len(grants(b)) == 2
    assert holder(b, src[1], settled(b)) == host.addr
    close_all(b, there, [5008, *range(6000, 6008)])
    wait_for(lambda: not grants(b), what="the blocks to be taken back")
    # What it had granted does not come back with the one that was away.
    a.agent.start()
    gateways.wait_synchronised()
    wait_for(lambda: not grants(a) and not grants(b), what="the end of the grant at both", interval=0.05)
    for lab in gateways.labs:
        checked(lab)


def test_an_end_at_one_gateway_ends_it_at_the_other_and_each_reports_its_own_acts(pair):
    a, b = pair.labs
    host, other = a.host("10.0.0.3"), b.host("10.0.0.4")
    fill(a, host)
    with monitor(a.agent, "grants") as of_a, monitor(b.agent, "grants") as of_b:
        grow(a, host, 5008)
        wait_for(lambda: blocks(b) == blocks(a), what="the grant", interval=0.05)
        b.agent.ctl("grant", "revoke", f"{OUT}:{blocks(b)[0][1]}")
        wait_for(lambda: not grants(a) and not grants(b), what="the end", interval=0.05)
        assert len(a.sessions(host.addr)) == 8
        fill(b, other)
        grow(b, other, 5008)
        assert [(e["event"], e["in_addr"]) for e in (of_a.event(),)] == [("granted", host.addr)]
        assert [(e["event"], e["in_addr"]) for e in (of_b.event(), of_b.event())] == [("grant-ended", host.addr), ("granted", other.addr)]
        b.agent.ctl("grant", "revoke", f"{OUT}:{blocks(b)[0][1]}")
        wait_for(lambda: not grants(a) and not grants(b), what="the end", interval=0.05)
        open_one(a, host, 5008)
        assert of_a.event()["in_addr"] == host.addr, "nothing of the other's between"
    for lab in pair.labs:
        checked(lab)


def test_grants_of_a_split_brain_are_the_same_at_both_afterwards(pair):
    a, b = pair.labs
    pair.link("down")
    pair.wait_state("down")
    for lab, addr in ((a, "10.0.0.3"), (b, "10.0.0.4")):
        host = lab.host(addr)
        fill(lab, host)
        grow(lab, host, 5008)
    assert len(blocks(a)) == len(blocks(b)) == 1
    pair.link("up")
    pair.wait_synchronised()
    wait_for(lambda: len(blocks(a)) == 2, what="the grant of the other", interval=0.05)
    wait_alike(pair)
    for lab in pair.labs:
        checked(lab)


def wait_blocks(lab, expected):
    wait_for(lambda: blocks(lab) == expected, what=f"the grants {expected}", interval=0.05)


def test_a_block_that_another_has_by_now_does_not_come_back_with_the_gateway_that_was_away(gateways):
    # Of the ports that no block has, one block of 4096 can be made.
    scarce = {**GROWING, "block_pitch": 3770, "growth": {"block": 4096, "idle": 2, "rest": 1}}
    gateways.start(mappings=[scarce], unmatched="drop")
    a, b = gateways.labs
    host, there, other = a.host("10.0.0.3"), b.host("10.0.0.3"), b.host("10.0.0.4")
    for port in range(5000, 5008):
        open_one(a, host, port)
    src = grow(a, host, 5008)
    granted, = blocks(a)
    wait_blocks(b, [granted])
    wait_for(lambda: len(b.sessions(host.addr)) == 9, what="the copies", interval=0.05)
    gateways.link("down")
    gateways.wait_state("down")
    # At the one it is in use; at the other it is idle, has rested, and another subscriber gets it.
    close_all(b, there, [5008])
    wait_blocks(b, [])
    a.send_out(query(a, host, 5008), src)
    for port in range(6000, 6009):
        open_one(b, other, port)
    assert blocks(a) == [granted] and blocks(b) == [(other.addr, granted[1])]
    gateways.link("up")
    gateways.wait_synchronised()
    for lab in gateways.labs:
        wait_blocks(lab, [(other.addr, granted[1])])
    wait_for(lambda: not [s for s in a.sessions(host.addr) if s["in_port"] == 5008], what="the end of the session")
    assert [holder(lab, src[1], settled(lab)) for lab in gateways.labs] == [other.addr] * 2
    for lab in gateways.labs:
        checked(lab)


def test_nor_does_one_that_has_rested_and_nobody_has(gateways):
    idle = {**GROWING, "growth": {**GROWING["growth"], "idle": 2}}
    gateways.start(mappings=[idle], unmatched="drop")
    a, b = gateways.labs
    host = a.host("10.0.0.3")
    fill(a, host)
    src = grow(a, host, 5008)
    wait_blocks(b, blocks(a))
    wait_for(lambda: len(b.sessions(host.addr)) == 9, what="the copies", interval=0.05)
    gateways.link("down")
    gateways.wait_state("down")
    b.agent.ctl("grant", "revoke", f"{OUT}:{src[1]}")
    wait_blocks(b, [])
    wait_for(lambda: "not granted" in b.agent.refused("reverse", f"{OUT}:{src[1]}"), what="the end of the rest")
    b.agent.restart()
    assert len(blocks(a)) == 1
    gateways.link("up")
    gateways.wait_synchronised()
    for lab in gateways.labs:
        wait_blocks(lab, [])
        checked(lab)
        assert [line["to"] is None for line in lines(lab)] == [True, False], "it began once and ended once"
    open_one(a, host, 5008)
    wait_alike(gateways)


def test_a_block_that_is_in_use_outlives_an_end_by_idleness_at_the_other_gateway(gateways):
    idle = {**GROWING, "growth": {**GROWING["growth"], "idle": 2}}
    gateways.start(mappings=[idle], unmatched="drop")
    a, b = gateways.labs
    host, there = a.host("10.0.0.3"), b.host("10.0.0.3")
    fill(a, host)
    src = grow(a, host, 5008)
    granted = blocks(a)
    wait_blocks(b, granted)
    wait_for(lambda: len(b.sessions(host.addr)) == 9, what="the copies", interval=0.05)
    gateways.link("down")
    gateways.wait_state("down")
    # As if it had expired there: with this agent goes the knowledge that somebody has closed it.
    close_all(b, there, [5008])
    wait_blocks(b, [])
    b.agent.restart()
    gateways.link("up")
    gateways.wait_synchronised()
    wait_for(lambda: blocks(b) == granted and len(b.sessions(host.addr)) == 9, what="block and sessions", interval=0.05)
    assert blocks(a) == granted
    b.send_out(query(b, there, 5008), src)
    for lab in gateways.labs:
        checked(lab)
