# SPDX-License-Identifier: BSD-2-Clause
"""ICMP errors: those of other hosts are translated, header and quote; the gateway's own quote what their receiver sent."""

import contextlib

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.l2 import Ether

import packets
from agent import wait_for
from lab import GATEWAY_IN, GATEWAY_OUT, IN_MAC, OUT_MAC, SERVER, SERVER_MAC, block_of

ROUTER_FAR = "192.0.2.200"

PAYLOADS = {
    "udp": lambda: UDP(sport=5000, dport=53) / b"0123456789abcdef",
    "tcp": lambda: TCP(sport=5000, dport=53, flags="S", options=[("MSS", 1460)]),
    "icmp": lambda: ICMP(type=8, id=5000, seq=3) / b"0123456789abcdef",
}

KINDS = [(3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (11, 0), (11, 1), (12, 0)]


def open_(lab, host, kind, **ip):
    """Sends a packet out; returns it as sent and as seen outside."""
    packet = lab.from_inside(host, PAYLOADS[kind](), **ip)
    return packet, lab.send_out(packet, block_of(host.addr).first_choice(5000))


def with_ttl(packet, ttl):
    """The IP packet of a frame with another TTL, as a router on the path quotes it."""
    ip = Ether(bytes(packet))[IP]
    ip.ttl = ttl
    ip.chksum = None
    return bytes(IP(bytes(ip)))


def error_in(lab, to, kind, quote, src=ROUTER_FAR):
    mtu = 1300 if kind == (3, 4) else 0
    return lab.from_outside(to, ICMP(type=kind[0], code=kind[1], nexthopmtu=mtu) / quote, src=src)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: f"{k[0]}-{k[1]}")
@pytest.mark.parametrize("proto", PAYLOADS)
def test_an_error_from_outside_reaches_the_subscriber_as_if_about_its_own_packet(mode_lab, proto, kind):
    host = mode_lab.host()
    sent, seen = open_(mode_lab, host, proto)
    error = error_in(mode_lab, seen[IP].src, kind, with_ttl(seen, 17))
    with mode_lab.counting(icmp_error_translated=1):
        mode_lab.outside.send(error)
        came = mode_lab.inside.packet()
    assert (came.src, came.dst) == (IN_MAC, host.mac)
    assert (came[IP].src, came[IP].dst, came[IP].ttl) == (ROUTER_FAR, host.addr, error[IP].ttl - 1)
    assert (came[ICMP].type, came[ICMP].code) == kind
    assert bytes(came[ICMP])[4:8] == bytes(error[ICMP])[4:8], "the rest of the header is kept"
    assert packets.quote_of(came) == with_ttl(sent, 17), "the quote is the packet as it was sent"
    packets.assert_checksums(came)


@pytest.mark.parametrize("proto", PAYLOADS)
def test_a_quote_of_eight_octets_is_enough(mode_lab, proto):
    host = mode_lab.host()
    sent, seen = open_(mode_lab, host, proto)
    mode_lab.outside.send(error_in(mode_lab, seen[IP].src, (3, 1), with_ttl(seen, 17)[:28]))
    came = mode_lab.inside.packet()
    quote, original = packets.quote_of(came), with_ttl(sent, 17)
    assert quote[:24] == original[:24] and len(quote) == 28
    assert came[IP].dst == host.addr


def test_a_quote_with_options(mode_lab):
    host = mode_lab.host()
    sent, seen = open_(mode_lab, host, "udp", options=[IPOption(b"\x94\x04\x00\x00")])
    mode_lab.outside.send(error_in(mode_lab, seen[IP].src, (3, 1), with_ttl(seen, 17)))
    assert packets.quote_of(mode_lab.inside.packet()) == with_ttl(sent, 17)


def test_an_error_neither_refreshes_nor_ends_a_session(mode_lab):
    host = mode_lab.host()
    _, seen = open_(mode_lab, host, "tcp")
    before = mode_lab.session(host)
    mode_lab.outside.send(error_in(mode_lab, seen[IP].src, (3, 3), with_ttl(seen, 17)))
    mode_lab.inside.packet()
    after = mode_lab.session(host)
    assert after["state"] == before["state"] and after["expires"] <= before["expires"]


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_an_error_from_inside_reaches_the_sender_as_if_about_its_own_packet(mode_lab, proto):
    host = mode_lab.host()
    _, seen = open_(mode_lab, host, proto)
    src = (seen[IP].src, block_of(host.addr).first_choice(5000)[1])
    payload = UDP(sport=53, dport=src[1]) / b"answer" if proto == "udp" else TCP(sport=53, dport=src[1], flags="SA")
    answer = mode_lab.from_outside(src[0], payload)
    arrived = mode_lab.send_in(answer, host, 5000)
    error = mode_lab.from_inside(host, ICMP(type=3, code=3) / bytes(arrived[IP]))
    with mode_lab.counting(icmp_error_translated=1):
        mode_lab.inside.send(error)
        came = mode_lab.outside.packet()
    assert (came.src, came.dst) == (OUT_MAC, SERVER_MAC)
    assert (came[IP].src, came[IP].dst, came[IP].ttl) == (src[0], SERVER, 63)
    assert packets.quote_of(came) == with_ttl(answer, 63), "the quote is the packet as it was sent"
    packets.assert_checksums(came)


