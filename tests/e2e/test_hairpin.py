# SPDX-License-Identifier: BSD-2-Clause
"""Hairpins: inside hosts reach each other by their outside addresses."""

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

import packets
import netns
import wire
from agent import wait_for
from lab import GATEWAY_IN, IN_MAC, block_of


def hairpin(lab, host, port, peer, peer_port, payload):
    """The packet that arrives at the peer when the host sends from its port to the peer's outside endpoint; both have first-choice ports."""
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


def test_udp_by_hole_punching(mode_lab):
    alice, bob = mode_lab.host(), mode_lab.host()
    open_one_side(mode_lab, alice, 4001, bob, 4002)
    pass_(mode_lab, bob, 4002, alice, 4001)
    pass_(mode_lab, alice, 4001, bob, 4002)
    assert [s["state"] for s in mode_lab.sessions(alice.addr)] == ["udp-active"]


def test_tcp_simultaneous_open(mode_lab):
    alice, bob = mode_lab.host(), mode_lab.host()
    open_one_side(mode_lab, alice, 4001, bob, 4002, tcp("S"))
    pass_(mode_lab, bob, 4002, alice, 4001, tcp("S"))
    pass_(mode_lab, alice, 4001, bob, 4002, tcp("SA"))
    pass_(mode_lab, bob, 4002, alice, 4001, tcp("A"))
    pass_(mode_lab, alice, 4001, bob, 4002, tcp("A"))
    assert mode_lab.state(alice) == mode_lab.state(bob) == "tcp-established"


def test_a_subscriber_reaches_itself(mode_lab):
    alice = mode_lab.host()
    open_one_side(mode_lab, alice, 4001, alice, 4002)
    packet, wanted = hairpin(mode_lab, alice, 4002, alice, 4001, udp)
    mode_lab.inside.send(packet)
    mode_lab.inside.expect(wanted)


@pytest.fixture
def second_mapping(mode_lab):
    mapping = {"in": "10.0.64.0/24", "out": "203.0.113.64/28"}
    mode_lab.agent.ctl("mapping", "add", mapping["in"], mapping["out"])
    yield mapping
    mode_lab.agent.ctl("mapping", "del", mapping["in"], mapping["out"])


def test_a_neighbour_that_is_not_known_is_asked_for(mode_lab):
    """What XDP sends back inside is sent by nobody else: without a question the packets would be lost for ever."""
    alice, bob = mode_lab.host(), mode_lab.host()
    open_one_side(mode_lab, alice, 4001, bob, 4002)
    mode_lab.gateway.ip("neigh", "del", alice.addr, "dev", "in0")
    packet, wanted = hairpin(mode_lab, bob, 4002, alice, 4001, udp)
    mode_lab.inside.send(packet)
    asked = next(frame for frame in iter(lambda: mode_lab.inside.packet(kinds=(wire.ETH_ARP,)), None) if frame[ARP].pdst == alice.addr)
    mode_lab.inside.send(Ether(src=alice.mac, dst=asked.src) / ARP(op=2, hwsrc=alice.mac, psrc=alice.addr, hwdst=asked.hwsrc, pdst=asked[ARP].psrc))

    def arrives():
        mode_lab.inside.send(packet)
        frame = mode_lab.inside.receive(1)
        return frame == bytes(wanted)

    wait_for(arrives, what="the packet at the neighbour")
    mode_lab.inside.clear()


def test_between_two_mappings(mode_lab, second_mapping):
    lab = mode_lab
    alice, bob = lab.host(), lab.host("10.0.64.9")
    bob_src = block_of(bob.addr, second_mapping).first_choice(7)
    alice_src = block_of(alice.addr).first_choice(6)
    out = lab.from_inside(alice, UDP(sport=6, dport=bob_src[1]), dst=bob_src[0])
    with lab.counting(drop_no_session=1):
        lab.inside.send(out)
    back = lab.from_inside(bob, UDP(sport=7, dport=alice_src[1]), dst=alice_src[0])
    lab.inside.send(back)
    lab.inside.expect(packets.translated(back, (IN_MAC, alice.mac), src=bob_src, dst=(alice.addr, 6)))


def test_no_other_endpoint_gets_through(mode_lab):
    alice, bob, eve = mode_lab.host(), mode_lab.host(), mode_lab.host()
    open_one_side(mode_lab, alice, 4001, bob, 4002)
    packet, _ = hairpin(mode_lab, eve, 4003, alice, 4001, udp)
    with mode_lab.counting(drop_no_session=1):
        mode_lab.inside.send(packet)
    mode_lab.inside.assert_silent()


def test_ttl_of_1_is_answered_and_goes_nowhere(mode_lab):
    alice, bob = mode_lab.host(), mode_lab.host()
    open_one_side(mode_lab, alice, 4001, bob, 4002)
    dst = block_of(alice.addr).first_choice(4001)
    packet = mode_lab.from_inside(bob, UDP(sport=4002, dport=dst[1]) / b"last", dst=dst[0], ttl=1)
    mode_lab.inside.send(packet)
    packets.assert_icmp_error(mode_lab.inside.packet(), 11, 0, GATEWAY_IN, bob.addr, packet)
    mode_lab.inside.assert_silent()


def test_a_disabled_hairpin_goes_nowhere(lab, mode):
    lab.start(hairpin=False, **mode)
    alice, bob = lab.host(), lab.host()
    for host, port, peer, peer_port in ((alice, 4001, bob, 4002), (bob, 4002, alice, 4001), (alice, 4001, bob, 4002)):
        packet, _ = hairpin(lab, host, port, peer, peer_port, udp)
        lab.inside.send(packet)
    lab.open_udp(alice)
    lab.inside.assert_silent()
    lab.outside.assert_silent()


@pytest.mark.parametrize("payload", [ICMP(type=8, id=5), UDP(sport=1, dport=80)], ids=["ping", "port below 1024"])
def test_a_hairpin_without_a_session_is_dropped(mode_lab, payload):
    alice = mode_lab.host()
    with mode_lab.counting(drop_no_session=1):
        mode_lab.inside.send(mode_lab.from_inside(alice, payload, dst="1.1.1.3"))
    mode_lab.inside.assert_silent()
    mode_lab.outside.assert_silent()


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
