# SPDX-License-Identifier: BSD-2-Clause
"""docs/guide/ROUTING.md, a pair: routing daemons that are killed, and sessions that a standby cannot carry on without copies."""

import signal

import pytest

import topology
from agent import wait_for
from flows import Download, Flows
from topology import PAIR_POOL as POOL, SERVER, subscriber

pytestmark = pytest.mark.slow  # networks of routing daemons: a CPU second or more for each test


@pytest.fixture(scope="module", params=["bird", "frr"])
def network(request, run_directory):
    with topology.pair(run_directory, request.param) as it:
        yield it


def test_flows_go_on_when_the_routing_daemon_and_the_agent_are_killed(network):
    active = network.gateways[0]
    flows = Flows(network.subscribers[0], network.upstream, [(subscriber(10 + n), 5000) for n in range(30)], [(SERVER, 5000)] * 30)
    try:
        flows.wait_until_all_work()
        network.wait_for_bfd()
        active.agent.kill()
        active.daemon.end(signal.SIGKILL)
        network.wait_for_ways({POOL: 2}, {1: 2})
        for way in ("up", "down"):
            flows.heard(way)
        active.agent.start()
        active.start_routing(network.kind, active.daemon.save())
        network.wait_for_ways({POOL: 1}, {1: 1})
        flows.heard("down")
        assert all(len(flow.peers) == 1 for flow in flows.flows), "endpoints stay as they were"
        print(f"{network.kind} killed: longest gap {flows.longest_gap('up'):.2f} s up, {flows.longest_gap('down'):.2f} s down")
    finally:
        flows.close()


def test_a_download_hangs_until_its_client_sends_something(network):
    """The server's packets find no session at the standby, which drops and counts them; one packet from inside opens it."""
    active, standby = network.gateways
    network.wait_for_bfd()
    download = Download(network.subscribers[0], network.upstream, subscriber(59), SERVER)
    download.read(10000)
    dropped = standby.counter("drop_no_session")
    active.cut("inside", "outside")
    network.wait_for_ways({POOL: 2}, {1: 2})
    wait_for(lambda: standby.counter("drop_no_session") > dropped, 60, "the server's packets to be dropped")
    assert not standby.agent.ctl("session", "list", subscriber(59))
    download.client.sendall(b"still there")
    download.read(50000)
    assert standby.agent.ctl("session", "list", subscriber(59))[0]["proto"] == "tcp"
    download.finish()
    active.mend("inside", "outside")
