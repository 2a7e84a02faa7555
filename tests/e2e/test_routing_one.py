# SPDX-License-Identifier: BSD-2-Clause
"""docs/guide/ROUTING.md, one gateway: pools are announced while detnat translates them, by BIRD and by FRR."""

import json
import re

import pytest

import routers
import topology
from flows import Flows
from topology import SERVER, subscriber

POOL = "203.0.113.0/24"


FILES = {"bird": "one/bird.conf", "frr": "one/frr.conf"}
# Routes of the gateway that are not to be announced.
OTHERS = ("203.0.113.128/25 via 192.0.2.11", "blackhole 192.88.99.0/24", "100.64.64.0/18 via 192.0.2.11")


@pytest.fixture(scope="module", params=FILES)
def network(request, run_directory):
    it = topology.Network(run_directory)
    try:
        it.gateways[0].namespace.batch(*(f"route add {route}" for route in OTHERS))
        it.gateways[0].start_agent("one/detnat.json").start_routing(request.param, FILES[request.param])
        it.wait_for_ways({POOL: 1}, {1: 1})
        yield it
    finally:
        it.close()


@pytest.fixture(autouse=True)
def nothing_else_is_announced(network):
    """Neither inside prefixes nor other routes; looked at when what a test did has been announced."""
    yield
    routes = network.upstream.ip("route", "show", "proto", "bird").strip().split("\n")
    assert len(routes) == 1 and routes[0].startswith(f"{POOL} via 198.51.100.1"), routes
    routes = network.aggregations[0].ip("route", "show", "proto", "bird").strip().split("\n")
    assert len(routes) == 1 and routes[0].startswith("default via 192.0.2.1"), routes


@topology.anew_if_disturbed({POOL: 1}, {1: 1})
def test_subscribers_reach_the_internet_by_what_bgp_has_announced(network):
    flows = Flows(network.subscribers[0], network.upstream, [(subscriber(10 + n), 5000) for n in range(20)], [(SERVER, 53)] * 20)
    try:
        flows.wait_until_all_work()
        flows.heard()
        assert {flow.peers[-1][0].rsplit(".", 1)[0] for flow in flows.flows} == {"203.0.113"}
        (_, up), (_, down) = flows.stop().values()
        assert up == down == 0
    finally:
        flows.close()


def test_a_pool_that_is_taken_away_or_added_is_announced_so(network):
    """The announcement lasts while the agent is away, as the programs go on, and ends with the datapath."""
    gateway = network.gateways[0]
    gateway.agent.kill()
    gateway.agent.start()
    network.wait_for_ways({POOL: 1})
    gateway.agent.ctl("mapping", "del", "residential")
    network.wait_for_ways({POOL: set()})
    gateway.agent.ctl("mapping", "add", "100.64.0.0/18", POOL)
    network.wait_for_ways({POOL: 1})
    gateway.agent.stop()
    assert network.ways(network.upstream, POOL) == {gateway.outside}
    gateway.agent.detach()
    network.wait_for_ways({POOL: set()})
    gateway.agent.start()
    network.wait_for_ways({POOL: 1})


def test_the_page_has_replication_as_the_agent_takes_it(network, tmp_path):
    """The object of the active gateway of a pair, with another key file."""
    page = (routers.TREE / "docs/guide" / "ROUTING.md").read_text()
    (found,) = re.findall(r'^("replication": .*)$', page, re.MULTILINE)
    key = tmp_path / "replication.key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    agent = network.gateways[0].agent
    agent.write(**{"replication": {**json.loads(f"{{{found}}}")["replication"], "key_file": str(key)}})
    try:
        result = agent.once("-t")
        assert result.status == 0, result
    finally:
        agent.write(replication=None)
