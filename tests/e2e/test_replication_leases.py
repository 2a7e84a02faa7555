# SPDX-License-Identifier: BSD-2-Clause
"""Leases of PCP among gateways: the last act of the client counts, at whichever gateway it was, and stays."""

import contextlib

import pytest

from agent import wait_for
from lab import GATEWAY_IN
from pcp_client import Client
from test_pcp import HOST, MAPPING, leases, real_hosts

CONFIG = {"mappings": [MAPPING], "pcp": {"listen": [GATEWAY_IN], "announce": False}}


@pytest.fixture
def pair(gateways):
    """Both gateways, started, and the client behind each."""
    for lab in gateways.labs:
        real_hosts(lab)
    gateways.start(**CONFIG)
    with contextlib.ExitStack() as stack:
        yield gateways, *(stack.enter_context(Client(lab.inside_ns, HOST, GATEWAY_IN)) for lab in gateways.labs)


def left(lab):
    """The seconds that each lease has left, by inside port."""
    return {lease["in_port"]: lease["expires"] for lease in leases(lab.agent, HOST)}


def are(lab, wanted):
    """Whether a gateway has these leases, give or take a minute."""
    now = left(lab)
    return now.keys() == wanted.keys() and all(abs(now[port] - wanted[port]) < 60 for port in wanted)


def wait_both(gateways, wanted):
    for lab in gateways.labs:
        wait_for(lambda on=lab: are(on, wanted), what=f"leases {wanted}, not {left(lab)}", interval=0.05)


def resynced(gateways):
    """Both ways, completely."""
    before = [gateways.peer(n)["whole_copies"] for n in range(2)]
    gateways.a.agent.ctl("peer", "resync", next(iter(gateways.peers(0))))
    wait_for(lambda: all(gateways.peer(n)["whole_copies"] > before[n] for n in range(2)), what="whole copies", interval=0.05)
    gateways.wait_synchronised()


def test_what_a_client_does_at_the_other_gateway_is_so_at_both_and_a_whole_copy_does_not_undo_it(pair):
    gateways, at_a, at_b = pair
    out = {port: at_a.lease(port=port, lifetime=300) for port in (80, 81, 82)}
    wait_both(gateways, {80: 300, 81: 300, 82: 300})
    assert at_b.lease(port=80, lifetime=3600) == out[80]
    assert at_b.map(port=81, lifetime=0).result == "SUCCESS"
    at_b.lease(port=83, lifetime=900)
    wait_both(gateways, {80: 3600, 82: 300, 83: 900})
    resynced(gateways)
    wait_both(gateways, {80: 3600, 82: 300, 83: 900})
    # Back again, and to a shorter time.
    assert at_a.lease(port=80, lifetime=600) == out[80]
    assert at_a.map(port=83, lifetime=0).result == "SUCCESS"
    wait_both(gateways, {80: 600, 82: 300})
    resynced(gateways)
    wait_both(gateways, {80: 600, 82: 300})
    # The port of one that has ended may be leased again, and by another nonce.
    assert at_b.lease(port=81, lifetime=1200, nonce=b"another none") == out[81]
    wait_both(gateways, {80: 600, 81: 1200, 82: 300})
    for lab in gateways.labs:
        lab.agent.check()
        assert lab.agent.ctl("who", ":".join(map(str, out[80])))["in_addr"] == HOST


@pytest.mark.parametrize("loses", ["nothing", "the agent", "its tables"])
def test_a_gateway_that_was_away_brings_no_lease_back(pair, loses):
    gateways, at_a, at_b = pair
    a, b = gateways.labs
    for port in (80, 81, 82):
        at_a.lease(port=port, lifetime=300)
    wait_both(gateways, {80: 300, 81: 300, 82: 300})
    if loses == "nothing":
        gateways.link("down")
        gateways.wait_state("down")
    else:
        a.agent.kill()
    if loses == "its tables":
        a.agent.detach()
    at_b.lease(port=80, lifetime=3600)
    assert at_b.map(port=81, lifetime=0).result == "SUCCESS"
    b.agent.restart()
    if loses == "nothing":
        gateways.link("up")
    else:
        a.agent.start()
    gateways.wait_synchronised()
    wait_both(gateways, {80: 3600, 82: 300})
    resynced(gateways)
    wait_both(gateways, {80: 3600, 82: 300})
    # Its epoch says whether it has lost leases; the client may go on with the nonce that it has.
    assert at_a.map(port=80, lifetime=600).result == "SUCCESS"
    wait_both(gateways, {80: 600, 82: 300})


def test_an_operators_end_of_a_lease_counts_at_both_and_a_change_of_one_configuration_at_one(pair):
    gateways, at_a, _ = pair
    a, b = gateways.labs
    out = [at_a.lease(port=port, lifetime=3600) for port in (80, 81)]
    wait_both(gateways, {80: 3600, 81: 3600})
    b.agent.ctl("portmap", "del", "tcp", ":".join(map(str, out[0])))
    wait_both(gateways, {81: 3600})
    b.agent.write(pcp=None)
    b.agent.ctl("reload")
    assert left(b) == {}
    gateways.wait_synchronised()
    assert are(a, {81: 3600})
