# SPDX-License-Identifier: BSD-2-Clause
"""Hairpins: inside hosts that reach each other by their outside addresses."""

import pytest
from scapy.layers.inet import ICMP, TCP, UDP

import packets
import netns
import wire
from lab import GATEWAY_IN, IN_MAC, block_of


def hairpin(lab, host, port, peer, peer_port, payload):
    """What arrives at the peer when the host sends from its port to the peer's outside endpoint; both by first choice."""
    src, dst = block_of(host.addr).first_choice(port), block_of(peer.addr).first_choice(peer_port)
    packet = lab.from_inside(host, payload(port, dst[1]), dst=dst[0])
    return packet, packets.translated(packet, (IN_MAC, peer.mac), src=src, dst=(peer.addr, peer_port))


def udp(sport, dport):
    return UDP(sport=sport, dport=dport) / b"neighbour"


def tcp(flags):
    return lambda sport, dport: TCP(sport=sport, dport=dport, flags=flags, seq=1)


def open_one_side(lab, host, port, peer, peer_port, payload=udp):
    """The first packet opens the host's session and finds none at the peer."""
    packet, _ = hairpin(lab, host, port, peer, peer_port, payload)
    with lab.counting(drop_no_session=1):
        lab.inside.send(packet)
    lab.inside.assert_silent()
    lab.outside.assert_silent()
    assert [s["in_port"] for s in lab.sessions(host.addr)] == [port], "the sender's own session stays"


def pass_(lab, host, port, peer, peer_port, payload=udp):
    packet, wanted = hairpin(lab, host, port, peer, peer_port, payload)
    with lab.counting(hairpin_translated=1):
        lab.inside.send(packet)
        lab.inside.expect(wanted)
    lab.outside.assert_silent()


def test_udp_by_hole_punching(each):
    alice, bob = each.host(), each.host()
    open_one_side(each, alice, 4001, bob, 4002)
    pass_(each, bob, 4002, alice, 4001)
    pass_(each, alice, 4001, bob, 4002)
    assert [s["state"] for s in each.sessions(alice.addr)] == ["udp-active"]


def test_tcp_simultaneous_open(each):
    alice, bob = each.host(), each.host()
    open_one_side(each, alice, 4001, bob, 4002, tcp("S"))
    pass_(each, bob, 4002, alice, 4001, tcp("S"))
    pass_(each, alice, 4001, bob, 4002, tcp("SA"))
    pass_(each, bob, 4002, alice, 4001, tcp("A"))
    pass_(each, alice, 4001, bob, 4002, tcp("A"))
    assert each.state(alice) == each.state(bob) == "tcp-established"


def test_a_subscriber_reaches_itself(each):
    alice = each.host()
    open_one_side(each, alice, 4001, alice, 4002)
    packet, wanted = hairpin(each, alice, 4002, alice, 4001, udp)
    each.inside.send(packet)
    each.inside.expect(wanted)


@pytest.fixture
def second(each):
    mapping = {"in": "10.0.64.0/24", "out": "203.0.113.64/28"}
    each.agent.ctl("mapping", "add", mapping["in"], mapping["out"])
    yield mapping
    each.agent.ctl("mapping", "del", mapping["in"], mapping["out"])


def test_between_two_mappings(each, second):
    lab = each
    alice, bob = lab.host(), lab.host("10.0.64.9")
    bob_src = block_of(bob.addr, second).first_choice(7)
    alice_src = block_of(alice.addr).first_choice(6)
    out = lab.from_inside(alice, UDP(sport=6, dport=bob_src[1]), dst=bob_src[0])
    with lab.counting(drop_no_session=1):
        lab.inside.send(out)
    back = lab.from_inside(bob, UDP(sport=7, dport=alice_src[1]), dst=alice_src[0])
    lab.inside.send(back)
    lab.inside.expect(packets.translated(back, (IN_MAC, alice.mac), src=bob_src, dst=(alice.addr, 6)))


def test_nobody_else_gets_through(each):
    alice, bob, eve = each.host(), each.host(), each.host()
    open_one_side(each, alice, 4001, bob, 4002)
    packet, _ = hairpin(each, eve, 4003, alice, 4001, udp)
    with each.counting(drop_no_session=1):
        each.inside.send(packet)
    each.inside.assert_silent()


def test_ttl_of_1_is_answered_and_goes_nowhere(each):
    alice, bob = each.host(), each.host()
    open_one_side(each, alice, 4001, bob, 4002)
    dst = block_of(alice.addr).first_choice(4001)
    packet = each.from_inside(bob, UDP(sport=4002, dport=dst[1]) / b"last", dst=dst[0], ttl=1)
    each.inside.send(packet)
    packets.assert_icmp_error(each.inside.packet(), 11, 0, GATEWAY_IN, bob.addr, packet)
    each.inside.assert_silent()


def test_switched_off_it_goes_nowhere(lab, mode):
    lab.start(hairpin=False, **mode)
    alice, bob = lab.host(), lab.host()
    for host, port, peer, peer_port in ((alice, 4001, bob, 4002), (bob, 4002, alice, 4001), (alice, 4001, bob, 4002)):
        packet, _ = hairpin(lab, host, port, peer, peer_port, udp)
        lab.inside.send(packet)
    lab.open_udp(alice)
    lab.inside.assert_silent()
    lab.outside.assert_silent()


@pytest.mark.parametrize("payload", [ICMP(type=8, id=5), UDP(sport=1, dport=80)], ids=["ping", "port below 1024"])
def test_what_belongs_to_nobody_is_dropped(each, payload):
    alice = each.host()
    with each.counting(drop_no_session=1):
        each.inside.send(each.from_inside(alice, payload, dst="1.1.1.3"))
    each.inside.assert_silent()
    each.outside.assert_silent()


def test_too_big_is_answered(lab, mode):
    """The receiver is behind another interface of a smaller MTU."""
    mac = "02:00:00:00:03:01"
    netns.connect(lab.inside_ns, "eth1", lab.gateway, "in1", mac)
    lab.gateway.ip("link", "set", "in1", "mtu", "1200")
    lab.start(interfaces={"inside": ["in0", "in1"], "outside": ["out0"]}, **mode)
    alice, bob = lab.host("10.0.0.9"), lab.host()
    lab.gateway.batch(f"route add {alice.addr}/32 dev in1", f"neigh replace {alice.addr} lladdr {alice.mac} dev in1 nud permanent")
    far = wire.Wire(lab.inside_ns, "eth1")
    lab.at_end(far.close)
    dst = block_of(bob.addr).first_choice(4002)
    far.send(packets.translated(lab.from_inside(alice, udp(4001, dst[1]), dst=dst[0]), (alice.mac, mac), ttl=0))
    dst = block_of(alice.addr).first_choice(4001)
    packet = lab.from_inside(bob, UDP(sport=4002, dport=dst[1]) / bytes(1180), dst=dst[0], flags="DF")
    lab.inside.send(packet)
    came = lab.inside.packet()
    packets.assert_icmp_error(came, 3, 4, GATEWAY_IN, bob.addr, packet)
    assert came[ICMP].nexthopmtu == 1200
    small = lab.from_inside(bob, UDP(sport=4002, dport=dst[1]) / bytes(1172), dst=dst[0], flags="DF")
    lab.inside.send(small)
    far.expect(packets.translated(small, (mac, alice.mac), src=block_of(bob.addr).first_choice(4002), dst=(alice.addr, 4001)))
