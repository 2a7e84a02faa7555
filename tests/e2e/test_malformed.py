# SPDX-License-Identifier: BSD-2-Clause
"""Malformed and hostile packets: dropped with a reason, nothing leaves, the agent keeps running."""

import random
import struct

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, UDPerror
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab import IN_MAC, OUT_MAC, ROUTER_MAC, SERVER, SERVER_MAC, Host, block_of
from wire import ETH_IPV4

HOST = Host("10.0.0.5", "02:00:01:00:00:05")
BLOCK = block_of(HOST.addr)


def frame(payload, **ip):
    """A packet of HOST with a correct IP checksum and any fields."""
    return bytes(Ether(src=HOST.mac, dst=IN_MAC) / IP(**{"src": HOST.addr, "dst": SERVER, **ip}) / payload)


def cut(payload, length, **ip):
    """The same with only `length` octets of the IP packet on the wire."""
    return frame(payload, **ip)[: 14 + length]


UDP_PACKET = UDP(sport=5000, dport=53) / b"0123456789"
TCP_PACKET = TCP(sport=5000, dport=80, flags="S")

MALFORMED = {
    "an Ethernet header alone": frame(b"")[:14],
    "one octet of IP": cut(UDP_PACKET, 1),
    "19 octets of IP": cut(UDP_PACKET, 19),
    "version 5": frame(UDP_PACKET, version=5),
    "version 6 as IPv4": frame(UDP_PACKET, version=6),
    "header length of 4 words": frame(UDP_PACKET, ihl=4),
    "header length of 0": frame(UDP_PACKET, ihl=0),
    "header beyond the frame": cut(UDP_PACKET, 24, ihl=15, len=24),
    "header beyond the total length": frame(UDP_PACKET, ihl=8, len=28),
    "total length below the header": frame(UDP_PACKET, len=19),
    "total length of 0": frame(UDP_PACKET, len=0),
    "total length beyond the frame": frame(UDP_PACKET, len=1000),
    "no room for a UDP header": frame(b"1234567", proto=17),
    "UDP length below 8": frame(UDP(sport=5000, dport=53, len=7) / b"x"),
    "UDP length of 0": frame(UDP(sport=5000, dport=53, len=0) / b"x"),
    "UDP length beyond the packet": frame(UDP(sport=5000, dport=53, len=500) / b"x"),
    "no room for a TCP header": frame(b"0123456789012345678", proto=6),
    "TCP header of 4 words": frame(TCP(sport=5000, dport=80, dataofs=4)),
    "TCP header beyond the packet": frame(TCP(sport=5000, dport=80, dataofs=15)),
    "no room for an ICMP header": frame(b"1234567", proto=1),
    "no transport at all": frame(b"", proto=17),
}

# Errors whose quote names no session: either malformed or without a session.
BAD_QUOTES = {
    "none": frame(ICMP(type=3, code=3)),
    "half of one": frame(ICMP(type=3, code=3) / b"\x45\x00\x00\x30"),
    "version 6": frame(ICMP(type=3, code=3) / (b"\x65" + bytes(27))),
    "a header too long": frame(ICMP(type=3, code=3) / (b"\x4f" + bytes(27))),
    "a header too short": frame(ICMP(type=3, code=3) / (b"\x44" + bytes(27))),
    "no ports": frame(ICMP(type=3, code=3) / bytes(IP(src=SERVER, dst=HOST.addr, proto=17))),
    "an error": frame(ICMP(type=3, code=3) / IP(src=SERVER, dst=HOST.addr) / ICMP(type=3, code=3)),
    "a fragment behind the first": frame(ICMP(type=3, code=3) / IP(src=SERVER, dst=HOST.addr, proto=17, frag=5) / bytes(8)),
}

MARTIAN = {
    "from loopback": {"src": "127.0.0.1"},
    "from all of loopback": {"src": "127.255.255.254"},
    "from nowhere": {"src": "0.0.0.0"},
    "from multicast": {"src": "224.0.0.1"},
    "from broadcast": {"src": "255.255.255.255"},
}


def from_outside(packet):
    """The same packet as if the server had sent it to HOST's outside address."""
    packet = bytearray(packet)
    packet[:12] = bytes.fromhex((OUT_MAC + SERVER_MAC).replace(":", ""))
    if len(packet) >= 34:
        packet[26:34] = bytes(map(int, (SERVER + "." + BLOCK.addr).split(".")))
        length = max((packet[14] & 15) * 4, 20)
        packet[24:26] = b"\0\0"
        packet[24:26] = struct.pack("!H", checksum(packet[14 : 14 + length]))
    return bytes(packet)


def checksum(octets):
    octets = bytes(octets) + b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def sessions(lab):
    return {(s["proto"], s["in_port"], s["ext_addr"], s["ext_port"]) for s in lab.sessions(HOST.addr, "--all")}


