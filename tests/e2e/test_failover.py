# SPDX-License-Identifier: BSD-2-Clause
"""
A pair of docs/guide/ROUTING.md whose gateways copy sessions: the active one dies, and all that its subscribers do goes on. FAILOVER=2500
has so many downloads, uploads, idle connections and UDP flows each.
"""

import contextlib
import os
import resource
import signal

import isolation
import topology
from agent import wait_for
from streams import KINDS, Streams
from topology import SERVER, subscriber

POOL = "203.0.113.0/24"
COUNT = int(os.environ.get("FAILOVER", "50"))
ADDRESSES = ("192.0.2.129", "192.0.2.130")
PORT = 9470


def join(network):
    """The link by which the gateways copy: sync0 at both ends."""
    a, b = (gateway.namespace for gateway in network.gateways)
    isolation.run("ip", "link", "add", "sync0", "netns", a.name, "type", "veth", "peer", "name", "sync0", "netns", b.name)
    for namespace, address in zip((a, b), ADDRESSES):
        namespace.batch(f"addr add {address}/30 dev sync0", "link set sync0 up")


def replication(network, number):
    key = network.directory / "replication.key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    return {"listen": f"{ADDRESSES[number]}:{PORT}", "peers": [f"{ADDRESSES[1 - number]}:{PORT}"], "key_file": str(key)}


def peer(gateway):
    return gateway.agent.ctl("peer", "list")[0]


@contextlib.contextmanager
def working_pair(run_directory):
    it = topology.Network(run_directory, gateways=2)
    it.kind = "frr"
    try:
        join(it)
        for number, (gateway, letter) in enumerate(zip(it.gateways, "ab")):
            gateway.start_agent("pair/detnat.json", replication=replication(it, number))
            gateway.start_routing(it.kind, f"pair/{letter}.{it.kind}.conf")
        it.wait_for_ways({POOL: 1}, {1: 1})
        wait_for(lambda: all(peer(g)["state"] == "synchronised" for g in it.gateways), what="the gateways to be synchronised")
        yield it
    finally:
        it.close()


@contextlib.contextmanager
def working_streams(pair):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    it = Streams(pair.subscribers[0], pair.upstream, [subscriber(10 + n) for n in range(50)], (SERVER, 8000), COUNT)
    try:
        it.wait_until_all_work()
        yield it
    finally:
        it.close()


def kill(gateway):
    """The machine is gone: nothing on it says goodbye."""
    gateway.agent.kill()
    gateway.daemon.end(signal.SIGKILL)
    for interface in ("inside0", "outside0", "sync0"):
        gateway.namespace.ip("link", "set", interface, "down")


def fail_over(pair, streams):
    """
    Kills the active gateway once the standby has a copy of each session. Returns the streams that do not go on, the sessions
    that the standby refused before, and whether BFD saw nothing but the kill.
    """
    _, standby = pair.gateways
    pair.wait_for_bfd()
    since = pair.bfd_since(1, 2)

    def disturbed():
        return pair.bfd_since(1, 2) != since

    # Each is copied once it is older than min_age. If the routes have moved, some are the standby's own.
    wait_for(lambda: peer(standby)["copies"] >= COUNT * len(KINDS) or disturbed(), 60, "copies of all sessions", 0.2)
    refused = peer(standby)["sessions_refused"]
    if disturbed():
        return streams.streams, refused, False
    of_standby = pair.bfd_since(2)
    streams.forget_gaps()
    kill(pair.gateways[0])
    pair.wait_for_ways({POOL: 2}, {1: 2})
    lost = streams.wait_until_all_go_on()
    return lost, refused, pair.bfd_since(2) == of_standby


def test_every_session_goes_on_when_the_active_gateway_dies(run_directory):
    for _ in range(6):
        with working_pair(run_directory) as pair, working_streams(pair) as streams:
            lost, refused, undisturbed = fail_over(pair, streams)
            print(f"{pair.kind}: {streams.summary(lost)}")
        if undisturbed:
            break
    assert not lost, [(s.kind, s.index, s.error) for s in lost][:20]
    assert refused == 0
