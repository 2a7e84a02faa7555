# SPDX-License-Identifier: BSD-2-Clause
"""
How tayga 0.9.2 differs from the model: a line for each difference, with the section that decides it and who is right. With
all lines the model must give tayga's octets (tests/e2e/test_nat64_tayga.py), and each line must have been needed.
"""

import dataclasses
import struct

from . import errors
from .model import PROHIBITED, Addresses, Translator
from .octets import ICMP, ICMPV6, TCP, UDP, V4, V6, Checks, Dropped, checksum, pseudo6, put, word
from .prefix import embed, extract, nobodys

# What tayga does not look at.
ALLOWED = {
    "source_route": "RFC 7915 4.1, the model: an unexpired source route is refused with 3/5; tayga passes it as if it were not there",
    "segments_left": "RFC 7915 5.1, the model: a routing header with segments left is refused with 4/0",
    "protocol": "RFC 7915 4.2 and 5.2, the model: IGMP is dropped, and so is what would become, or was, another family's ICMP or an extension header",
    "behind_fragment": "RFC 7915 5.1.1, the model: an extension header behind the fragment header is dropped (SHOULD)",
    "fragment_of_other": "RFC 7915 5.5 has tayga right; the product drops them (P7, section 4), as it knows no session of theirs",
    "later_fragment": "RFC 1122 3.2.2, the model: no errors about later fragments",
    "receiver": "RFC 5508 4.2 REQ-4, the model: an error goes to who sent the packet that it quotes; RFC 7915 says nothing of it",
    "echo_code": "none: RFC 792 knows only code 0; the product drops others in IPv4, too",
    "tcp_offset": "none: RFC 9293 3.1 has no header below 20 octets; the product drops it, tayga leaves that to the receiver",
    "udp_length": "none: RFC 768 has no length below 8 or beyond the packet; the product drops it, tayga leaves that to the receiver",
    "long_datagram": "RFC 791 3.1, the model: a datagram has 65535 octets with its header, so 65515 of payload",
    "empty_fragment": "none: a fragment without an octet is of no use, and the product drops it, as it does in IPv4",
    "this_network": "RFC 6890 2.2.2, the model: 0.0.0.0/8 is not forwardable",
    "long_chain": "none: RFC 8200 has no limit; the product walks 256 octets of extension headers (P7, section 4)",
}


@dataclasses.dataclass
class Case:
    translator: Translator
    identifiers: dict
    family: int
    octets: bytes
    result: object
    expected: list
    packet: object = None
    about: object = None  # the packet that an error quotes
    icmp: bytes = None  # of an error
    extension: bytes = b""

    def __post_init__(self):
        allow = Checks(ALLOWED)
        try:
            self.packet = V4.parse(self.octets) if self.family == 4 else V6.parse(self.octets, checks=allow)
            proto, echoes = (ICMP, (0, 8)) if self.family == 4 else (ICMPV6, (128, 129))
            if self.packet.proto != proto or self.packet.fragment or self.packet.payload[0] in echoes:
                return
            self.icmp = self.packet.payload
            quote, self.extension = errors.split(self.icmp, self.family)
            self.about = V4.parse(quote, quote=True) if self.family == 4 else V6.parse(quote, quote=True, checks=allow)
            if self.extension:  # what fills the quote up to it is not the packet's
                self.about.payload = self.about.payload[:self.about.expected]
        except (Dropped, IndexError):
            pass

    @property
    def error(self):
        """Whether the packet is an error that the model translates."""
        return self.about is not None and self.result.packets

    def again(self, octets):
        return translate(self.translator, self.family, octets)


def translate(translator, family, octets):
    return translator.to6(octets) if family == 4 else translator.to4(octets)


LINES = {}


def line(decided):
    """A rule gives the packets that tayga makes instead of those that are expected, or None."""
    def add(rule):
        LINES[rule.__name__] = (decided, rule)
        return rule
    return add


def message_of(case):
    """(packet, message) of the only packet that is expected, an error."""
    packet = V6.parse(case.expected[0]) if case.family == 4 else V4.parse(case.expected[0])
    return packet, packet.payload


