# SPDX-License-Identifier: BSD-2-Clause
"""docs/guide/ROUTING.md, a pair of an active and a standby gateway: what becomes of flows when the active one is cut off."""

import itertools

import pytest

import topology
from flows import Flows
from topology import PAIR_POOL as POOL, SERVER, subscriber

_ports = itertools.count(5000)


@pytest.fixture(scope="module", params=["bird", "frr"])
def network(request, run_directory):
    with topology.pair(run_directory, request.param) as it:
        yield it


@pytest.fixture
def flows(network):
    port = next(_ports)
    it = Flows(network.subscribers[0], network.upstream, [(subscriber(10 + n), port) for n in range(30)], [(SERVER, port)] * 30)
    try:
        it.wait_until_all_work()
        yield it
    finally:
        it.close()


def endpoints(flows):
    return [flow.peers for flow in flows.flows]


@pytest.mark.parametrize("sides", [("inside", "outside"), ("inside",), ("outside",)], ids="+".join)
def test_flows_go_on_by_the_standby_when_the_active_one_is_cut_off(network, flows, sides):
    """No carrier is lost, so BFD alone notices. Both directions move, whichever link it was, and endpoints stay as they were."""
    active, standby = network.gateways
    before = standby.counter("in2out_translated")
    network.wait_for_bfd()
    active.cut(*sides)
    network.wait_for_ways({POOL: 2}, {1: 2})
    flows.heard("up")
    flows.heard("down")
    assert standby.counter("in2out_translated") > before
    assert all(len(peers) == 1 for peers in endpoints(flows)), endpoints(flows)
    print(f"{network.kind}, {'+'.join(sides)} cut: longest gap {flows.longest_gap('up'):.2f} s up, {flows.longest_gap('down'):.2f} s down")
    active.mend(*sides)
    network.wait_for_ways({POOL: 1}, {1: 1})
    flows.heard("down")