def test_an_error_of_no_session_is_dropped(mode_lab):
    host = mode_lab.host()
    _, seen = open_(mode_lab, host, "udp")
    stranger = Ether(bytes(seen))
    stranger[UDP].dport = 99
    stranger[UDP].chksum = None
    with mode_lab.counting(drop_no_session=1):
        mode_lab.outside.send(error_in(mode_lab, seen[IP].src, (3, 3), bytes(Ether(bytes(stranger))[IP])))
    mode_lab.inside.assert_silent()


def test_an_error_whose_quote_does_not_match_its_destination_is_dropped(mode_lab):
    host, other = mode_lab.host(), mode_lab.host("10.0.16.200")
    _, seen = open_(mode_lab, host, "udp")
    assert block_of(other.addr).addr != seen[IP].src
    mode_lab.outside.send(error_in(mode_lab, block_of(other.addr).addr, (3, 3), with_ttl(seen, 17)))
    mode_lab.open_udp(other)
    mode_lab.inside.assert_silent()


def test_an_error_with_a_wrong_checksum_is_dropped(mode_lab):
    """RFC 5508, REQ-3."""
    host = mode_lab.host()
    _, seen = open_(mode_lab, host, "udp")
    error = error_in(mode_lab, seen[IP].src, (3, 3), with_ttl(seen, 17))
    error[ICMP].chksum ^= 1
    mode_lab.outside.send(error)
    mode_lab.open_udp(host)
    mode_lab.inside.assert_silent()


@pytest.mark.parametrize("proto", PAYLOADS)
def test_ttl_of_1_from_inside(mode_lab, proto):
    host = mode_lab.host()
    packet = mode_lab.from_inside(host, PAYLOADS[proto](), ttl=1)
    mode_lab.inside.send(packet)
    packets.assert_icmp_error(mode_lab.inside.packet(), 11, 0, GATEWAY_IN, host.addr, packet)
    mode_lab.outside.assert_silent()
    packet = mode_lab.from_inside(host, PAYLOADS[proto](), ttl=2)
    mode_lab.send_out(packet, block_of(host.addr).first_choice(5000))


def test_ttl_of_1_from_outside(mode_lab):
    host = mode_lab.host()
    src = mode_lab.open_udp(host)
    packet = mode_lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"late", ttl=1)
    mode_lab.outside.send(packet)
    packets.assert_icmp_error(mode_lab.outside.packet(), 11, 0, GATEWAY_OUT, SERVER, packet)
    mode_lab.inside.assert_silent()
    mode_lab.send_in(mode_lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"late", ttl=2), host, 5000)


@contextlib.contextmanager
def mtu(lab, interface, octets):
    """An interface of the gateway with another MTU, known to the datapath."""

    def known():
        return f"mtu {octets}" in lab.gateway.ip("link", "show", interface)

    lab.gateway.ip("link", "set", interface, "mtu", octets)
    try:
        wait_for(known, what="the MTU")
        lab.settle()
        yield
    finally:
        lab.gateway.ip("link", "set", interface, "mtu", 1500)
        lab.settle()


def test_too_big_from_inside(mode_lab):
    host = mode_lab.host()
    src = mode_lab.open_udp(host)
    with mtu(mode_lab, "out0", 1200):
        packet = mode_lab.from_inside(host, UDP(sport=5000, dport=53) / bytes(1300), flags="DF")
        mode_lab.inside.send(packet)
        came = mode_lab.inside.packet()
        packets.assert_icmp_error(came, 3, 4, GATEWAY_IN, host.addr, packet)
        assert came[ICMP].nexthopmtu == 1200
        mode_lab.outside.assert_silent()
        mode_lab.send_out(mode_lab.from_inside(host, UDP(sport=5000, dport=53) / bytes(1172), flags="DF"), src)


def test_too_big_from_outside(mode_lab):
    host = mode_lab.host()
    src = mode_lab.open_udp(host)
    with mtu(mode_lab, "in0", 1200):
        packet = mode_lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / bytes(1300), flags="DF")
        mode_lab.outside.send(packet)
        came = mode_lab.outside.packet()
        packets.assert_icmp_error(came, 3, 4, GATEWAY_OUT, SERVER, packet)
        assert came[ICMP].nexthopmtu == 1200
        mode_lab.inside.assert_silent()
        mode_lab.send_in(mode_lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / bytes(1172), flags="DF"), host, 5000)