def with_message(packet, message):
    """The packet with another ICMP message, its checksum made anew."""
    message = put(message, 2, 0)
    if isinstance(packet, V6):
        value = checksum(pseudo6(packet.src, packet.dst, ICMPV6, len(message)) + message)
        return dataclasses.replace(packet, payload=put(message, 2, value), expected=None).build()
    return dataclasses.replace(packet, payload=put(message, 2, checksum(message)), total=None).build()


@line("RFC 7915 4.5, both: UDP without a checksum may be dropped, or get one; the product computes it (P7, section 4)")
def no_checksum(case):
    packet = case.packet
    if case.family == 4 and case.result.packets and packet.proto == UDP and not packet.offset and word(packet.payload, 6) == 0:
        return []


@line("RFC 7915 4.3, the model: the packet in an error is translated, also one without a UDP checksum")
def quoted_no_checksum(case):
    if case.error and case.about.proto == UDP and not case.about.offset and word(case.about.payload, 6) == 0:
        return []


@line("RFC 7915 4.2 and 5.2, figures 3 and 6, the model: parameter problems have their pointer translated; tayga drops them")
def parameter_problem(case):
    if case.error and (case.icmp[0] == 12 if case.family == 4 else case.icmp[:2] == b"\4\0"):
        return []


@line("RFC 792, the model: routers quote 8 octets behind the header; tayga wants the whole TCP header")
def quoted_tcp_cut(case):
    if case.error and case.about.proto == TCP and not case.about.offset and len(case.about.payload) < 20:
        return []


@line("RFC 7915 4.3 and 5.3, the model: errors about echo replies are translated as those about requests are")
def quoted_echo_reply(case):
    about = case.about
    if case.error and about.proto in (ICMP, ICMPV6) and about.payload[0] in (0, 129):
        return []


@line("RFC 4884 5.5, both: a length beyond the message is malformed; tayga drops the error, the model takes it for one without extensions")
def extension_length(case):
    if not case.error:
        return None
    length = case.icmp[5] * 4 if case.family == 4 else case.icmp[4] * 8
    if case.icmp[0] in ((3, 11, 12) if case.family == 4 else (1, 3)) and length > len(case.icmp) - 8:
        return []


@line("RFC 7915 4.2 and 5.2, the model: what is behind the quoted packet, where no length tells what it is, passes as it is")
def behind_quote(case):
    if not case.error or case.extension or len(case.about.payload) <= case.about.expected:
        return None
    cut = len(case.icmp) - 8 - (len(case.about.payload) - case.about.expected)
    shorter = with_message(case.packet, case.icmp[:8 + cut])
    return case.again(shorter).packets


@line("RFC 7915 4.3, the model: a quoted fragment gets its fragment header; tayga leaves it out")
def quoted_fragment(case):
    if case.family == 6 or not case.error or not case.about.fragment:
        return None
    return case.again(with_quote(case, mf=False, offset=0)).packets


def with_quote(case, **fields):
    """The octets that came, with other fields in the header of the quote."""
    head = 8 + 20 + len(case.about.options)
    changed = dataclasses.replace(case.about, **fields).build()[:20]
    end = len(case.icmp) if case.extension else head + case.about.expected
    return with_message(case.packet, case.icmp[:9] + changed[1:] + case.icmp[28:end])


@line("RFC 791 3.2, the model: no IPv4 link has an MTU below 68; tayga drops what tells an IPv6 MTU below 68, and tells 48 to 67 for 68 to 87")
def lowest_mtu(case):
    if case.family == 4 or not case.error or case.icmp[0] != 2:
        return None
    told = struct.unpack_from("!I", case.icmp, 4)[0]
    if told < 68:
        return []
    packet, message = message_of(case)
    return [with_message(packet, put(message, 6, min(told, case.translator.mtu6) - 20))]


@line("RFC 1812 5.3.1, RFC 4443 3.3, the model: what came with a hop limit of 0 is answered as what came with 1")
def no_hops(case):
    if case.result.error and case.result.reason == "hops" and (case.packet.ttl if case.family == 4 else case.packet.hops) == 0:
        return []


