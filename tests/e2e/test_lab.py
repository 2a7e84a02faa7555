# SPDX-License-Identifier: BSD-2-Clause
"""The lab itself: without an agent the gateway is a plain router, so other tests see detnat's effects only."""

import pytest
from scapy.layers.inet import IP, TCP, UDP

import packets
from lab import SERVER, block_of


def test_a_gateway_without_detnat_routes_unchanged(lab):
    host = lab.host()
    out = lab.from_inside(host, UDP(sport=1000, dport=53) / b"plain")
    lab.send_out(out, (host.addr, 1000))
    back = lab.from_outside(host.addr, TCP(sport=80, dport=2000, flags="A"))
    lab.send_in(back, host, 2000)


def test_a_wrong_byte_is_noticed(lab):
    host = lab.host()
    packet = lab.from_inside(host, UDP(sport=1000, dport=53) / b"plain")
    lab.inside.send(packet)
    wrong = bytearray(bytes(lab.going_out(packet, (host.addr, 1000))))
    wrong[-1] ^= 1
    with pytest.raises(AssertionError):
        lab.outside.expect(wrong)


def test_an_unexpected_packet_is_noticed(lab):
    host = lab.host()
    packet = lab.from_inside(host, UDP(sport=1000, dport=53))
    lab.send_out(packet, (host.addr, 1000))
    lab.inside.send(packet, packet)
    lab.outside.expect(lab.going_out(packet, (host.addr, 1000)))
    with pytest.raises(AssertionError):
        lab.outside.expect(lab.from_inside(host, UDP(sport=1, dport=1)))


def test_arithmetic_of_the_lab_matches_the_worked_example():
    block = block_of("10.0.0.2")
    assert (block.addr, block.lo, block.hi) == ("1.1.1.0", 1054, 1068)
    block = block_of("10.0.16.16")
    assert block.addr == "1.1.1.1" and block.lo <= 1276 <= block.hi


def test_expected_packets_keep_what_translation_keeps():
    from lab import Lab, Host

    packet = Lab.from_inside(Host("10.0.0.2", "02:00:00:00:00:01"), UDP(sport=5, dport=6, chksum=0), ttl=9)
    packet[UDP].chksum = 0
    after = packets.translated(bytes(packet), ("02:00:00:00:00:02", "02:00:00:00:00:03"), src=("1.1.1.0", 1059))
    assert after[UDP].chksum == 0 and after[IP].ttl == 8 and after[UDP].sport == 1059 and after[IP].dst == SERVER