def test_no_route_is_answered_and_quotes_what_was_sent(mode_lab):
    mode_lab.gateway.ip("route", "replace", "unreachable", "203.0.113.192/26")
    mode_lab.settle()
    host = mode_lab.host()
    packet = mode_lab.from_inside(host, UDP(sport=5000, dport=53) / b"nowhere", dst="203.0.113.200")
    mode_lab.inside.send(packet)
    packets.assert_icmp_error(mode_lab.inside.packet(), 3, 1, GATEWAY_IN, host.addr, packet)
    mode_lab.outside.assert_silent()
    assert mode_lab.sessions(host.addr) == []


def test_an_error_of_an_inside_router_has_the_gateways_address(mode_lab):
    host, router = mode_lab.host(), mode_lab.host("10.0.200.1")
    src = mode_lab.open_udp(host)
    answer = mode_lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer")
    arrived = mode_lab.send_in(answer, host, 5000)
    error = mode_lab.from_inside(router, ICMP(type=11, code=0) / bytes(arrived[IP])[:28])
    with mode_lab.counting(icmp_error_translated=1):
        mode_lab.inside.send(error)
        came = mode_lab.outside.packet()
    assert (came[IP].src, came[IP].dst) == (GATEWAY_OUT, SERVER), "no inside address leaves"
    assert packets.quote_of(came)[:24] == with_ttl(answer, 63)[:24]
    packets.assert_checksums(came)


def test_an_error_from_inside_about_no_session_is_dropped(mode_lab):
    host = mode_lab.host()
    quote = IP(src=SERVER, dst=host.addr) / UDP(sport=53, dport=5000)
    with mode_lab.counting(drop_no_session=1):
        mode_lab.inside.send(mode_lab.from_inside(host, ICMP(type=3, code=3) / bytes(quote)))
    mode_lab.outside.assert_silent()
    assert mode_lab.sessions(host.addr) == []


def test_an_error_through_a_hairpin(mode_lab):
    alice, bob = mode_lab.host(), mode_lab.host()
    alice_out, bob_out = block_of(alice.addr).first_choice(4001), block_of(bob.addr).first_choice(4002)
    with mode_lab.counting(drop_no_session=1):
        mode_lab.inside.send(mode_lab.from_inside(alice, UDP(sport=4001, dport=bob_out[1]) / b"open", dst=bob_out[0]))
    packet = mode_lab.from_inside(bob, UDP(sport=4002, dport=alice_out[1]) / b"neighbour", dst=alice_out[0])
    mode_lab.inside.send(packet)
    arrived = mode_lab.inside.packet()
    assert (arrived[IP].src, arrived[IP].dst) == (bob_out[0], alice.addr)
    with mode_lab.counting(icmp_error_translated=1):
        mode_lab.inside.send(mode_lab.from_inside(alice, ICMP(type=3, code=3) / bytes(arrived[IP]), dst=bob_out[0]))
        came = mode_lab.inside.packet()
    assert (came.src, came.dst) == (IN_MAC, bob.mac)
    assert (came[IP].src, came[IP].dst, came[IP].ttl) == (alice_out[0], bob.addr, 63)
    assert packets.quote_of(came) == with_ttl(packet, 63)
    packets.assert_checksums(came)
    mode_lab.outside.assert_silent()


@pytest.mark.parametrize("proto", [47, 50, 132, 136], ids=["gre", "esp", "sctp", "udp-lite"])
def test_protocols_that_are_not_translated_are_answered(mode_lab, proto):
    host = mode_lab.host()
    packet = mode_lab.from_inside(host, bytes(range(40)), proto=proto)
    with mode_lab.counting(drop_protocol=1, sent_icmp_protocol=1):
        mode_lab.inside.send(packet)
        packets.assert_icmp_error(mode_lab.inside.packet(), 3, 2, GATEWAY_IN, host.addr, packet)
    mode_lab.outside.assert_silent()


def test_answers_are_limited_for_each_subscriber(mode_lab):
    host, other = mode_lab.host(), mode_lab.host()
    flood = [mode_lab.from_inside(host, bytes(range(40)), proto=47)] * 500
    with mode_lab.counting(drop_protocol=501, sent_icmp_protocol=None):
        mode_lab.inside.send(*flood)
        mode_lab.inside.send(mode_lab.from_inside(other, bytes(range(40)), proto=47))
    answers = [Ether(frame)[IP].dst for frame in mode_lab.inside.drain()]
    assert 1 <= answers.count(host.addr) <= 20, "about ten a second"
    assert answers.count(other.addr) == 1, "others have limits of their own"
