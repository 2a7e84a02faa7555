# SPDX-License-Identifier: BSD-2-Clause
"""What an IPv6 subscriber's packets meet at the edges: MSS, refusals, protocols without ports, a neighbour that is not resolved."""

import socket

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from agent import wait_for
from lab import OUT_MAC, SERVER, SERVER_MAC
from lab64 import CPE, ETH_IPV6, GATEWAY6, MAPPING64, Lab64, block, host, is_own

LAB = Lab64
PORT = 5000
GRE = 47


def mss_of(packet):
    return dict(packet[TCP].options)["MSS"]


def inside6(lab):
    """The next packet of IPv6 at the host that the kernel has not sent by itself."""
    while True:
        frame = lab.inside.receive(kinds=(ETH_IPV6,))
        assert frame is not None, "nothing came"
        if not is_own(frame):
            return Ether(frame)


@pytest.mark.parametrize("clamp, sent, out, back, inside", [
    (1300, 1440, 1300, 1460, 1280), (1300, 1200, 1200, 1100, 1100), ("mtu", 9000, 1440, 9000, 1440), ("mtu", 1440, 1440, 1400, 1400)])
def test_the_mss_of_both_directions_is_clamped(lab, clamp, sent, out, back, inside):
    """A number is that of IPv4's side, 20 less inside. Of the lab the way inside is the shorter one: 1500 less both headers."""
    lab.start(tcp_mss_clamp=clamp)
    lab.inside.send(lab.out6(host(3), TCP(sport=PORT, dport=80, flags="S", options=[("MSS", sent)])))
    syn = Ether(lab.outside.receive())
    assert mss_of(syn) == out and TCP(bytes(syn[TCP])).chksum == syn[TCP].chksum, syn
    lab.outside.send(lab.from_outside(syn[IP].src, TCP(sport=80, dport=syn[TCP].sport, flags="SA", options=[("MSS", back)])))
    answer = inside6(lab)
    assert mss_of(answer) == inside, answer
    checked = answer.copy()
    del checked[TCP].chksum
    assert Ether(bytes(checked))[TCP].chksum == answer[TCP].chksum


def expect_refusal(lab, packet, code):
    """An ICMPv6 error of the gateway about the packet, as its sender sent it."""
    lab.inside.send(packet)
    error = inside6(lab)
    assert (error[IPv6].src, error[IPv6].dst) == (GATEWAY6, packet[IPv6].src), error
    assert ICMPv6DestUnreach in error and error[ICMPv6DestUnreach].code == code, error
    assert bytes(error[ICMPv6DestUnreach].payload) == bytes(packet[IPv6])


def test_at_the_quota_the_sender_is_told(lab):
    lab.start(mappings=[{**MAPPING64, "sessions_per_user": 2}])
    lab.open6(host(3), subscriber=3)
    lab.open6(host(3, 2), port=PORT + 1, subscriber=3)
    with lab.counting(drop_quota=1, sent_icmp_unreachable=1):
        expect_refusal(lab, lab.out6(host(3), UDP(sport=PORT + 2, dport=53) / b"one too many"), 3)


def test_without_a_free_port_the_sender_is_told(lab):
    ports = block(3).hi - block(3).lo + 1
    lab.start(mappings=[{**MAPPING64, "sessions_per_user": 2 * ports, "ports_per_host": 16}])
    for port in range(PORT, PORT + 16):
        lab.inside.send(lab.out6(host(3), UDP(sport=port, dport=53) / b"query"))
        assert lab.outside.packet() is not None
    with lab.counting(drop_ports_exhausted=1, sent_icmp_unreachable=1):
        expect_refusal(lab, lab.out6(host(3), UDP(sport=PORT + 16, dport=53) / b"one too many"), 3)


@pytest.mark.parametrize("ratio", ["shared", "alone"])
def test_protocols_without_ports_are_refused(lab, ratio):
    """Even where the subscriber has an outside address to itself: nothing says which of its hosts an answer is for."""
    lab.start(mappings=[MAPPING64 if ratio == "shared" else {**MAPPING64, "out": "1.1.2.0/24"}])
    out = "1.1.2.3" if ratio == "alone" else block(3).addr
    with lab.counting(drop_protocol=1, sent_icmp_unreachable=1):
        expect_refusal(lab, lab.out6(host(3), Raw(b"tunnel" * 4), nh=GRE), 1)
    with lab.counting(drop_protocol=1):
        lab.outside.send(Ether(bytes(Ether(src=SERVER_MAC, dst=OUT_MAC) / IP(src=SERVER, dst=out, proto=GRE) / Raw(b"tunnel" * 4))))
    lab.silent6()
    # What has ports goes there and back.
    lab.inside.send(lab.out6(host(3), ICMPv6EchoRequest(id=77, data=b"ping")))
    echo = Ether(lab.outside.receive())
    assert echo[IP].src == out and echo[ICMP].type == 8, echo


def test_a_neighbour_inside_is_asked_for_and_then_gets_packets(lab):
    lab.gateway.batch(f"neigh del {CPE} dev in0")
    lab.start()
    src = lab.open6(host(3), subscriber=3)
    answer = lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer")

    def asked():
        lab.outside.send(answer)
        while (frame := lab.inside.receive(timeout=0.2, kinds=(ETH_IPV6,))) is not None:
            packet = Ether(frame)
            if ICMPv6ND_NS in packet and packet[ICMPv6ND_NS].tgt == CPE:
                return True
        return False

    wait_for(asked, what="the neighbour to be asked for")
    lab.lead_inside()
    lab.settle()

    def passes():
        lab.outside.send(answer)
        while (frame := lab.inside.receive(timeout=0.2, kinds=(ETH_IPV6,))) is not None:
            if not is_own(frame):
                return frame
        return None

    frame = wait_for(passes, what="packets to pass")
    assert frame == bytes(lab.as6(answer, host(3), PORT)), Ether(frame)
    assert socket.inet_pton(socket.AF_INET6, host(3)) in frame
