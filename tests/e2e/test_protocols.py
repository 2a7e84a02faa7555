# SPDX-License-Identifier: BSD-2-Clause
"""Protocols without ports, IP options, headers that must survive, stray packets, and refresh from outside."""

import time

import pytest
from scapy.layers.inet import IP, TCP, UDP, IPOption
from scapy.packet import Raw

import packets
from agent import wait_for
from lab import IN_MAC, MAPPING, SERVER, Lab, block_of

OWN = {"in": "10.0.64.0/28", "out": "203.0.113.16/28"}
PROTOCOLS = {"GRE": 47, "ESP": 50, "SCTP": 132, "IP in IP": 4, "UDP-Lite": 136, "DCCP": 33}


@pytest.fixture(scope="module")
def two_mappings_lab(run_directory, mode):
    """A lab with a mapping whose subscribers share addresses, and one whose subscribers have their own."""
    it = Lab(run_directory)
    try:
        it.start(mappings=[MAPPING, OWN], **mode)
        yield it
    finally:
        it.close()


@pytest.fixture(autouse=True)
def clean_wires(request):
    if "two_mappings_lab" in request.fixturenames:
        shared = request.getfixturevalue("two_mappings_lab")
        shared.inside.clear()
        shared.outside.clear()


def ones_sum(octets):
    octets += b"\0" * (len(octets) % 2)
    total = sum(int.from_bytes(octets[i:i + 2], "big") for i in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def payload(name, src, dst):
    """A payload of the protocol; a checksum that covers the addresses is correct for these."""
    if name not in ("UDP-Lite", "DCCP"):
        return bytes(range(32))
    octets = bytearray(b"\x13\x88\x00\x35\x00\x08\x00\x00 and its data")
    if name == "UDP-Lite":
        octets[4:6] = b"\0\0"  # it covers the whole payload
    pseudo = b"".join(bytes(map(int, a.split("."))) for a in (src, dst)) + bytes([0, PROTOCOLS[name]]) + len(octets).to_bytes(2, "big")
    octets[6:8] = (~ones_sum(pseudo + bytes(octets)) & 0xFFFF).to_bytes(2, "big")
    return bytes(octets)


def translated(packet, name, macs, **addresses):
    """Like packets.translated(), with the payload that is correct for the new addresses."""
    result = packets.translated(packet, macs, **{k: (v, None) for k, v in addresses.items()})
    result[IP].remove_payload()
    return packets.rebuilt(result / Raw(payload(name, result[IP].src, result[IP].dst)))


def packet_of(lab, name, host, **ip):
    return lab.from_inside(host, payload(name, host.addr, ip.get("dst", SERVER)), proto=PROTOCOLS[name], **ip)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_address_alone_is_translated_where_it_is_the_subscribers_own(two_mappings_lab, name):
    host = two_mappings_lab.host("10.0.64.5")
    out = packet_of(two_mappings_lab, name, host, tos=0xB9, id=0x1234)
    with two_mappings_lab.counting():
        two_mappings_lab.inside.send(out)
        wanted = two_mappings_lab.going_out(out, ("203.0.113.21", None))
        two_mappings_lab.outside.expect(translated(out, name, (wanted.src, wanted.dst), src="203.0.113.21"))
        back = two_mappings_lab.from_outside("203.0.113.21", payload(name, SERVER, "203.0.113.21"), proto=PROTOCOLS[name], flags="DF", id=0)
        two_mappings_lab.outside.send(back)
        two_mappings_lab.inside.expect(translated(back, name, (IN_MAC, host.mac), dst=host.addr))
    assert two_mappings_lab.sessions(host.addr) == []


def test_hairpin_between_two_subscribers_with_own_addresses(two_mappings_lab):
    caller, callee = two_mappings_lab.host("10.0.64.6"), two_mappings_lab.host("10.0.64.7")
    packet = packet_of(two_mappings_lab, "GRE", caller, dst="203.0.113.23")
    with two_mappings_lab.counting(hairpin_translated=1):
        two_mappings_lab.inside.send(packet)
    two_mappings_lab.inside.expect(packets.translated(packet, (IN_MAC, callee.mac), src=("203.0.113.22", None), dst=(callee.addr, None)))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_dropped_where_addresses_are_shared(two_mappings_lab, name):
    host = two_mappings_lab.host()
    with two_mappings_lab.counting(drop_protocol=2, sent_icmp_unreachable=None, sent_icmp_protocol=None):
        two_mappings_lab.inside.send(packet_of(two_mappings_lab, name, host))
        two_mappings_lab.outside.send(two_mappings_lab.from_outside(block_of(host.addr).addr, bytes(24), proto=PROTOCOLS[name]))
    two_mappings_lab.outside.assert_silent()


ROUTES = {
    "loose": b"\x83\x07\x04\xc0\x00\x02\x01\x00",
    "strict": b"\x89\x07\x04\xc0\x00\x02\x01\x00",
    "behind others": b"\x01\x01\x94\x04\x00\x00\x83\x03\x04\x00\x00\x00",
}


@pytest.mark.parametrize("name", ROUTES)
def test_source_routes_are_refused(two_mappings_lab, name):
    host = two_mappings_lab.host()
    options = [IPOption(ROUTES[name])]
    with two_mappings_lab.counting(**{"drop_source_route": None}):
        two_mappings_lab.inside.send(two_mappings_lab.from_inside(host, UDP(sport=1, dport=2), options=options))
        two_mappings_lab.open_udp(host)
    two_mappings_lab.outside.assert_silent()
    src = two_mappings_lab.open_udp(host)
    with two_mappings_lab.counting(drop_source_route=1):
        two_mappings_lab.outside.send(two_mappings_lab.from_outside(src[0], UDP(sport=53, dport=src[1]), options=options))
    two_mappings_lab.inside.assert_silent()


RECORDS = {
    "record route": b"\x07\x07\x04\x00\x00\x00\x00\x00",
    "timestamp": b"\x44\x0c\x05\x01\x00\x00\x00\x00\x00\x00\x00\x00",
    "traceroute": b"\x52\x0c\x00\x01\x00\x00\x00\x00\x0a\x00\x00\x02",
}


@pytest.mark.parametrize("name", RECORDS)
def test_options_with_addresses_are_refused(two_mappings_lab, name):
    """They would reveal inside addresses outside, and so would the answers to such packets."""
    host = two_mappings_lab.host()
    options = [IPOption(RECORDS[name])]
    with two_mappings_lab.counting(drop_address_option=1):
        two_mappings_lab.inside.send(two_mappings_lab.from_inside(host, UDP(sport=1, dport=2), options=options))
    two_mappings_lab.outside.assert_silent()
    src = two_mappings_lab.open_udp(host)
    with two_mappings_lab.counting(drop_address_option=1):
        two_mappings_lab.outside.send(two_mappings_lab.from_outside(src[0], UDP(sport=53, dport=src[1]), options=options))
    two_mappings_lab.inside.assert_silent()


@pytest.mark.parametrize("options", [b"\x94\x04\x00\x00", b"\x01\x01\x01\x00", b"\x82\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"],
                         ids=["router alert", "padding", "security"])
def test_other_ip_options_are_kept(two_mappings_lab, options):
    host = two_mappings_lab.host()
    src = block_of(host.addr).first_choice(5000)
    two_mappings_lab.send_out(two_mappings_lab.from_inside(host, UDP(sport=5000, dport=53), options=[IPOption(options)]), src)
    two_mappings_lab.send_in(two_mappings_lab.from_outside(src[0], UDP(sport=53, dport=src[1]), options=[IPOption(options)]), host, 5000)


@pytest.mark.parametrize("header", [{"flags": "DF", "id": 0}, {"flags": "DF", "id": 0xBEEF}, {"flags": 0, "id": 0xBEEF},
                                    {"flags": 0, "id": 0}, {"tos": 0xB8}, {"tos": 3}, {"tos": 0xFF}, {"ttl": 2}, {"ttl": 255}],
                         ids=str)
def test_df_id_dscp_ecn_are_the_senders(two_mappings_lab, header):
    """RFC 6864, RFC 3168; the TTL is one less."""
    host = two_mappings_lab.host()
    src = block_of(host.addr).first_choice(5000)
    two_mappings_lab.send_out(two_mappings_lab.from_inside(host, UDP(sport=5000, dport=53), **header), src)
    two_mappings_lab.send_in(two_mappings_lab.from_outside(src[0], UDP(sport=53, dport=src[1]), **header), host, 5000)
    two_mappings_lab.send_out(two_mappings_lab.from_inside(host, TCP(sport=5000, dport=53, flags="SEC"), **header), src)


def test_strays(two_mappings_lab):
    host = two_mappings_lab.host()
    two_mappings_lab.open_udp(host)
    block = block_of(host.addr)
    with two_mappings_lab.counting(drop_martian=2, drop_direct_to_inside=2, drop_no_session=2):
        two_mappings_lab.outside.send(
            two_mappings_lab.from_outside(block.addr, UDP(sport=53, dport=block.lo), src=host.addr),
            two_mappings_lab.from_outside("192.0.2.77", UDP(sport=53, dport=1), src=host.addr),
            two_mappings_lab.from_outside(host.addr, UDP(sport=53, dport=5000), src="10.0.0.99"),
            two_mappings_lab.from_outside(host.addr, TCP(sport=53, dport=22, flags="S")),
            two_mappings_lab.from_outside(block.addr, TCP(sport=80, dport=block.lo, flags="A")),
            two_mappings_lab.from_outside(block.addr, TCP(sport=80, dport=block.lo, flags="S")),
        )
    two_mappings_lab.inside.assert_silent()
    two_mappings_lab.outside.assert_silent()


def test_a_segment_without_a_session_opens_one_from_inside(two_mappings_lab):
    host = two_mappings_lab.host()
    two_mappings_lab.tcp_out(host, block_of(host.addr).first_choice(5000), "PA")
    assert two_mappings_lab.state(host) == "tcp-transitory"


def test_udp_is_refreshed_from_outside_if_configured(lab, mode):
    """The value of `expires` before and after a packet from outside (RFC 4787 REQ-6)."""
    lab.start(timeouts={"udp": 200}, udp_inbound_refresh=True, **mode)
    host = lab.host()
    src = lab.open_udp(host)

    def aged():
        return lab.session(host)["expires"] <= 197

    def answer():
        lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)

    wait_for(aged, what="the session's age")
    began = time.monotonic()
    answer()
    assert lab.session(host)["expires"] >= 199 - (time.monotonic() - began)
    lab.agent.write(udp_inbound_refresh=None)
    lab.agent.ctl("reload")
    wait_for(aged, what="the session's age")
    answer()
    assert lab.session(host)["expires"] <= 197
