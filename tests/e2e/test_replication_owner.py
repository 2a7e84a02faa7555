# SPDX-License-Identifier: BSD-2-Clause
"""
Which of two gateways has a session, docs/internals/OWNERSHIP.md, where routes move there and back. Each gateway has a lab of its own; a test that
sends by the other one has moved the routes.
"""

import pytest
from scapy.layers.inet import TCP, UDP

from agent import wait_for
from gateways import Gateways, endpoint
from lab import MAPPING, block_of
from test_replication import listed, wait_same

# All have the first choices of one group of eight ports, so those of a second lot have the ports of the first.
BLOCK = block_of("10.0.0.10", MAPPING).ports
FIRST = [5000 + n * BLOCK for n in range(6)]
SECOND = [20000 + 5000 % BLOCK + n * BLOCK - 20000 % BLOCK for n in range(6)]


def open_tcp(lab, host, port):
    """A connection on whatever outside port it gets; its outside endpoint."""
    lab.inside.send(lab.from_inside(host, TCP(sport=port, dport=80, flags="S", seq=100)))
    (src,) = wait_for(lambda: [(s["out_addr"], s["out_port"]) for s in lab.sessions(host.addr) if s["in_port"] == port],
                      what=f"the connection of port {port}", interval=0.05)
    lab.outside.expect(lab.going_out(lab.from_inside(host, TCP(sport=port, dport=80, flags="S", seq=100)), src))
    lab.tcp_in(host, src, "SA", port, seq=500, ack=101)
    lab.tcp_out(host, src, "A", port, seq=101, ack=501)
    return src


def go_on(lab, host, connections):
    """Both sides say something."""
    for port, src in connections.items():
        lab.tcp_out(host, src, "A", port, seq=101, ack=501)
        lab.tcp_in(host, src, "A", port, seq=501, ack=101)


def close(lab, host, connections):
    """In the ordinary way, by the client."""
    for port, src in connections.items():
        lab.tcp_out(host, src, "FA", port, seq=101, ack=501)
        lab.tcp_in(host, src, "FA", port, seq=501, ack=102)
        lab.tcp_out(host, src, "A", port, seq=102, ack=502)


def own(lab, host):
    return lab.agent.ctl("explain", host.addr)["replication"]["own"]


def take_over(gateways, host, connections):
    """Packets by gateway b until both know it: one at the tick at which a copy was refreshed does not show."""
    def taken_over():
        go_on(gateways.b, host, connections)
        return own(gateways.b, host) == len(connections)

    wait_for(taken_over, what="the takeover", interval=0.1)
    wait_for(lambda: own(gateways.a, host) == 0, what="the news of it", interval=0.05)


def wait_ended(gateways, host):
    wait_for(lambda: all(listed(lab, host) == [] for lab in gateways.labs), what="the end at both", interval=0.05)


def resync(gateways):
    """Whole copies both ways."""
    before = [gateways.peer(n)["whole_copies"] for n in range(2)]
    gateways.a.agent.ctl("peer", "resync", endpoint(1))
    wait_for(lambda: all(gateways.peer(n)["whole_copies"] > before[n] for n in range(2)), what="whole copies", interval=0.05)
    gateways.wait_synchronised()


def expect_none_comes_back(gateways, host):
    """Neither with whole copies nor with the passes that follow them: what is opened later has been told after them."""
    for port in (40000, 40001):
        resync(gateways)
        marker = gateways.a.host("10.0.0.250")
        gateways.a.open_udp(marker, port)
        wait_same(gateways.a, gateways.b, marker)
        for lab in gateways.labs:
            assert listed(lab, host) == []
    for lab in gateways.labs:
        lab.agent.check()


@pytest.fixture
def moved(gateways):
    """Gateways, a host and its connections: opened at gateway a; the routes have led to gateway b since."""
    a, b = gateways.start().labs
    host = a.host()
    b.host(host.addr)
    connections = {port: open_tcp(a, host, port) for port in FIRST}
    wait_same(a, b, host)
    go_on(b, host, connections)
    return gateways, host, connections


@pytest.mark.parametrize("told", [False, True], ids=["at once", "after the takeover was told"])
def test_connections_closed_where_routes_lead_now_come_back_at_no_gateway(moved, told):
    gateways, host, connections = moved
    if told:
        take_over(gateways, host, connections)
    close(gateways.b, host, connections)
    wait_ended(gateways, host)
    expect_none_comes_back(gateways, host)
    # The subscriber has its ports again, at either gateway.
    for lab in gateways.labs:
        open_tcp(lab, host, SECOND[0])