def assert_dropped(lab, packet, reason=None, wire=None, answer=None):
    """Nothing of the packet leaves on either side and no session is opened; it is counted under the reason, if one is given.

    answer: counter of an answer that it may get, by the limits.
    """
    wire = wire or lab.inside
    before = sessions(lab)
    if reason:
        with lab.counting(**{reason: 1}, **({answer: None} if answer else {})):
            wire.send(packet)
    else:
        wire.send(packet)
    # A later packet shows that it has been processed.
    host = lab.host()
    lab.open_udp(host)
    lab.outside.assert_silent()
    if not answer:
        lab.inside.assert_silent()
    assert sessions(lab) <= before


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_from_inside(mode_lab, name):
    assert_dropped(mode_lab, MALFORMED[name], "drop_malformed")


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_from_outside(mode_lab, name):
    assert_dropped(mode_lab, from_outside(MALFORMED[name]), "drop_malformed", mode_lab.outside)


@pytest.mark.parametrize("name", BAD_QUOTES)
def test_icmp_errors_with_a_bad_quote(mode_lab, name):
    with mode_lab.counting(drop_malformed=None, drop_no_session=None):
        assert_dropped(mode_lab, BAD_QUOTES[name])
        assert_dropped(mode_lab, from_outside(BAD_QUOTES[name]), wire=mode_lab.outside)


@pytest.mark.parametrize("name", MARTIAN)
def test_martians_from_inside(mode_lab, name):
    assert_dropped(mode_lab, frame(UDP_PACKET, **MARTIAN[name]), "drop_martian")


@pytest.mark.parametrize("dst", ["127.0.0.1", "0.0.0.0", "224.0.0.5", "240.0.0.1", "255.255.255.255"])
def test_packets_to_invalid_destinations_do_not_leave(mode_lab, dst):
    with mode_lab.counting(drop_martian=None):
        assert_dropped(mode_lab, frame(UDP_PACKET, dst=dst))


def test_a_dhcp_request_reaches_the_kernel(mode_lab):
    request = Ether(src=HOST.mac, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / bytes(240)
    with mode_lab.counting(passed_untranslated=1):
        mode_lab.inside.send(request)


def test_a_martian_from_outside(mode_lab):
    host = mode_lab.host()
    src = mode_lab.open_udp(host)
    packet = Ether(src=ROUTER_MAC, dst=OUT_MAC) / IP(src="127.0.0.1", dst=src[0]) / UDP(sport=53, dport=src[1])
    assert_dropped(mode_lab, packet, "drop_martian", mode_lab.outside)


@pytest.mark.parametrize("proto", [2, 41, 47, 50, 89, 132, 255])
def test_protocols_without_ports(mode_lab, proto):
    assert_dropped(mode_lab, frame(Raw(bytes(40)), proto=proto), "drop_protocol", answer="sent_icmp_protocol")
    mode_lab.inside.clear()
    packet = mode_lab.from_outside(BLOCK.addr, Raw(bytes(40)), proto=proto)
    assert_dropped(mode_lab, packet, "drop_protocol", mode_lab.outside)


@pytest.mark.parametrize("kind", [5, 9, 10, 13, 15, 17, 40, 255])
def test_icmp_that_is_neither_echo_nor_error_does_not_leave(mode_lab, kind):
    assert_dropped(mode_lab, frame(ICMP(type=kind) / bytes(20)))


def test_echo_replies_from_inside_open_nothing(mode_lab):
    assert_dropped(mode_lab, frame(ICMP(type=0, id=5) / b"x"))


def test_an_error_that_quotes_no_session(mode_lab):
    inner = IPerror(src=BLOCK.addr, dst="203.0.113.9") / UDPerror(sport=BLOCK.lo, dport=9)
    packet = mode_lab.from_outside(BLOCK.addr, ICMP(type=3, code=3) / inner)
    assert_dropped(mode_lab, packet, "drop_no_session", mode_lab.outside)
    inner = IPerror(src="203.0.113.9", dst=HOST.addr) / UDPerror(sport=9, dport=9)
    assert_dropped(mode_lab, frame(ICMP(type=3, code=3) / inner))


def test_a_packet_from_and_to_the_same_endpoint(mode_lab):
    """Source equals outside address: the land attack, through the pool."""
    packet = mode_lab.from_outside(BLOCK.addr, UDP(sport=BLOCK.lo, dport=BLOCK.lo), src=BLOCK.addr)
    assert_dropped(mode_lab, packet, wire=mode_lab.outside)


def test_a_wrong_checksum_is_not_repaired(mode_lab):
    """Updated by difference, so it stays as wrong as it was and the receiver notices."""
    host = mode_lab.host()
    block = block_of(host.addr)
    src = block.first_choice(5000)
    packet = mode_lab.from_inside(host, UDP(sport=5000, dport=53) / b"abcd")
    good = mode_lab.going_out(packet, src)
    packet[UDP].chksum ^= 0x0101
    mode_lab.inside.send(packet)
    came = mode_lab.outside.packet()
    assert came[UDP].chksum != good[UDP].chksum, "repaired"
    came[UDP].chksum = good[UDP].chksum
    assert bytes(came) == bytes(good)


def test_a_udp_checksum_of_0_stays_0_in_both_directions(mode_lab):
    host = mode_lab.host()
    src = block_of(host.addr).first_choice(5000)
    out = mode_lab.from_inside(host, UDP(sport=5000, dport=53) / b"abcd")
    out[UDP].chksum = 0
    mode_lab.send_out(out, src)
    back = mode_lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"abcd")
    back[UDP].chksum = 0
    mode_lab.send_in(back, host, 5000)


