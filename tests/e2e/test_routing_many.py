# SPDX-License-Identifier: BSD-2-Clause
"""docs/guide/ROUTING.md, three gateways: each is the owner of a group of subscribers and stands in for its neighbour."""

import contextlib
import itertools
import socket

import pytest

import topology
from agent import wait_for
from flows import Flows
from topology import SERVER, subscriber

pytestmark = pytest.mark.slow  # networks of routing daemons: a CPU second or more for each test

POOLS = {1: "203.0.113.0/26", 2: "203.0.113.64/26", 3: "203.0.113.128/26"}
OWNERS = {POOLS[n]: n for n in POOLS}
EACH_ITS_OWN = {n: n for n in POOLS}
_ports = itertools.count(5000)


@pytest.fixture(scope="module", params=["bird", "frr"])
def network(request, run_directory):
    it = topology.Network(run_directory, gateways=3, groups=3)
    try:
        for gateway in it.gateways:
            gateway.start_agent(f"many/{gateway.number}.detnat.json").start_routing(request.param, f"many/{gateway.number}.{request.param}.conf")
        it.wait_for_ways(OWNERS, EACH_ITS_OWN)
        it.wait_for_bfd(at_aggregations=2)
        yield it
    finally:
        it.close()


@contextlib.contextmanager
def flows_of_groups(network):
    """Flows of each group, by its number, all of which work."""
    port = next(_ports)
    made = {group: Flows(network.subscribers[group - 1], network.upstream, [(subscriber(10 + n, group), port) for n in range(20)],
                         [(SERVER, port + 1000 * group)] * 20) for group in POOLS}
    try:
        for of_group in made.values():
            of_group.wait_until_all_work()
        yield made
    finally:
        for of_group in made.values():
            of_group.close()


def test_each_group_leaves_by_its_owner(network):
    with flows_of_groups(network) as flows:
        for group, pool in POOLS.items():
            first = int(pool.split("/")[0].split(".")[3])
            assert {int(flow.peers[-1][0].split(".")[3]) // 64 * 64 for flow in flows[group].flows} == {first}
    for gateway in network.gateways:
        assert {m["in"]: m["sessions"] > 0 for m in gateway.agent.ctl("mapping", "list")} == {
            prefix: number == gateway.number for number, prefix in enumerate(topology.SUBSCRIBERS, 1)
            if number in (gateway.number, (gateway.number - 2) % 3 + 1)}


def test_the_neighbour_stands_in_and_the_others_lose_nothing(network):
    for _ in range(3):
        since = network.bfd_since(1, 3)
        with flows_of_groups(network) as flows:
            network.gateways[1].cut("inside", "outside")
            network.wait_for_ways({**OWNERS, POOLS[2]: 3}, {**EACH_ITS_OWN, 2: 3})
            for way in ("up", "down"):
                flows[2].heard(way)
            assert all(len(flow.peers) == 1 for flow in flows[2].flows), "endpoints stay as they were"
            network.gateways[1].mend("inside", "outside")
            network.wait_for_ways(OWNERS, EACH_ITS_OWN)
            network.wait_for_bfd(at_aggregations=2)
            flows[2].heard("down")
            told = {group: (flows[group].stop(), flows[group].missing("up"), flows[group].missing("down")) for group in (1, 3)}
        if network.bfd_since(1, 3) == since:
            break
    assert [lost for stopped, _, _ in told.values() for _, lost in stopped.values()] == [0, 0, 0, 0], told


def test_a_hairpin_to_the_group_that_a_gateway_stands_in_for_finds_no_session(network):
    """As the page says: gateway 1 stands in for group 3, whose sessions are at gateway 3."""
    port = next(_ports)
    one, three = subscriber(40, 1), subscriber(40, 3)
    sockets = []
    try:
        for group, address in ((1, one), (3, three)):
            with network.subscribers[group - 1].enter():
                sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sockets[-1].bind((address, port))
        blocks = [network.gateways[n - 1].agent.ctl("forward", address) for n, address in ((1, one), (3, three))]
        outside = [(b["out_addr"], b["port_lo"] + port % (b["port_hi"] - b["port_lo"] + 1)) for b in blocks]
        sockets[1].sendto(b"hole", outside[0])
        wait_for(lambda: network.gateways[2].agent.ctl("session", "list", three, "--proto", "udp"), what="the session at gateway 3")
        before = network.gateways[0].counter("drop_no_session")
        sockets[0].sendto(b"lost", outside[1])
        wait_for(lambda: network.gateways[0].counter("drop_no_session") > before, what="the packet to be dropped")
    finally:
        for it in sockets:
            it.close()