@line("RFC 7915 5.4, the model: 1/1 where nothing else is said; tayga sends 1/0 or 1/5")
def prohibited(case):
    if case.family == 4 or not case.result.error or case.result.reason not in ("no_session", "no_prefix", "address", "class_e"):
        return None
    code = 5 if case.result.reason == "no_session" else 0
    return [case.translator._error6(case.octets, PROHIBITED[0], code, bytes(4))]


@line("RFC 7915 4.1 and 4, the model: with DF a fragment is not fragmented; tayga never looks at DF in fragments")
def fragment_df(case):
    if case.family == 6 or not case.packet or not (case.packet.df and case.packet.fragment) or case.result.reason not in ("", "too_big"):
        return None
    octets = put(case.octets, 6, word(case.octets, 6) & ~0x4000)
    head = 20 + len(case.packet.options)
    octets = put(octets, 10, 0)
    return case.again(put(octets, 10, checksum(octets[:head]))).packets


@line("both: RFC 1122 3.2.2 and RFC 4443 2.4 (e) only forbid errors about errors; tayga sends none about echo replies either")
def echo_reply(case):
    packet = case.packet
    if case.result.error and packet.proto in (ICMP, ICMPV6) and packet.payload[0] in (0, 129):
        return []


@line("RFC 4291 2.4, none: nothing comes from or goes to 0000::/8; tayga is silent, the model answers as for other strangers")
def reserved(case):
    if case.family == 6 and case.packet and 0 in (case.packet.src[0], case.packet.dst[0]):
        return []


@line("RFC 7915 4.1, the model: errors are translated whatever their source is; tayga drops those from addresses that are no host's")
def error_source(case):
    if case.family == 4 and case.error and nobodys(case.packet.src, b"") in ("address", "class_e"):
        return []


@line("none: tayga answers an IPv4 fragment without an octet where its hop limit ends, and else loses it; see empty_fragment")
def empty_fragment_lost(case):
    if case.family == 4 and case.result.packets and case.packet.fragment and not case.packet.payload:
        return []


@line("P7, section 4: an error of a router in no mapping comes from its subscriber's outside address; tayga's own (as RFC 6791), or none")
def unknown_router(case):
    if case.family == 4 or not case.error or case.translator.table.router(case.packet.src):
        return None
    if case.icmp[0] != 2 and case.icmp[:2] not in (b"\1\0", b"\1\2"):
        return []
    return [dataclasses.replace(V4.parse(case.expected[0]), src=case.translator.own4).build()]


@line("none: the model carries an echo's wrong checksum on, as it does TCP's and UDP's; tayga drops the echo")
def echo_checksum(case):
    packet = case.packet
    if not packet or packet.proto not in (ICMP, ICMPV6) or packet.proto not in packet.PORTED or case.icmp:
        return None
    pseudo = b"" if case.family == 4 else pseudo6(packet.src, packet.dst, ICMPV6, len(packet.payload))
    return [] if checksum(pseudo + packet.payload) else None


@line("RFC 7915 5.2, the model: 1/3 becomes 3/1; tayga drops it")
def address_unreachable(case):
    if case.family == 6 and case.error and case.icmp[:2] == b"\1\3":
        return []


@line("RFC 7915 4.3 and 5.3, the model: a quoted fragment may be cut anywhere; tayga wants units of 8 octets of all but the last")
def quoted_fragment_cut(case):
    if case.error and case.about.mf and min(len(case.about.payload), case.about.expected) % 8:
        return []


@line("RFC 7915 5.1, the model: DF is 0 up to 1260 octets, so that narrower IPv4 links can fragment; tayga has it 1 in packets and quotes")
def df_always(case):
    if case.family == 4 or not case.result.packets:
        return None
    packet = V4.parse(case.expected[0])
    if case.about and not case.about.header:
        quote = bytearray(packet.payload[8:28])
        quote[6] |= 0x40
        quote[10:12] = bytes(2)
        quote[10:12] = struct.pack("!H", checksum(bytes(quote)))
        packet.payload = packet.payload[:8] + bytes(quote) + packet.payload[28:]
    packet.df = packet.df or not case.packet.header
    return [packet.build()]