def test_no_udp_checksum_becomes_0(mode_lab):
    """A packet whose new checksum computes to 0 carries 0xffff."""
    host = mode_lab.host()
    src = block_of(host.addr).first_choice(5000)
    packet = mode_lab.from_inside(host, UDP(sport=5000, dport=53) / b"\0\0abcd")
    sum_after = mode_lab.going_out(packet, src)[UDP].chksum
    # Raising two zero octets of payload by the checksum lowers the checksum to 0.
    packet[UDP].payload = Raw(struct.pack("!H", sum_after) + b"abcd")
    packet[UDP].chksum = None
    packet = Ether(bytes(packet))
    mode_lab.inside.send(packet)
    came = mode_lab.outside.packet()
    assert came[UDP].chksum == 0xFFFF
    assert bytes(came) == bytes(mode_lab.going_out(packet, src))


def test_padding_behind_the_packet_is_harmless(mode_lab):
    host = mode_lab.host()
    src = block_of(host.addr).first_choice(5000)
    packet = mode_lab.from_inside(host, UDP(sport=5000, dport=53))
    mode_lab.inside.send(bytes(packet) + b"\xaa" * 18)
    came = mode_lab.outside.receive()
    wanted = bytes(mode_lab.going_out(packet, src))
    assert came is not None and came[: len(wanted)] == wanted


def test_options_are_kept(mode_lab):
    host = mode_lab.host()
    src = block_of(host.addr).first_choice(5000)
    mode_lab.send_out(mode_lab.from_inside(host, UDP(sport=5000, dport=53) / b"x", options=b"\x01\x01\x01\x00"), src)
    mode_lab.send_in(mode_lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"x", options=b"\x94\x04\x00\x00"), host, 5000)


def mutations(seed, number, packets):
    """Packets with a few octets changed, cut or added; the frame's addresses are kept."""
    dice = random.Random(seed)
    for _ in range(number):
        packet = bytearray(dice.choice(packets))
        for _ in range(dice.randint(1, 4)):
            packet[dice.randrange(14, len(packet))] = dice.choice((0, 1, 4, 5, 0x45, 0x46, 0x4F, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        if dice.random() < 0.5 and len(packet) > 34:
            packet[24:26] = b"\0\0"
            packet[24:26] = struct.pack("!H", checksum(packet[14:34]))
        if dice.random() < 0.3:
            del packet[dice.randrange(14, len(packet)) :]
        yield bytes(packet)


def test_thousands_of_mutations_do_no_harm(mode_lab):
    host = mode_lab.host()
    src = mode_lab.handshake(host)
    quote = bytes(IP(src=src[0], dst=SERVER) / TCP(sport=src[1], dport=80))[:28]
    inward = [bytes(p) for p in (
        mode_lab.from_outside(src[0], TCP(sport=80, dport=src[1], flags="PA") / b"data"),
        mode_lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"data"),
        mode_lab.from_outside(src[0], ICMP(type=3, code=4) / quote),
        mode_lab.from_outside(src[0], ICMP(type=0, id=src[1]) / b"data"),
        mode_lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / bytes(64), flags="MF", id=7),
    )]
    outward = [bytes(p) for p in (
        mode_lab.from_inside(host, TCP(sport=5000, dport=80, flags="PA") / b"data"),
        mode_lab.from_inside(host, UDP(sport=5000, dport=53) / b"data"),
        mode_lab.from_inside(host, ICMP(type=8, id=5) / b"data"),
        mode_lab.from_inside(host, ICMP(type=3, code=1) / quote),
        mode_lab.from_inside(host, UDP(sport=5000, dport=53) / bytes(64), dst=src[0]),
        mode_lab.from_inside(host, UDP(sport=5000, dport=53) / bytes(64), flags="MF", id=7),
    )]
    for packet in mutations(1, 1500, outward):
        mode_lab.inside.send(packet)
    for packet in mutations(2, 1500, inward):
        mode_lab.outside.send(packet)
    assert mode_lab.agent.running()
    fresh = mode_lab.host()
    src = block_of(fresh.addr).first_choice(5000)
    mode_lab.outside.drain()
    mode_lab.inside.send(mode_lab.from_inside(fresh, UDP(sport=5000, dport=53) / b"still here"))
    wanted = bytes(mode_lab.going_out(mode_lab.from_inside(fresh, UDP(sport=5000, dport=53) / b"still here"), src))
    for _ in range(5000):
        came = mode_lab.outside.receive()
        assert came is not None, "the marker did not come"
        if came == wanted:
            break
        # Nothing leaves with an inside source address.
        assert not (came[12:14] == ETH_IPV4 and came[26:28] == b"\x0a\x00" and came[26:30] != b"\x0a\x00\x00\x01"), came.hex()
    mode_lab.inside.drain()
    mode_lab.outside.drain()
