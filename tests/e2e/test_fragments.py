# SPDX-License-Identifier: BSD-2-Clause
"""Fragments follow their first fragment, whichever comes first."""

import itertools

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether

import packets
from agent import wait_for
from lab import IN_MAC, OUT_MAC, SERVER, SERVER_MAC, block_of

SIZE = 800  # octets of payload to a fragment
_ids = itertools.count(1000)

PAYLOADS = {
    "udp": lambda sport, dport: UDP(sport=sport, dport=dport) / (bytes(range(250)) * 8),
    "tcp": lambda sport, dport: TCP(sport=sport, dport=dport, flags="A") / (bytes(range(250)) * 8),
    "icmp": lambda sport, dport: ICMP(type=8, id=sport) / (bytes(range(250)) * 8),
}


def cut(packet):
    """A frame's packet in fragments, each in a frame of its own."""
    packet = Ether(bytes(packet))
    return [bytes(Ether(src=packet.src, dst=packet.dst) / f) for f in fragment(packet[IP], fragsize=SIZE)]


def outward(lab, host, proto):
    """Fragments as sent from inside and as they must come outside: the fragments of the translated whole."""
    whole = lab.from_inside(host, PAYLOADS[proto](5000, 53), id=next(_ids))
    return cut(whole), cut(packets.translated(whole, (OUT_MAC, SERVER_MAC), src=block_of(host.addr).first_choice(5000)))


def inward(lab, host, proto):
    addr, port = block_of(host.addr).first_choice(5000)
    payload = PAYLOADS[proto](53, port) if proto != "icmp" else ICMP(type=0, id=port) / (bytes(range(250)) * 8)
    whole = lab.from_outside(addr, payload, id=next(_ids))
    return cut(whole), cut(packets.translated(whole, (IN_MAC, host.mac), dst=(host.addr, 5000)))


@pytest.mark.parametrize("proto", PAYLOADS)
def test_in_order_both_ways(each, proto):
    host = each.host()
    sent, wanted = outward(each, host, proto)
    assert len(sent) == 3
    for packet, seen in zip(sent, wanted):
        each.inside.send(packet)
        each.outside.expect(seen)
    sent, wanted = inward(each, host, proto)
    for packet, seen in zip(sent, wanted):
        each.outside.send(packet)
        each.inside.expect(seen)
    assert len(each.sessions(host.addr)) == 1


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)], ids=str)
@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_out_of_order_both_ways(each, proto, order):
    host = each.host()
    sent, wanted = outward(each, host, proto)
    each.inside.send(*(sent[i] for i in order))
    each.outside.expect_all(wanted)
    sent, wanted = inward(each, host, proto)
    each.outside.send(*(sent[i] for i in order))
    each.inside.expect_all(wanted)


def test_two_packets_with_interleaved_fragments(each):
    host, other = each.host(), each.host()
    one, one_wanted = outward(each, host, "udp")
    two, two_wanted = outward(each, other, "udp")
    for pair in zip(one, two):
        each.inside.send(*pair)
    each.outside.expect_all(one_wanted + two_wanted)


def test_later_fragments_alone_do_not_pass_and_are_counted(each):
    host = each.host()
    each.open_udp(host)
    sent, _ = inward(each, host, "udp")
    each.outside.send(sent[1], sent[2])
    each.inside.assert_silent()
    wait_for(lambda: each.agent.counters()["drop_fragment"] >= 2, 40, "the fragments to be given up", 0.2)
    each.inside.assert_silent()


def test_fragments_of_no_session_do_not_pass(each):
    host = each.host()
    sent, _ = inward(each, host, "udp")
    with each.counting(drop_no_session=None, drop_fragment=None):
        each.outside.send(*sent)
        each.open_udp(host)
    each.inside.assert_silent()


def test_a_first_fragment_without_ports_does_not_pass(each):
    """RFC 1858: tiny fragments."""
    host = each.host()
    whole = each.from_inside(host, TCP(sport=5000, dport=80, flags="S") / bytes(64), id=next(_ids))
    tiny = [bytes(Ether(src=whole.src, dst=whole.dst) / f) for f in fragment(whole[IP], fragsize=8)]
    with each.counting(drop_fragment_tiny=1, drop_fragment=None):
        each.inside.send(*tiny)
        each.open_udp(host)
    each.outside.assert_silent()


def test_a_hairpin_in_fragments(each):
    alice, bob = each.host(), each.host()
    a, b = block_of(alice.addr).first_choice(4001), block_of(bob.addr).first_choice(4002)
    with each.counting(drop_no_session=1):
        each.inside.send(each.from_inside(alice, UDP(sport=4001, dport=b[1]), dst=b[0]))
    whole = each.from_inside(bob, PAYLOADS["udp"](4002, a[1]), dst=a[0], id=next(_ids))
    each.inside.send(*cut(whole))
    each.inside.expect_all(cut(packets.translated(whole, (IN_MAC, alice.mac), src=b, dst=(alice.addr, 4001))))


@pytest.fixture
def narrow(each):
    """The lab with an MTU of 1000 on the way out."""
    each.gateway.ip("link", "set", "out0", "mtu", 1000)
    each.settle()
    yield each
    each.gateway.ip("link", "set", "out0", "mtu", 1500)
    each.settle()


def test_what_the_kernel_fragments_on_the_way_out(narrow):
    """Longer than the way out's MTU and without DF: in pieces, each translated."""
    lab = narrow
    host = lab.host()
    packet = lab.from_inside(host, UDP(sport=5000, dport=53) / bytes(1400), id=next(_ids))
    lab.inside.send(packet)
    whole = bytes(lab.going_out(packet, block_of(host.addr).first_choice(5000))[IP].payload)
    pieces = {}
    while sum(map(len, pieces.values())) < len(whole):
        came = lab.outside.packet()
        assert (came[IP].src, came[IP].dst, came[IP].ttl) == (block_of(host.addr).addr, SERVER, 63)
        assert came[IP].len <= 1000
        pieces[came[IP].frag * 8] = bytes(came[IP].payload)
    assert b"".join(pieces[offset] for offset in sorted(pieces)) == whole