@line("RFC 7915 5.1, the model: 1260 octets, and always; tayga has DF 0 up to 1280 octets behind the header once 3/4 told less than 1260")
def df_narrow(case):
    if case.family == 4 or not case.result.packets or case.icmp or case.packet.header:
        return None
    packet = V4.parse(case.expected[0])
    if packet.dst not in case.identifiers or word(case.octets, 4) > 1280:
        return None
    packet.df, packet.ident = False, case.identifiers[packet.dst]
    return [packet.build()]


@line("RFC 768 and RFC 8200 8.1, the model: a UDP checksum that comes out as 0 is sent as ffff; tayga sends 0, which says that there is none")
def zero_checksum(case):
    about = case.about or case.packet
    if not case.result.packets or about.proto != UDP or about.offset:
        return None
    first = case.expected[0]
    parsed = V6.parse(first) if case.family == 4 else V4.parse(first)
    at = len(first) - len(parsed.payload) + ((8 + (40 if case.family == 4 else 20)) if case.about else 0) + 6
    return [put(first, at, 0)] + case.expected[1:] if word(first, at) == 0xFFFF else None


EXTENSIONS = "RFC 7915 4.2 and 5.2 (RFC 4884), the model: extensions go on, with their length; tayga takes them off"


class Stateless(Addresses):
    """tayga's table: addresses in neither list are within the prefix."""

    def __init__(self, pairs, prefix, length):
        super().__init__(pairs)
        self.prefix = prefix, length

    def outward(self, proto, inside, port, remote):
        found = super().outward(proto, inside, port, remote)
        return found or ((extract(*self.prefix, inside), port) if extract(*self.prefix, inside) else None)

    def inward(self, proto, outside, port, remote):
        found = super().inward(proto, outside, port, remote)
        return found or (None if nobodys(outside, b"") else (embed(*self.prefix, outside), port))


class Described:
    """What tayga makes of one packet after the other, by the model and the lines."""

    def __init__(self, pairs, prefix, length=96, mtu=1500):
        self.translator = Translator(Stateless(pairs, prefix, length), prefix, length, mtu4=mtu, mtu6=mtu)
        self.identifiers = {}  # the next one to IPv4 hosts behind a narrow link

    def expected(self, family, octets):
        """(packets, names of the lines by which they differ from the model's)."""
        plain = translate(dataclasses.replace(self.translator, checks=Checks()), family, octets)
        bare = dataclasses.replace(self.translator, checks=Checks(ALLOWED), extensions=False)
        result = translate(bare, family, octets)
        case = Case(bare, self.identifiers, family, octets, result, result.packets or ([result.error] if result.error else []))
        used = set()
        if (plain.packets, plain.error) != (result.packets, result.error):
            used = set(bare.checks.passed) | ({"EXTENSIONS"} if case.extension else set())
        for name, (_, rule) in LINES.items():
            instead = rule(case) if case.expected else None
            if instead is not None and instead != case.expected:
                used.add(name)
                case.expected = instead
        self._remember(case, used)
        return case.expected, used

    @staticmethod
    def _reaches(case, used):
        """Whether tayga looks at the MTU: it does before it finds the quoted upper-layer header too short."""
        if used & {"extension_length", "quoted_fragment_cut", "quoted_echo_reply", "error_source"}:
            return False
        return bool(case.result.packets) or (case.result.reason == "quote" and case.about.proto in (TCP, UDP))

    def _remember(self, case, used):
        about = case.about
        if case.family == 4 and about and case.icmp[:2] == b"\3\4" and self._reaches(case, used):
            told = word(case.icmp, 6)
            if told < 68:
                told = next((plateau for plateau in errors.PLATEAUS if plateau < about.total), 68)
            if told < 1260:
                self.identifiers.setdefault(about.dst, 1)
        if case.family == 6 and case.packet and not case.icmp and not case.packet.header and word(case.octets, 4) <= 1280:
            remote = extract(self.translator.prefix, self.translator.length, case.packet.dst)
            if remote in self.identifiers and (case.expected if case.result.packets else case.result.reason in ("no_checksum", "cut_header")):
                self.identifiers[remote] = self.identifiers[remote] % 0xFFFF + 1
