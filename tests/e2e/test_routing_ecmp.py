# SPDX-License-Identifier: BSD-2-Clause
"""docs/guide/ROUTING.md, ECMP: which hashing keeps both halves of a session on one gateway, and what happens where none does."""

import contextlib
import re
import socket

import pytest

import routers
import topology
from agent import wait_for
from flows import Flows
from topology import subscriber

POOLS = {"203.0.113.0/25": 1, "203.0.113.128/25": 2}
BOTH = {1: {1, 2}}
SUBSCRIBERS, EACH = 40, 3


def hashing(namespace, **settings):
    for name, value in settings.items():
        namespace.sysctl(f"net.ipv4.fib_multipath_hash_{name}", value)


def of_the_example(namespace):
    for name, value in re.findall(r"^(\S+) = (\S+)$", (routers.EXAMPLES / "ecmp/aggregation.sysctl.conf").read_text(), re.MULTILINE):
        namespace.sysctl(name, int(value, 0))


@contextlib.contextmanager
def many_flows(network, port):
    """Of each subscriber several, to different servers."""
    sources = [(subscriber(10 + n), port + m) for n in range(SUBSCRIBERS) for m in range(EACH)]
    targets = [(f"198.18.0.{20 + m}", port) for _ in range(SUBSCRIBERS) for m in range(EACH)]
    it = Flows(network.subscribers[0], network.upstream, sources, targets, interval=0.1)
    try:
        yield it
    finally:
        it.close()


def outside_addresses(flows):
    """By subscriber."""
    found = {}
    for flow in flows.flows:
        found.setdefault(flow.source[0], set()).update(peer[0] for peer in flow.peers)
    return found


@pytest.fixture(scope="module", params=["bird", "frr"])
def network(request, run_directory):
    it = topology.Network(run_directory, gateways=2)
    try:
        for gateway in it.gateways:
            gateway.start_agent(f"ecmp/{gateway.number}.detnat.json").start_routing(request.param, f"ecmp/{gateway.number}.{request.param}.conf")
        it.wait_for_ways(POOLS, BOTH)
        yield it
    finally:
        it.close()


