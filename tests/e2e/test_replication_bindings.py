# SPDX-License-Identifier: BSD-2-Clause
"""Bindings among gateways: an inside port keeps its outside port at the other gateway, towards everybody."""

from scapy.layers.inet import UDP

from agent import wait_for
from lab import MAPPING, SERVER, block_of
from test_replication import listed, wait_same

EIM = {"endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]}}
STRANGER = "198.51.100.77"


def flow(lab, host, sport, dport=53):
    """Sends from an inside port; the outside endpoint that it has then."""
    lab.inside.send(lab.from_inside(host, UDP(sport=sport, dport=dport) / b"query"))

    def bound():
        return {(s["out_addr"], s["out_port"]) for s in lab.sessions(host.addr) if s["in_port"] == sport and s["ext_port"] == dport}

    (src,) = wait_for(bound, what=f"the session of port {sport}", interval=0.05)
    return src


def reaches(lab, src, host, port):
    """Whom the inside port has never sent to reaches it."""
    lab.inside.clear()
    lab.send_in(lab.from_outside(src[0], UDP(sport=9999, dport=src[1]) / b"call", STRANGER), host, port)


def test_an_inside_port_keeps_its_outside_port_where_routes_move_and_strangers_reach_it_there(gateways):
    a, b = gateways.start(mappings=[{**MAPPING, **EIM}]).labs
    host = a.host()
    b.host(host.addr)
    # Two inside ports with the same first choice: the second has another one.
    other = 5000 + block_of(host.addr, MAPPING).ports
    first, second = flow(a, host, 5000), flow(a, host, other)
    assert first[0] == second[0] and first[1] != second[1]
    wait_same(a, b, host)
    # In the other order, and towards others.
    assert flow(b, host, other, 54) == second
    assert flow(b, host, 5000, 54) == first
    reaches(b, second, host, other)
    reaches(b, first, host, 5000)
    # What gateway 2 has opened is so at gateway 1, too.
    wait_for(lambda: len(a.sessions(host.addr)) >= 4, what="copies at the first", interval=0.05)
    assert flow(a, host, other, 55) == second
    for lab in gateways.labs:
        lab.agent.check()


def test_two_gateways_that_bound_one_port_to_two_keep_theirs_until_a_binding_ends(gateways):
    a, b = gateways.start(mappings=[{**MAPPING, **EIM}], timeouts={"udp": 4}).labs
    host = a.host()
    b.host(host.addr)
    other = 5000 + block_of(host.addr, MAPPING).ports
    gateways.link("down")
    gateways.wait_state("down")
    src = flow(a, host, 5000)
    assert flow(b, host, other) == src
    gateways.link("up")
    gateways.wait_synchronised()

    def both_speak():
        for lab, port in ((a, 5000), (b, other)):
            lab.inside.send(lab.from_inside(host, UDP(sport=port, dport=53) / b"query"))

    both_speak()
    # One outside endpoint leads to one inside endpoint at each gateway.
    for lab, port in ((a, 5000), (b, other)):
        wait_for(lambda lab=lab, port=port: {s["in_port"] for s in lab.sessions(host.addr) if s["out_port"] == src[1]} == {port},
                 what=f"port {port} alone at {src[1]}")
        reaches(lab, src, host, port)
        lab.agent.check()

    def first_is_at_both():
        a.inside.send(a.from_inside(host, UDP(sport=5000, dport=53) / b"query"))
        return listed(a, host) == listed(b, host)

    # The subscriber's packets come by gateway 1 alone from now on.
    wait_for(first_is_at_both, what="the copy to be placed once the binding there has ended", interval=0.5, timeout=60)
    assert {s["in_port"] for s in b.sessions(host.addr)} == {5000}
    assert SERVER in {s["ext_addr"] for s in b.sessions(host.addr)}
    for lab in gateways.labs:
        lab.agent.check()