@pytest.mark.parametrize("at", [0, 1])
def test_what_an_operator_ends_after_a_change_of_routes_comes_back_at_no_gateway(moved, at):
    gateways, host, connections = moved
    take_over(gateways, host, connections)
    gateways.labs[at].agent.ctl("session", "flush", host.addr)
    wait_ended(gateways, host)
    expect_none_comes_back(gateways, host)


@pytest.mark.parametrize("loses", ["data links", "all links", "agent", "agent and links"])
def test_live_connections_go_back_to_a_gateway_that_has_kept_its_tables(gateways, loses):
    a, b = gateways.start().labs
    host = a.host()
    b.host(host.addr)
    first = {port: open_tcp(a, host, port) for port in FIRST}
    wait_same(a, b, host)
    links = {"data links": ("in0", "out0"), "agent": ()}.get(loses, ("in0", "out0", "sync0"))
    if loses.startswith("agent"):
        a.agent.kill()
    for name in links:
        a.gateway.ip("link", "set", name, "down")
    go_on(b, host, first)
    close(b, host, first)
    wait_for(lambda: listed(b, host) == [], what="the ends", interval=0.05)
    second = {port: open_tcp(b, host, port) for port in SECOND}
    assert set(first.values()) & set(second.values()), "no port is used again"
    for name in links:
        a.gateway.ip("link", "set", name, "up")
    a.reach_outside()
    a.host(host.addr)
    if loses.startswith("agent"):
        a.agent.start()
    gateways.wait_synchronised()
    # It has those that live, and none of those that have ended.
    wait_same(b, a, host)
    assert {s["in_port"] for s in a.sessions(host.addr)} == set(SECOND)
    go_on(a, host, second)
    close(a, host, second)
    wait_ended(gateways, host)
    expect_none_comes_back(gateways, host)


def test_a_connection_whose_inside_is_at_one_gateway_and_whose_outside_is_at_the_other_stays_with_the_inside(gateways):
    a, b = gateways.start().labs
    host = a.host()
    b.host(host.addr)
    src = open_tcp(a, host, FIRST[0])
    wait_same(a, b, host)
    for n in range(20):
        a.tcp_out(host, src, "PA", FIRST[0], seq=101 + n, ack=501 + n)
        b.tcp_in(host, src, "PA", FIRST[0], seq=501 + n, ack=102 + n)
    resync(gateways)
    assert (own(a, host), own(b, host)) == (1, 0)
    assert listed(a, host) == listed(b, host) != []


GROUPS = [{"name": name, "in": f"10.{n}.0.0/24", "out": f"1.1.{n + 1}.0/30"} for n, name in enumerate(("north", "south", "east"))]


def test_in_a_ring_a_group_goes_to_its_stand_in_and_back_and_nothing_is_lost(run_directory):
    """Each of three gateways has a group of its own and that of the one before it."""
    it = Gateways(run_directory, 3)
    try:
        for number in range(3):
            groups = [GROUPS[number], GROUPS[number - 1]]
            it.prepare(number, {"mappings": [group["name"] for group in groups]}, mappings=groups).start()
        it.wait_synchronised()
        a, b = it.a, it.b
        host = a.host("10.0.0.10")
        b.host(host.addr)
        a.open_udp(host, 5000, mapping=GROUPS[0])
        a.open_udp(host, 5001, mapping=GROUPS[0])
        wait_same(a, b, host)
        # It comes by the stand-in: one goes on, one ends, one begins.
        src = block_of(host.addr, GROUPS[0]).first_choice(5000)

        def taken_over():
            b.send_out(b.from_inside(host, UDP(sport=5000, dport=53) / b"query"), src)
            return own(b, host) == 1

        wait_for(taken_over, what="the takeover", interval=0.1)
        b.agent.ctl("session", "flush", host.addr, "--ext", "198.51.100.7:53", "--proto", "udp", "--yes")
        b.open_udp(host, 5002, mapping=GROUPS[0])
        wait_same(b, a, host)
        assert [s["in_port"] for s in a.sessions(host.addr)] == [5002]
        # Nobody misses what a third has.
        for lab in it.labs:
            wait_for(lambda agent=lab.agent: agent.ctl("status")["troubles"] == [], what="no trouble")
            lab.agent.check()
        assert all(peer["differ"] == 0 for n in range(3) for peer in it.peers(n).values())
        assert own(it.labs[2], it.labs[2].host("10.2.0.9")) == 0
    finally:
        it.close()
