# SPDX-License-Identifier: BSD-2-Clause
"""Gateways of which one has a clock that is an hour or a day off: they say so, and lose and keep nothing by it."""

import contextlib
import datetime
import re

import pytest
from scapy.layers.inet import UDP

import clock as own_clock
from agent import wait_for
from lab import GATEWAY_IN
from pcp_client import Client
from test_growth import GROWING, OUT, close_all, fill, grants, grow, holder, settled
from test_growth_copied import wait_alike
from test_history_told import library
from test_pcp import HOST, real_hosts
from test_pcp import MAPPING as LEASED
from test_replication import wait_same
from test_replication_leases import wait_both

HOUR, DAY = 3600, 86400


@pytest.fixture
def clock(run_directory, gateways):
    """The clock of the second gateway."""
    lab = gateways.b
    return own_clock.Clock(library(lab.directory), lab.directory / "clock")


def start(gateways, clock, shift, **config):
    clock.set(shift)
    gateways.prepare(0, **config).start()
    gateways.prepare(1, **config).start(**clock.environment)
    gateways.wait_synchronised()
    return gateways.labs


def later(text, seconds):
    return (datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def troubles(lab):
    return [trouble["text"] for trouble in lab.agent.ctl("status")["troubles"] if trouble["what"] == "replication"]


def wait_told(gateways, shift):
    """Both name the difference, each from its own side; or none does."""
    for number, ahead in ((0, shift), (1, -shift)):
        lab = gateways.labs[number]
        wait_for(lambda n=number, s=ahead: abs(gateways.peer(n)["clock_ahead_seconds"] - s) < 2, what=f"{ahead} s ahead", interval=0.1)
        if not shift:
            wait_for(lambda lab=lab: troubles(lab) == [], what="no trouble", interval=0.1)
            assert "clock is" not in lab.agent.text("peer", "list")
            continue
        word = "ahead of" if ahead > 0 else "behind"
        # Until it has looked again, it may say that the other one was not connected.
        wait_for(lambda lab=lab: any("the clock of" in text for text in troubles(lab)), what="the trouble", interval=0.1)
        (text,) = troubles(lab)
        said = re.search(rf"the clock of 192\.0\.2\.{2 - number}:9470 is (\d+) s {word} this one", text)
        assert said and abs(int(said.group(1)) - abs(ahead)) < 3, text
        assert f"s {word} this gateway's" in lab.agent.text("peer", "list")


@pytest.mark.parametrize("shift", [HOUR, -DAY])
def test_a_clock_that_is_off_is_told_at_both_until_it_is_set(gateways, clock, shift):
    a, b = start(gateways, clock, shift)
    wait_told(gateways, shift)
    assert gateways.state(0) == gateways.state(1) == "synchronised", "no session is lost by it"
    clock.set(0, b.agent.process)
    wait_told(gateways, 0)
    # Two seconds are no trouble, and are shown.
    clock.set(2, b.agent.process)
    wait_for(lambda: 1 < gateways.peer(0)["clock_ahead_seconds"] < 3, what="two seconds", interval=0.1)
    assert troubles(a) == troubles(b) == []


@pytest.mark.parametrize("shift", [HOUR, -HOUR, DAY, -DAY])
def test_sessions_are_taken_over_and_end_by_their_own_time_whatever_the_clocks(gateways, clock, shift):
    a, b = start(gateways, clock, shift, timeouts={"udp": 4})
    host = a.host()
    b.host(host.addr)
    src = a.open_udp(host)
    wait_same(a, b, host)
    b.send_out(b.from_inside(host, UDP(sport=5000, dport=53) / b"again"), src)
    a.open_udp(host, 5001)
    wait_same(a, b, host)
    for lab in gateways.labs:
        wait_for(lambda lab=lab: lab.sessions(host.addr) == [], what="the end of all sessions")
        lab.agent.check()


@pytest.mark.parametrize("shift", [DAY, -DAY])
def test_leases_are_renewed_ended_and_run_out_whatever_the_clocks(gateways, clock, shift):
    for lab in gateways.labs:
        real_hosts(lab)
    start(gateways, clock, shift, mappings=[LEASED], pcp={"listen": [GATEWAY_IN], "announce": False, "lifetime": {"min": 3, "max": 3600}})
    with contextlib.ExitStack() as stack:
        at_a, at_b = (stack.enter_context(Client(lab.inside_ns, HOST, GATEWAY_IN)) for lab in gateways.labs)
        for port in (80, 81, 82):
            at_a.lease(port=port, lifetime=300)
        wait_both(gateways, {80: 300, 81: 300, 82: 300})
        # The last act counts, whichever clock it has.
        at_b.lease(port=80, lifetime=3600)
        assert at_b.map(port=81, lifetime=0).result == "SUCCESS"
        wait_both(gateways, {80: 3600, 82: 300})
        at_a.lease(port=80, lifetime=600)
        at_a.lease(port=81, lifetime=900)
        wait_both(gateways, {80: 600, 81: 900, 82: 300})
        assert at_a.map(port=80, lifetime=0).result == "SUCCESS"
        wait_both(gateways, {81: 900, 82: 300})
        # What runs out does so at both.
        at_b.lease(port=83, lifetime=12)
        wait_both(gateways, {81: 900, 82: 300, 83: 12})
        wait_both(gateways, {81: 900, 82: 300})
    for lab in gateways.labs:
        lab.agent.check()


@pytest.mark.parametrize("shift", [DAY, -DAY])
def test_blocks_are_granted_ended_and_granted_again_whatever_the_clocks(gateways, clock, shift):
    growing = {**GROWING, "growth": {**GROWING["growth"], "idle": 2, "rest": 1}}
    a, b = start(gateways, clock, shift, mappings=[growing], unmatched="drop")
    hosts = {lab: lab.host("10.0.0.3") for lab in gateways.labs}
    for lab, other in ((a, b), (b, a), (a, b)):
        fill(lab, hosts[lab])
        src = grow(lab, hosts[lab], 5008)
        wait_alike(gateways)
        wait_for(lambda it=other: len(it.sessions("10.0.0.3")) == 9, what="the copies", interval=0.05)
        other.send_in(other.from_outside(OUT, UDP(sport=53, dport=src[1]) / b"answer"), hosts[other], 5008)
        # Each names the subscriber by its own clock.
        assert holder(lab, src[1], later(settled(lab), shift if lab is b else 0)) == "10.0.0.3"
        close_all(lab, hosts[lab], range(5000, 5009))
        wait_for(lambda: not grants(a) and not grants(b), what="the end at both", interval=0.05)
        wait_for(lambda: a.sessions("10.0.0.3") == b.sessions("10.0.0.3") == [], what="the end of all sessions", interval=0.05)
    for lab in gateways.labs:
        lab.agent.check()
