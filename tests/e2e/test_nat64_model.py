# SPDX-License-Identifier: BSD-2-Clause
"""What the model of NAT64 (tests/nat64) makes of packets: the tables of RFC 7915 written out again, and scapy's checksums."""

import ipaddress
import pathlib
import struct
import sys

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig, ICMPv6ParamProblem, ICMPv6TimeExceeded,
                                ICMPv6Unknown, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)
from scapy.packet import Raw

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from nat64 import model, prefix  # noqa: E402

HOST, OUTSIDE, SERVER, ROUTER = "2001:db8:4000:1200::1", "203.0.113.9", "198.51.100.7", "192.0.2.1"
PREFIX = "64:ff9b::"
SERVER6, ROUTER6 = PREFIX + SERVER, PREFIX + ROUTER
# Inside ports and identifiers, and those outside.
SESSIONS = {(6, 1000): 4000, (17, 2000): 4001, (1, 3000): 4002}


def packed(text):
    return ipaddress.ip_address(text).packed


def nat64(**changes):
    table = model.Sessions({(proto, packed(HOST), port): (packed(OUTSIDE), outside) for (proto, port), outside in SESSIONS.items()})
    return model.Translator(table, packed(PREFIX), **changes)


def to6(packet, **changes):
    return nat64(**changes).to6(bytes(packet))


def to4(packet, **changes):
    return nat64(**changes).to4(bytes(packet))


def out(upper, **fields):
    return IPv6(src=HOST, dst=SERVER6, **fields) / upper


def sent(upper, **fields):
    return IP(src=OUTSIDE, dst=SERVER, id=0, **fields) / upper


def back(upper, **fields):
    return IP(src=SERVER, dst=OUTSIDE, **fields) / upper


def received(upper, **fields):
    return IPv6(src=SERVER6, dst=HOST, **fields) / upper


def assert_only(result, packet):
    assert (result.reason, [it.hex() for it in result.packets]) == ("", [bytes(packet).hex()])


DATA = [Raw(b""), Raw(b"x"), Raw(bytes(range(256)) * 4)]
SESSIONS_BOTH_WAYS = [
    (lambda port, data: TCP(sport=port, dport=443, seq=7, flags="PA", options=[("MSS", 1460), ("NOP", None)]) / data,
     lambda port, data: TCP(sport=443, dport=port, seq=7, flags="PA", options=[("MSS", 1460), ("NOP", None)]) / data, 1000, 4000),
    (lambda port, data: UDP(sport=port, dport=53) / data, lambda port, data: UDP(sport=53, dport=port) / data, 2000, 4001)]


@pytest.mark.parametrize("data", DATA, ids=lambda it: str(len(it)))
def test_what_passes_has_its_addresses_its_port_and_the_checksums_that_scapy_computes(data):
    for ahead, behind, inside, outside in SESSIONS_BOTH_WAYS:
        assert_only(to4(out(ahead(inside, data), tc=0xB9, hlim=17, fl=0x12345)), sent(ahead(outside, data), tos=0xB9, ttl=16))
        assert_only(to6(back(behind(outside, data), tos=0xB9, ttl=17, id=5, flags="DF")), received(behind(inside, data), tc=0xB9, hlim=16))
    assert_only(to4(out(ICMPv6EchoRequest(id=3000, seq=9, data=data.load))), sent(ICMP(type=8, id=4002, seq=9) / data, ttl=63))
    assert_only(to6(back(ICMP(type=0, id=4002, seq=9) / data)), received(ICMPv6EchoReply(id=3000, seq=9, data=data.load), hlim=63))


def test_options_extension_headers_flow_labels_and_padding_are_left_out():
    upper = UDP(sport=2000, dport=53) / b"abc"
    plain = sent(UDP(sport=4001, dport=53) / b"abc", ttl=63)
    headers = IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting(segleft=0) / IPv6ExtHdrDestOpt() / upper
    assert_only(to4(bytes(out(headers, fl=1)) + bytes(9)), plain)
    assert_only(to4(out(IPv6ExtHdrRouting(segleft=0) / upper)), plain)
    assert_only(to6(bytes(back(UDP(sport=53, dport=4001) / b"abc", options=b"\x94\x04\0\0")) + bytes(9)), received(UDP(sport=53, dport=2000) / b"abc", hlim=63))


