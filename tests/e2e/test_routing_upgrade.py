# SPDX-License-Identifier: BSD-2-Clause
"""docs/guide/ROUTING.md: a machine is drained, stopped and taken into service again, and no packet is lost in either direction."""

import contextlib
import itertools
import time

import pytest

import routers
import topology
from agent import wait_for
from flows import Download, Flows
from topology import PAIR_POOL as POOL, SERVER, subscriber

pytestmark = pytest.mark.slow  # networks of routing daemons: a CPU second or more for each test

_ports = itertools.count(5000)


@pytest.fixture(scope="module", params=["bird", "frr"])
def network(request, run_directory):
    with topology.pair(run_directory, request.param) as it:
        yield it


@contextlib.contextmanager
def working_flows(network):
    port = next(_ports)
    it = Flows(network.subscribers[0], network.upstream, [(subscriber(10 + n), port) for n in range(30)], [(SERVER, port)] * 30)
    try:
        it.wait_until_all_work()
        yield it
    finally:
        it.close()


def moves(network, flows, download, gateway, other, worse):
    """One direction after the other: from inside first, so that the other gateway knows each session when answers come to it."""
    for side in ("inside", "outside"):
        # Ours is the active one: announced worse it gives way, announced as before it takes over.
        network.gateways[0].daemon.drain(side, worse)
        network.wait_for_ways({POOL: gateway if side == "inside" else other}, {1: other})
        flows.heard("up")
        flows.heard("down")
        download.read(100000)


def counted(gateway):
    counters = gateway.agent.counters()
    return counters["in2out_translated"], counters["out2in_translated"]


def settled(network, seconds=3):
    """Sessions of BFD with the active gateway, once they stay: FRR begins them anew when BGP is up."""
    seen = [None, 0.0]

    def stay():
        if (now := network.bfd_since(1)) != seen[0]:
            seen[:] = now, time.monotonic()
        return len(seen[0]) == 2 and time.monotonic() > seen[1] + seconds

    wait_for(stay, 60, "sessions of BFD to stay", 0.1)
    return seen[0]


def upgrade(network, flows):
    """Drains the active gateway, takes it away and into service again; whether BFD saw nothing but that."""
    active, standby = network.gateways
    network.wait_for_bfd()
    of_active, of_standby = network.bfd_since(1), network.bfd_since(2)
    download = Download(network.subscribers[0], network.upstream, subscriber(59), SERVER)
    moves(network, flows, download, 1, 2, worse=1)
    # Its traffic has gone: what it has counted stays as it is while more packets arrive by the other one.
    wait_for(lambda: counted(active) == (flows.heard("down"), counted(active))[1], what="the traffic to go")
    undisturbed = network.bfd_since(1) == of_active
    announced_worse = active.daemon.save()
    active.daemon.end()
    active.agent.stop()
    active.agent.detach()
    active.namespace.batch("link set inside0 down", "link set outside0 down")
    flows.heard("down")
    # The machine comes back: announced worse, as it went.
    active.namespace.batch("link set inside0 up", "link set outside0 up")
    active.agent.start()
    active.start_routing(network.kind, announced_worse)
    network.wait_for_ways({POOL: 2}, {1: 2})
    of_active = settled(network)
    moves(network, flows, download, 2, 1, worse=0)
    download.finish()
    return undisturbed and (network.bfd_since(1), network.bfd_since(2)) == (of_active, of_standby)


def test_a_machine_is_upgraded_without_a_lost_packet(network):
    for _ in range(3):
        with working_flows(network) as flows:
            undisturbed = upgrade(network, flows)
            told = flows.stop()
        if undisturbed:
            break
    print(f"{network.kind}: {told['up'][0]} packets sent up, {told['down'][0]} down")
    assert told["up"][1] == told["down"][1] == 0, (told, flows.missing("up"), flows.missing("down"))
    assert all(len(flow.peers) == 1 for flow in flows.flows), "endpoints stay as they were"


def test_the_page_has_the_commands_that_were_run():
    page = (routers.TREE / "docs/guide" / "ROUTING.md").read_text()
    for commands in routers.Frr.DRAIN.values():
        for command in commands:
            assert command in page
    for side in ("INSIDE", "OUTSIDE"):
        assert f"s/^define DRAIN_{side} = 0;/define DRAIN_{side} = 1;/" in page
