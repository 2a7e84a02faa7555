# SPDX-License-Identifier: BSD-2-Clause
"""Packets of up to 9000 octets, which come in several buffers."""

import pytest
from scapy.layers.inet import IP, TCP, UDP

import packets
from lab import GATEWAY_OUT, IN_MAC, SERVER, block_of

pytestmark = pytest.mark.long


@pytest.fixture
def jumbo_lab(lab, mode):
    for namespace, name in ((lab.inside_ns, "eth0"), (lab.gateway, "in0"), (lab.gateway, "out0"), (lab.outside_ns, "eth0")):
        namespace.ip("link", "set", name, "mtu", "9000")
    lab.start(**mode)
    return lab


@pytest.mark.parametrize("make", [lambda **ports: UDP(**ports), lambda **ports: TCP(flags="PA", **ports)], ids=["udp", "tcp"])
@pytest.mark.parametrize("size", [3000, 4500, 8960])
def test_both_directions(jumbo_lab, make, size):
    host = jumbo_lab.host()
    data = bytes(i * 7 & 255 for i in range(size))
    src = jumbo_lab.open_udp(host, dport=80) if make(sport=1).name == "UDP" else jumbo_lab.handshake(host)
    with jumbo_lab.counting():
        jumbo_lab.send_out(jumbo_lab.from_inside(host, make(sport=5000, dport=80) / data, flags="DF"), src)
        jumbo_lab.send_in(jumbo_lab.from_outside(src[0], make(sport=80, dport=src[1]) / data, flags="DF"), host, 5000)


def test_too_big_for_the_inside(jumbo_lab):
    """
    The ICMP error for a packet of several buffers quotes as much as fits into 576 octets. In generic XDP there is
    none: the kernel does not cut such a frame right.
    """
    jumbo_lab.gateway.ip("link", "set", "in0", "mtu", "1500")
    jumbo_lab.settle()
    host = jumbo_lab.host()
    src = jumbo_lab.open_udp(host)
    sent = jumbo_lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / bytes(8000), flags="DF")
    if jumbo_lab.agent.config["xdp_mode"] == "skb":
        with jumbo_lab.counting(drop_too_big=1):
            jumbo_lab.outside.send(sent)
        jumbo_lab.outside.assert_silent()
        jumbo_lab.inside.assert_silent()
        return
    jumbo_lab.outside.send(sent)
    error = jumbo_lab.outside.packet()
    quote = packets.assert_icmp_error(error, 3, 4, GATEWAY_OUT, SERVER, sent)
    assert len(quote) == 548 and error[IP].len == 576
    assert bytes(error)[14 + 26:14 + 28] == (1500).to_bytes(2, "big")
    jumbo_lab.inside.assert_silent()


def test_between_subscribers(jumbo_lab):
    """In generic XDP; drivers accept no such frames from XDP, so there the agent sends them."""
    alice, bob = jumbo_lab.host(), jumbo_lab.host()
    a, b = block_of(alice.addr).first_choice(4001), block_of(bob.addr).first_choice(4002)
    with jumbo_lab.counting(drop_no_session=1):
        jumbo_lab.inside.send(jumbo_lab.from_inside(alice, UDP(sport=4001, dport=b[1]), dst=b[0]))
    packet = jumbo_lab.from_inside(bob, UDP(sport=4002, dport=a[1]) / bytes(8000), dst=a[0], flags="DF")
    with jumbo_lab.counting(hairpin_translated=1):
        jumbo_lab.inside.send(packet)
    jumbo_lab.inside.expect(packets.translated(packet, (IN_MAC, alice.mac), src=b, dst=(alice.addr, 4001)))
    jumbo_lab.inside.assert_silent()