@pytest.mark.parametrize("length, df", [(28, 0), (1260, 0), (1261, 1), (1480, 1)])
def test_df_is_set_above_1260_octets_of_ipv4(length, df):
    octets = to4(out(UDP(sport=2000, dport=53) / bytes(length - 28))).packets[0]
    assert (len(octets), octets[6] >> 6) == (length, df)


def test_without_df_a_long_packet_goes_in_fragments_and_with_df_an_error_comes_back():
    data = bytes(range(256)) * 5 + bytes(133)
    result = to6(back(UDP(sport=53, dport=4001) / data, id=0xABCD))
    parts = [IPv6(it) for it in result.packets]
    assert [len(it) for it in result.packets] == [1280, 48 + 8 + len(data) - 1232]
    assert [(it[IPv6ExtHdrFragment].id, it[IPv6ExtHdrFragment].m, it[IPv6ExtHdrFragment].offset * 8) for it in parts] == [(0xABCD, 1, 0), (0xABCD, 0, 1232)]
    assert b"".join(it[48:] for it in result.packets) == bytes(received(UDP(sport=53, dport=2000) / data))[40:]
    assert len(to6(back(UDP(sport=53, dport=4001) / data, id=1), lowest_mtu6=1500).packets) == 1
    too_long = back(UDP(sport=53, dport=4001) / bytes(1453), flags="DF")
    result = to6(too_long)
    error = IP(result.error)
    assert (result.reason, error.dst, error[ICMP].type, error[ICMP].code, error[ICMP].nexthopmtu, len(error)) == ("too_big", SERVER, 3, 4, 1480, 576)
    assert result.error[28:] == bytes(too_long)[:548]
    piece = to6(back(bytes(back(UDP(sport=53, dport=4001) / bytes(1456)))[20:], flags="DF+MF", proto=17))
    assert IP(piece.error)[ICMP].nexthopmtu == 1472  # its fragment header takes 8
    result = to4(out(UDP(sport=2000, dport=53) / bytes(1400)), mtu4=1400)
    error = IPv6(result.error)
    assert (result.reason, error.dst, error[ICMPv6PacketTooBig].mtu, len(error)) == ("too_big", HOST, 1420, 1280)


def test_fragments_keep_their_place_and_the_lower_half_of_their_identification():
    datagram = UDP(sport=53, dport=4001) / bytes(range(240))
    whole = back(datagram)
    wanted = bytes(received(UDP(sport=53, dport=2000) / bytes(range(240))))[40:]
    octets = bytes(whole)[20:]
    first = to6(IP(src=SERVER, dst=OUTSIDE, id=0xABCD, flags="MF", proto=17) / octets[:64])
    assert_only(first, IPv6(src=SERVER6, dst=HOST, hlim=63) / IPv6ExtHdrFragment(nh=17, id=0xABCD, m=1) / wanted[:64])
    later = to6(IP(src=SERVER, dst=OUTSIDE, id=0xABCD, frag=8, proto=17, flags="DF") / octets[64:])
    assert_only(later, IPv6(src=SERVER6, dst=HOST, hlim=63) / IPv6ExtHdrFragment(nh=17, id=0xABCD, offset=8) / wanted[64:])
    inside = bytes(out(UDP(sport=2000, dport=53) / bytes(range(240))))[40:]
    outside = bytes(sent(UDP(sport=4001, dport=53) / bytes(range(240))))[20:]
    first = to4(IPv6(src=HOST, dst=SERVER6) / IPv6ExtHdrFragment(nh=17, id=0x1234ABCD, m=1) / inside[:64])
    assert_only(first, IP(src=OUTSIDE, dst=SERVER, id=0xABCD, flags="MF", proto=17, ttl=63) / outside[:64])
    later = to4(IPv6(src=HOST, dst=SERVER6) / IPv6ExtHdrFragment(nh=17, id=0x1234ABCD, offset=8) / inside[64:])
    assert_only(later, IP(src=OUTSIDE, dst=SERVER, id=0xABCD, frag=8, proto=17, ttl=63) / outside[64:])
    atomic = to4(IPv6(src=HOST, dst=SERVER6) / IPv6ExtHdrFragment(nh=17, id=0x1234ABCD) / inside)
    assert_only(atomic, IP(src=OUTSIDE, dst=SERVER, id=0xABCD, proto=17, ttl=63) / outside)
    assert to6(back(ICMP(type=0, id=4002), flags="MF")).reason == "icmp_fragment"


