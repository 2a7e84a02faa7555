# SPDX-License-Identifier: BSD-2-Clause
"""docs/guide/ROUTING.md: with replication a machine is upgraded without ending a session in which nothing is sent meanwhile."""

import socket

import pytest

import topology
from agent import wait_for
from test_failover import join, peer, replication
from topology import SERVER, subscriber

pytestmark = pytest.mark.slow  # networks of routing daemons: a CPU second or more for each test

POOL = "203.0.113.0/24"
COUNT = 40


@pytest.fixture
def pair(run_directory):
    it = topology.Network(run_directory, gateways=2)
    try:
        join(it)
        for number, (gateway, letter) in enumerate(zip(it.gateways, "ab")):
            gateway.start_agent("pair/detnat.json", replication=replication(it, number))
            gateway.start_routing("bird", f"pair/{letter}.bird.conf")
        it.wait_for_ways({POOL: 1}, {1: 1})
        wait_until_synchronised(it)
        yield it
    finally:
        it.close()


def wait_until_synchronised(network):
    wait_for(lambda: all(peer(g)["state"] == "synchronised" for g in network.gateways), what="the gateways to be synchronised")


def connections(network):
    """(client, server) of idle connections."""
    with network.upstream.enter():
        listener = socket.create_server((SERVER, 80), backlog=COUNT)
    with listener:
        for number in range(COUNT):
            with network.subscribers[0].enter():
                client = socket.create_connection((SERVER, 80), source_address=(subscriber(10 + number), 0))
            server, _ = listener.accept()
            for it in (client, server):
                it.settimeout(30)
            yield client, server


def test_idle_connections_outlive_an_upgrade_with_the_server_speaking_first(pair):
    active, standby = pair.gateways
    idle = list(connections(pair))
    try:
        moved(pair, idle, standby, worse=1)
        announced_worse = active.daemon.save()
        active.daemon.end()
        active.agent.stop()
        active.agent.detach()
        active.namespace.batch("link set inside0 down", "link set outside0 down", "link set sync0 down")
        active.namespace.batch("link set inside0 up", "link set outside0 up", "link set sync0 up")
        active.agent.start()
        wait_until_synchronised(pair)
        active.start_routing("bird", announced_worse)
        pair.wait_for_ways({POOL: 2}, {1: 2})
        pair.wait_for_bfd()
        moved(pair, idle, active, worse=0)
    finally:
        for client, server in idle:
            client.close()
            server.close()


def moved(network, idle, gateway, worse):
    """Both directions go to the gateway once it has the sessions, and each server is heard."""
    wait_for(lambda: gateway.agent.ctl("status")["sessions"] >= COUNT, 30, "copies of all sessions", 0.1)
    number = network.gateways.index(gateway) + 1
    for side in ("inside", "outside"):
        network.gateways[0].daemon.drain(side, worse)
        network.wait_for_ways({} if side == "inside" else {POOL: number}, {1: number})
    for client, server in idle:
        server.sendall(b"news")
        assert client.recv(100) == b"news"