@topology.anew_if_disturbed(POOLS, BOTH)
def test_hashing_by_source_gives_each_subscriber_one_gateway_and_one_address(network):
    of_the_example(network.aggregations[0])
    with many_flows(network, 5000) as flows:
        flows.wait_until_all_work()
        addresses = outside_addresses(flows)
        assert all(len(a) == 1 for a in addresses.values()), addresses
        assert {int(next(iter(a)).split(".")[3]) // 128 for a in addresses.values()} == {0, 1}, "both gateways have some"
        # Fragments have no ports to be hashed by: they go where the session is.
        for flow in flows.flows[:: EACH * 4]:
            assert sender_of_fragments(network, flow) == flow.peers[-1][0]
        assert [count for _, count in flows.stop().values()] == [0, 0]


def sender_of_fragments(network, flow):
    """The address from which a datagram of three fragments comes that the flow's subscriber sends to the flow's server."""
    with network.upstream.enter():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with network.subscribers[0].enter():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, client:
        client.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: fragments are wanted
        server.bind((flow.target[0], 9))
        server.settimeout(20)
        client.bind((flow.source[0], 4000 + flow.index))
        client.sendto(bytes(4000), (flow.target[0], 9))
        data, peer = server.recvfrom(65536)
        assert data == bytes(4000)
        return peer[0]


@topology.anew_if_disturbed(POOLS, BOTH)
def test_hashing_by_ports_works_but_gives_subscribers_several_addresses(network):
    hashing(network.aggregations[0], policy=1)
    with many_flows(network, 6000) as flows:
        flows.wait_until_all_work()
        assert any(len(a) > 1 for a in outside_addresses(flows).values())
        assert all(len(flow.peers) == 1 for flow in flows.flows), "a session has one gateway"
        assert [count for _, count in flows.stop().values()] == [0, 0]


@topology.anew_if_disturbed(POOLS, BOTH)
def test_hashing_by_both_addresses_works_but_gives_subscribers_several_addresses(network):
    hashing(network.aggregations[0], policy=0)
    with many_flows(network, 6500) as flows:
        flows.wait_until_all_work()
        assert any(len(a) > 1 for a in outside_addresses(flows).values())
        assert all(len(flow.peers) == 1 for flow in flows.flows), "a session has one gateway"
        # Fragments have both addresses, too.
        for flow in flows.flows[:: EACH * 4 + 1]:
            assert sender_of_fragments(network, flow) == flow.peers[-1][0]
        assert [count for _, count in flows.stop().values()] == [0, 0]


@contextlib.contextmanager
def resilient_group(network):
    """The subscribers' router sends by a group of next hops that keeps those who send where they are."""
    aggregation = network.aggregations[0]
    of_the_example(aggregation)
    # The third is the first gateway again: of a group of one, Linux does not note which subscribers send.
    ways = {1: network.gateways[0], 2: network.gateways[1], 3: network.gateways[0]}
    aggregation.batch(*(f"nexthop add id {number} via {gateway.inside} dev inside0" for number, gateway in ways.items()),
                      "nexthop add id 10 group 1/2/3 type resilient buckets 128 idle_timer 600", "route add default nhid 10 metric 1")
    try:
        yield lambda members: aggregation.ip("nexthop", "replace", "id", "10", "group", members, "type", "resilient")
    finally:
        aggregation.batch("route del default metric 1", "nexthop del id 10", *(f"nexthop del id {number}" for number in ways))


def gateway_of(flow):
    return int(flow.peers[-1][0].split(".")[3]) // 128 + 1


@topology.anew_if_disturbed(POOLS, BOTH)
def test_a_resilient_group_moves_no_subscriber_but_those_whose_gateway_leaves_it(network):
    with resilient_group(network) as replace, many_flows(network, 7500) as flows:
        flows.wait_until_all_work()
        first = [gateway_of(flow) for flow in flows.flows]
        assert set(first) == {1, 2}
        replace("1/3")
        wait_for(lambda: all(gateway_of(flow) == 1 for flow in flows.flows), what="all subscribers to be at the first gateway")
        assert [len(flow.peers) for flow in flows.flows] == first, "the first one's have their endpoints still"
        # When the second comes back, those who send stay: no session has to begin anew.
        replace("1/2/3")
        flows.heard("up")
        flows.heard("down")
        assert [len(flow.peers) for flow in flows.flows] == first
        assert [count for _, count in flows.stop().values()] == [0, 0]


# What the subscribers' router hashes, and the upstream one.
HALVES = {"source, ports": (of_the_example, 1), "addresses, addresses": (lambda namespace: hashing(namespace, policy=0), 0)}


@pytest.mark.parametrize("halves", HALVES)
def test_one_pool_on_both_gateways_loses_each_session_whose_answers_come_by_the_other(run_directory, halves):
    """Both halves of about half of the sessions meet. The other gateway drops the answers, counts each, and delivers none wrongly."""
    it = topology.Network(run_directory, gateways=2)
    try:
        for gateway in it.gateways:
            gateway.start_agent("one/detnat.json").start_routing("bird", f"ecmp/{gateway.number}.bird.conf")
        inside, outside = HALVES[halves]
        inside(it.aggregations[0])
        hashing(it.upstream, policy=outside)
        it.wait_for_ways({"203.0.113.0/24": {1, 2}}, BOTH)
        with many_flows(it, 7000) as flows:
            wait_for(lambda: all(flow.sent["down"] > 5 for flow in flows.flows), what="answers to be sent")
            flows.sending = {"up": False, "down": False}
            wait_for(lambda: not any(flow.lost("up") for flow in flows.flows), what="every question to arrive")
            wait_for(lambda: sum(flow.lost("down") for flow in flows.flows) == sum(g.counter("drop_no_session") for g in it.gateways),
                     what="every answer to arrive or to be counted")
            work = len(flows.answered())
            assert all(flow.lost("down") in (0, flow.sent["down"]) for flow in flows.flows), "all answers of a session, or none"
            print(f"{halves}: {work} of {len(flows.flows)} sessions work")
            assert 0 < work < len(flows.flows)
    finally:
        it.close()