def test_udp_without_a_checksum_gets_one_unless_it_is_a_fragment_and_a_wrong_one_stays_wrong():
    without = back(UDP(sport=53, dport=4001, chksum=0) / b"abc")
    assert_only(to6(without), received(UDP(sport=53, dport=2000) / b"abc", hlim=63))
    # Data that make up for the sum: a computed 0 is sent as ffff.
    data = to6(back(UDP(sport=53, dport=4001, chksum=0) / bytes(2))).packets[0][46:48]
    assert to6(back(UDP(sport=53, dport=4001, chksum=0) / data)).packets[0][46:48] == b"\xff\xff"
    assert to6(back(UDP(sport=53, dport=4001, chksum=0) / bytes(8), flags="MF")).reason == "no_checksum"
    assert to4(out(UDP(sport=2000, dport=53, chksum=0) / b"abc")).reason == "no_checksum"
    right = back(UDP(sport=53, dport=4001) / b"abc")
    wrong = bytearray(bytes(right))
    wrong[-1] ^= 1
    assert to6(wrong).packets[0][:-1] == to6(right).packets[0][:-1]


UNREACHABLE4 = {0: (1, 0), 1: (1, 0), 2: (4, 1), 3: (1, 4), 4: (2, 0), 5: (1, 0), 6: (1, 0), 7: (1, 0), 8: (1, 0), 9: (1, 1), 10: (1, 1), 11: (1, 0),
                12: (1, 0), 13: (1, 1), 15: (1, 1)}
POINTERS4 = {0: 0, 1: 1, 2: 4, 3: 4, 8: 7, 9: 6, 12: 8, 13: 8, 14: 8, 15: 8, 16: 24, 17: 24, 18: 24, 19: 24}
UNREACHABLE6 = {0: (3, 1), 1: (3, 10), 2: (3, 1), 3: (3, 1), 4: (3, 3)}
POINTERS6 = {0: 0, 1: 1, 4: 2, 5: 2, 6: 9, 7: 8} | {at: 12 for at in range(8, 24)} | {at: 16 for at in range(24, 40)}


def error4(kind, code, quote=None, rest=bytes(4), extension=b""):
    quote = bytes(quote or sent(UDP(sport=4001, dport=53) / bytes(20), ttl=9))
    message = bytes(ICMP(type=kind, code=code)[ICMP])[:2]
    return IP(src=ROUTER, dst=OUTSIDE, proto=1) / with_sum(message + bytes(2) + rest + quote + extension)


def with_sum(message):
    """A message of ICMPv4 with its checksum; Python's own sum, neither scapy's nor the model's."""
    padded = message + bytes(len(message) % 2)
    total = sum(int.from_bytes(padded[at:at + 2], "big") for at in range(0, len(padded), 2))
    return message[:2] + struct.pack("!H", 0xFFFF - (total % 0xFFFF)) + message[4:]


def error6(layer, quote=None):
    quote = quote or IPv6(src=SERVER6, dst=HOST, hlim=9) / UDP(sport=53, dport=2000) / bytes(20)
    return IPv6(src="2001:db8:4000:1200::99", dst=SERVER6) / layer / Raw(bytes(quote))


def test_icmpv4_errors_become_what_section_4_2_says():
    quote = IPv6(src=HOST, dst=SERVER6, hlim=9) / UDP(sport=2000, dport=53) / bytes(20)
    about = bytes(sent(UDP(sport=4001, dport=53) / bytes(20), ttl=9))
    layers = {1: ICMPv6DestUnreach, 2: ICMPv6PacketTooBig, 3: ICMPv6TimeExceeded, 4: ICMPv6ParamProblem}
    for kind in range(256):
        for code in range(18) if kind in (3, 11, 12) else (0, 4):
            if kind in (0, 8):
                continue
            result = to6(error4(kind, code, quote=about, rest=b"\1\0\0\0" if kind == 12 else bytes(4)))
            wanted = UNREACHABLE4.get(code) if kind == 3 else (3, code) if kind == 11 else (4, 0) if kind == 12 and code in (0, 2) else None
            if wanted is None:
                assert (result.packets, result.error, result.reason) == ([], None, "icmp_type"), (kind, code)
                continue
            fields = {2: {"mtu": 1280}, 4: {"ptr": 6 if kind == 3 else 1}}.get(wanted[0], {})
            assert_only(result, IPv6(src=ROUTER6, dst=HOST, hlim=63) / layers[wanted[0]](code=wanted[1], **fields) / Raw(bytes(quote)))
    for pointer in range(256):
        result = to6(error4(12, 0, quote=about, rest=bytes([pointer, 0, 0, 0])))
        assert [it[47] for it in result.packets] == ([POINTERS4[pointer]] if pointer in POINTERS4 else []), pointer


def test_icmpv6_errors_become_what_section_5_2_says():
    quote = IP(src=SERVER, dst=OUTSIDE, ttl=9, id=0) / UDP(sport=53, dport=4001) / bytes(20)
    for code in range(18):
        for layer, wanted in ((ICMPv6DestUnreach(code=code), UNREACHABLE6.get(code)), (ICMPv6TimeExceeded(code=code), (11, code)),
                              (ICMPv6PacketTooBig(code=code, mtu=1400), (3, 4)), (ICMPv6ParamProblem(code=code, ptr=6), {0: (12, 0), 1: (3, 2)}.get(code))):
            result = to4(error6(layer))
            if wanted is None:
                assert (result.packets, result.error, result.reason) == ([], None, "icmp_type"), layer
                continue
            rest = {(3, 4): struct.pack("!HH", 0, 1380), (12, 0): b"\x09\0\0\0"}.get(wanted, bytes(4))
            message = with_sum(bytes(wanted) + bytes(2) + rest + bytes(quote))
            assert_only(result, IP(src=OUTSIDE, dst=SERVER, ttl=63, id=0, proto=1) / message)
    for pointer in list(range(64)) + [1 << 31]:
        result = to4(error6(ICMPv6ParamProblem(code=0, ptr=pointer)))
        assert [it[24] for it in result.packets] == ([POINTERS6[pointer]] if pointer in POINTERS6 else []), pointer
    for kind in (0, 5, 100, 127, 130, 133, 135, 137, 255):  # MLD, neighbours and what is unknown
        message = ICMPv6Unknown(type=kind) / Raw(bytes(44))
        assert to4(IPv6(src=HOST, dst=SERVER6, nh=58) / message).reason == "icmp_type", kind


@pytest.mark.parametrize("told, length, mtu4, mtu6, wanted", [
    (1400, 1500, 1500, 1500, 1420), (1500, 1500, 1500, 1500, 1500), (1500, 1500, 1400, 9000, 1420), (1260, 1500, 1500, 1500, 1280),
    (1261, 1500, 1500, 1500, 1281), (68, 1500, 1500, 1500, 1280), (0, 1500, 1500, 9000, 1512), (0, 1492, 1500, 9000, 1280), (0, 5000, 9000, 9000, 4372),
    (0, 60, 1500, 1500, 1280), (65535, 1500, 65535, 65535, 65535)])
def test_the_mtu_told_inwards(told, length, mtu4, mtu6, wanted):
    quote = bytes(sent(UDP(sport=4001, dport=53) / bytes(20)))
    quote = quote[:2] + struct.pack("!H", length) + quote[4:]
    result = to6(error4(3, 4, quote=quote, rest=struct.pack("!HH", 0, told)), mtu4=mtu4, mtu6=mtu6)
    assert IPv6(result.packets[0])[ICMPv6PacketTooBig].mtu == wanted


@pytest.mark.parametrize("told, mtu4, mtu6, wanted", [
    (1500, 1500, 1500, 1480), (1400, 1500, 1500, 1380), (1400, 1300, 1500, 1300), (9000, 9000, 1500, 1480), (88, 1500, 1500, 68), (87, 1500, 1500, 68),
    (0, 1500, 1500, 68), ((1 << 32) - 1, 1500, 1500, 1480), ((1 << 32) - 1, 9000, 9000, 8980)])
def test_the_mtu_told_outwards(told, mtu4, mtu6, wanted):
    assert to4(error6(ICMPv6PacketTooBig(mtu=told)), mtu4=mtu4, mtu6=mtu6).packets[0][24:28] == struct.pack("!HH", 0, wanted)


OBJECTS = b"\x20\0\0\0\0\x08\x01\x01abcd"  # of RFC 4884; what is in it is nobody's concern


@pytest.mark.parametrize("data, length4, length6", [(100, 32, 19), (104, 33, 19), (20, 32, 16), (544, 143, 74), (900, 232, 119)])
def test_extensions_keep_their_octets_and_get_the_length_of_the_other_family(data, length4, length6):
    quote = bytes(sent(UDP(sport=4001, dport=53) / bytes(range(data % 256)).ljust(data, b"z"), ttl=9))
    inside = bytes(IPv6(src=HOST, dst=SERVER6, hlim=9) / UDP(sport=2000, dport=53) / bytes(range(data % 256)).ljust(data, b"z"))
    result = to6(error4(11, 0, quote=quote.ljust(length4 * 4, b"\0"), rest=bytes([0, length4, 0, 0]), extension=OBJECTS))
    message = IPv6(result.packets[0])[ICMPv6TimeExceeded]
    assert (message.length, bytes(message)[8:]) == (length6, inside.ljust(length6 * 8, b"\0") + OBJECTS)
    # The other way, cut to 576 octets with the extension whole.
    quote = bytes(IPv6(src=SERVER6, dst=HOST, hlim=9) / UDP(sport=53, dport=2000) / bytes(data))
    layer = ICMPv6TimeExceeded(length=-(-max(128, len(quote)) // 8))
    result = to4(error6(layer, quote=quote.ljust(layer.length * 8, b"\0") + OBJECTS))
    octets = result.packets[0]
    assert len(octets) <= 576 and octets.endswith(OBJECTS)
    assert octets[25] * 4 == len(octets) - 28 - len(OBJECTS) == min(max(128, 28 + data + -data % 4), 576 - 28 - len(OBJECTS))


def test_extensions_that_leave_no_room_go_and_so_does_their_length():
    quote = bytes(sent(UDP(sport=4001, dport=53) / bytes(100), ttl=9))
    result = to6(error4(11, 0, quote=quote, rest=b"\0\x20\0\0", extension=OBJECTS * 100))
    message = IPv6(result.packets[0])[ICMPv6TimeExceeded]
    assert (message.length, len(bytes(message))) == (0, 8 + 40 + 108)
    result = to6(error4(3, 4, quote=quote, rest=b"\0\x20\x05\0", extension=OBJECTS))
    assert len(result.packets[0]) == 40 + 8 + 40 + 108


def test_quotes_keep_their_hop_limit_and_may_be_cut_behind_eight_octets():
    whole = bytes(sent(TCP(sport=4000, dport=443, seq=5) / bytes(1400), ttl=1))
    inside = bytes(IPv6(src=HOST, dst=SERVER6, hlim=1) / TCP(sport=1000, dport=443, seq=5) / bytes(1400))
    for cut in (28, 36, 38, 60, 500, len(whole)):
        assert to6(error4(11, 0, quote=whole[:cut])).packets[0][48:] == inside[:cut + 20][:1232], cut
    for cut in (0, 19, 20, 27):
        assert to6(error4(11, 0, quote=whole[:cut] or b"\0")).packets == [], cut
    whole = bytes(IPv6(src=SERVER6, dst=HOST, hlim=1) / TCP(sport=443, dport=1000, seq=5) / bytes(1400))
    outside = bytes(IP(src=SERVER, dst=OUTSIDE, ttl=1, id=0, flags="DF") / TCP(sport=443, dport=4000, seq=5) / bytes(1400))
    for cut in (48, 56, 58, 100, 1232):
        assert to4(error6(ICMPv6TimeExceeded(), quote=whole[:cut])).packets[0][28:] == outside[:cut - 20][:548], cut
    for cut in (39, 40, 47):
        assert to4(error6(ICMPv6TimeExceeded(), quote=whole[:cut])).packets == [], cut


def test_octets_behind_a_quoted_packet_pass_where_no_length_says_what_they_are():
    quote = bytes(sent(UDP(sport=4001, dport=53) / bytes(20), ttl=9))
    inside = bytes(IPv6(src=HOST, dst=SERVER6, hlim=9) / UDP(sport=2000, dport=53) / bytes(20))
    assert to6(error4(3, 1, quote=quote + b"behind")).packets[0][48:] == inside + b"behind"
    quote = bytes(IPv6(src=SERVER6, dst=HOST, hlim=9) / UDP(sport=53, dport=2000) / bytes(20))
    outside = bytes(IP(src=SERVER, dst=OUTSIDE, ttl=9, id=0) / UDP(sport=53, dport=4001) / bytes(20))
    assert to4(error6(ICMPv6TimeExceeded(), quote=quote + b"behind")).packets[0][28:] == outside + b"behind"


def test_errors_about_errors_about_others_or_with_a_wrong_checksum_are_dropped():
    inner = bytes(sent(ICMP(type=3, code=3) / bytes(28)))
    assert to6(error4(3, 1, quote=inner)).reason == "quote"
    assert to6(error4(3, 1, quote=IP(src="203.0.113.10", dst=SERVER) / UDP(sport=4001) / bytes(8))).reason == "receiver"
    assert to6(error4(3, 1, quote=sent(UDP(sport=4444, dport=53) / bytes(8)))).reason == "no_session"
    stray = error6(ICMPv6DestUnreach(code=0))
    stray.dst = "2001:db8::1"
    assert (to4(stray).reason, to4(stray).error) == ("receiver", None)
    stray = error6(ICMPv6DestUnreach(code=0), quote=IPv6(src="2001:db8::1", dst=HOST) / UDP(sport=53, dport=2000) / bytes(8))
    stray.dst = "2001:db8::1"
    assert (to4(stray).reason, to4(stray).error) == ("no_prefix", None)
    wrong = bytearray(bytes(error4(3, 1)))
    wrong[-1] ^= 1
    assert to6(wrong).reason == "checksum"


def test_what_is_refused_and_what_its_sender_is_told():
    datagram = UDP(sport=53, dport=4001) / b"abc"
    ahead = UDP(sport=2000, dport=53) / b"abc"
    far = bytes(out(ahead, hlim=1))
    rows = [
        (to6(back(datagram, ttl=1)), "hops", (11, 0)), (to6(back(datagram, options=b"\x83\x07\x04\xc6\x33\x64\x07\0")), "source_route", (3, 5)),
        (to6(back(UDP(sport=53, dport=5) / b"")), "no_session", None), (to6(back(datagram, chksum=1)), "malformed", None),
        (to6(IP(src="127.0.0.1", dst=OUTSIDE) / datagram), "address", None), (to6(IP(src="10.0.0.1", dst=OUTSIDE) / datagram), "address", None),
        (to6(back(Raw(b"abc"), proto=2)), "protocol", None), (to6(back(datagram, ttl=1, frag=3, flags=0)), "hops", None),
        (to4(far), "hops", (3, 0)), (to4(out(IPv6ExtHdrRouting(segleft=1, addresses=["::1"]) / ahead)), "segments_left", (4, 0)),
        (to4(out(UDP(sport=5, dport=53))), "no_session", (1, 1)), (to4(IPv6(src=HOST, dst=PREFIX + "10.0.0.1") / ahead), "address", (1, 1)),
        (to4(IPv6(src=HOST, dst="2001:db8::1") / ahead), "no_prefix", (1, 1)), (to4(IPv6(src="fe80::1", dst=SERVER6) / ahead), "address", None),
        (to4(IPv6(src=HOST, dst=SERVER6) / IPv6ExtHdrFragment(m=1) / IPv6ExtHdrDestOpt() / ahead), "behind_fragment", None)]
    for number, (result, reason, error) in enumerate(rows):
        at = 20 if result.error and result.error[0] == 0x45 else 40
        assert (result.packets, result.reason, result.error and tuple(result.error[at:at + 2])) == ([], reason, error), number
    error = IPv6(to4(far).error)
    assert bytes(error) == bytes(IPv6(src=PREFIX + "192.0.0.8", dst=HOST) / ICMPv6TimeExceeded() / Raw(far))
    pointer = to4(out(IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting(segleft=1, addresses=["::1"]) / ahead)).error[44:48]
    assert pointer == struct.pack("!I", 40 + 8 + 3)


@pytest.mark.parametrize("net, wanted", [
    ("2001:db8::/32", "2001:db8:c000:221::"), ("2001:db8:100::/40", "2001:db8:1c0:2:21::"), ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
    ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"), ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
    ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"), ("64:ff9b::/96", "64:ff9b::192.0.2.33")])
def test_addresses_are_embedded_as_in_rfc_6052(net, wanted):
    text, length = net.split("/")
    assert prefix.embed(packed(text), int(length), packed("192.0.2.33")) == packed(wanted)
    assert prefix.extract(packed(text), int(length), packed(wanted)) == packed("192.0.2.33")
    assert prefix.extract(packed(text), int(length), packed("2001:db9::1")) is None
    if length != "96":
        assert prefix.extract(packed(text), int(length), packed(wanted)[:8] + b"\1" + packed(wanted)[9:]) is None
