# SPDX-License-Identifier: BSD-2-Clause
"""IPv4 and IPv6 packets taken apart and put together for the model of NAT64, with checksums summed from the octets themselves."""

import collections
import dataclasses
import struct

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
SKIPPED = (HOP_BY_HOP, ROUTING, DESTINATION)
JUMBO = 0xC2
CHAIN_HEADERS, CHAIN_OCTETS = 8, 256  # what is walked before the upper-layer header
CHECKSUM_AT = {ICMP: 2, ICMPV6: 2, TCP: 16, UDP: 6}
SHORTEST = {ICMP: 8, ICMPV6: 8, TCP: 20, UDP: 8}


class Dropped(Exception):
    """A packet that is not translated: why, and (type, code, four octets) of the ICMP error that its sender gets, if any."""

    def __init__(self, reason, error=None):
        super().__init__(reason)
        self.reason, self.error = reason, error


class Checks:
    """Refuses what is not translated. A translator that does not look at something is modelled by reasons that are allowed."""

    def __init__(self, allowed=()):
        self.allowed, self.passed = frozenset(allowed), collections.Counter()

    def refuse(self, reason, error=None):
        if reason not in self.allowed:
            raise Dropped(reason, error)
        self.passed[reason] += 1


ALL = Checks()


def words(octets):
    """Sum of the 16-bit words; the last octet of an odd number counts as the upper half of one."""
    padded = octets + bytes(len(octets) & 1)
    return sum(struct.unpack(f"!{len(padded) // 2}H", padded))


def checksum(octets):
    total = words(octets)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def pseudo4(src, dst, proto, length):
    return src + dst + struct.pack("!BBH", 0, proto, length)


def pseudo6(src, dst, proto, length):
    return src + dst + struct.pack("!IHBB", length, 0, 0, proto)


def no_pseudo(length):
    return b""


def put(octets, at, value):
    """A copy with a 16-bit word changed."""
    return octets[:at] + struct.pack("!H", value) + octets[at + 2:]


def word(octets, at):
    return struct.unpack_from("!H", octets, at)[0]


@dataclasses.dataclass
class V4:
    PORTED = (TCP, UDP, ICMP)

    src: bytes
    dst: bytes
    proto: int
    payload: bytes
    tos: int = 0
    ttl: int = 64
    ident: int = 0
    df: bool = False
    mf: bool = False
    offset: int = 0  # octets
    options: bytes = b""
    total: int = None  # as in the header; of a quote that is cut, more than there is

    @property
    def fragment(self):
        return self.mf or self.offset > 0

    @property
    def expected(self):
        """Octets of payload that the header announces."""
        return self.total - 20 - len(self.options)

    @classmethod
    def parse(cls, octets, quote=False):
        """Octets behind the packet belong to nothing; in a quote the packet may be cut, and they are kept."""
        if len(octets) < 20 or octets[0] >> 4 != 4:
            raise Dropped("malformed")
        head = (octets[0] & 15) * 4
        tos, total, ident, flags, ttl, proto = struct.unpack_from("!xBHHHBB", octets)
        if head < 20 or total < head or len(octets) < head:
            raise Dropped("malformed")
        if not quote and (total > len(octets) or checksum(octets[:head]) != 0):
            raise Dropped("malformed")
        return cls(octets[12:16], octets[16:20], proto, octets[head:] if quote else octets[head:total], tos, ttl, ident, bool(flags & 0x4000),
                   bool(flags & 0x2000), (flags & 0x1FFF) * 8, octets[20:head], total)

    def build(self):
        total = 20 + len(self.payload) if self.total is None else self.total
        flags = self.df << 14 | self.mf << 13 | self.offset >> 3
        head = struct.pack("!BBHHHBBH4s4s", 0x45, self.tos, total, self.ident, flags, self.ttl, self.proto, 0, self.src, self.dst)
        return put(head, 10, checksum(head)) + self.payload

    def source_route(self):
        """Whether a source route has addresses left (RFC 791: its pointer is not beyond its length)."""
        at, options = 0, self.options
        while at < len(options) and options[at] != 0:
            if options[at] == 1:
                at += 1
                continue
            if at + 2 > len(options) or not 2 <= options[at + 1] <= len(options) - at:
                return False
            if options[at] in (131, 137) and options[at + 1] > 2 and options[at + 2] <= options[at + 1]:
                return True
            at += options[at + 1]
        return False


@dataclasses.dataclass
class V6:
    PORTED = (TCP, UDP, ICMPV6)

    src: bytes
    dst: bytes
    proto: int
    payload: bytes  # from the upper-layer header on
    tc: int = 0
    hops: int = 64
    header: bool = False  # a fragment header is there
    ident: int = 0
    mf: bool = False
    offset: int = 0
    expected: int = None  # octets of payload by the header

    @property
    def fragment(self):
        return self.mf or self.offset > 0

    @classmethod
    def parse(cls, octets, quote=False, checks=ALL):
        if len(octets) < 40 or octets[0] >> 4 != 6:
            raise Dropped("malformed")
        first, length, proto, hops = struct.unpack_from("!IHBB", octets)
        if not quote:
            if length > len(octets) - 40:
                raise Dropped("malformed")
            octets = octets[:40 + length]
        it = cls(octets[8:24], octets[24:40], proto, b"", first >> 20 & 255, hops)
        at = it._chain(octets, checks)
        it.payload, it.expected = octets[at:], 40 + length - at
        if it.expected < 0:
            raise Dropped("malformed")
        return it

    def _chain(self, octets, checks):
        """Walks the extension headers; returns where the upper-layer header begins."""
        at = 40
        for number in range(CHAIN_HEADERS + 1):
            if self.proto not in SKIPPED + (FRAGMENT,):
                return at
            if self.header:
                checks.refuse("behind_fragment")
                return at
            if number == CHAIN_HEADERS or at + 8 > len(octets):
                raise Dropped("malformed")
            size = 8 if self.proto == FRAGMENT else (octets[at + 1] + 1) * 8
            if at + size > len(octets):
                raise Dropped("malformed")
            if at + size > 40 + CHAIN_OCTETS:
                checks.refuse("long_chain")
            self._extension(octets[at:at + size], at, checks)
            self.proto, at = octets[at], at + size
        raise AssertionError

    def _extension(self, header, at, checks):
        if self.proto == FRAGMENT:
            field, self.ident = struct.unpack_from("!HI", header, 2)
            self.header, self.offset, self.mf = True, field & 0xFFF8, bool(field & 1)
        elif self.proto == ROUTING and header[3] > 0:
            checks.refuse("segments_left", (4, 0, struct.pack("!I", at + 3)))
        elif self.proto == HOP_BY_HOP and _has_option(header[2:], JUMBO):
            raise Dropped("jumbogram")

    def build(self):
        proto, extension = self.proto, b""
        if self.header:
            proto, extension = FRAGMENT, struct.pack("!BBHI", self.proto, 0, self.offset | self.mf, self.ident)
        length = len(extension) + (len(self.payload) if self.expected is None else self.expected)
        return struct.pack("!IHBB", 6 << 28 | self.tc << 20, length, proto, self.hops) + self.src + self.dst + extension + self.payload


def _has_option(options, kind):
    at = 0
    while at < len(options):
        if options[at] == kind:
            return True
        at += 1 if options[at] == 0 or at + 1 == len(options) else 2 + options[at + 1]
    return False


def check_whole(it, checks=ALL):
    """Refuses fragments and upper-layer headers that cannot be right; `it` is a packet, no quote. Returns whether it has ports."""
    length, proto = len(it.payload), it.proto
    if it.fragment and length == 0:
        checks.refuse("empty_fragment")
    if it.mf and length % 8:
        checks.refuse("fragment_unit")
    if it.fragment and it.offset + length > 65515:  # more than an IPv4 header can say of the whole
        checks.refuse("endless_fragment" if it.offset + length > 65535 else "long_datagram")
    if proto not in it.PORTED or it.offset:
        return False
    if length < SHORTEST[proto]:
        raise Dropped("cut_header")
    if proto == TCP and not 20 <= (it.payload[12] >> 4) * 4 <= length:
        checks.refuse("tcp_offset")
    if proto == UDP and (word(it.payload, 4) < 8 or (not it.fragment and word(it.payload, 4) > length)):
        checks.refuse("udp_length")
    return True


def carry(data, proto, pseudo, whole, length, replaced):
    """
    The upper-layer octets with words replaced ({offset: value}) and the checksum brought along. `pseudo` are the pseudo headers
    before and after, as functions of a length. What is whole is summed from scratch, before and after: a checksum that was wrong
    stays wrong by as much. What is cut, of `length` octets in all, can only be carried by what has changed.
    """
    changed, at = data, CHECKSUM_AT[proto]
    for offset, value in replaced.items():
        changed = put(changed, offset, value)
    if at + 2 > len(data) or (proto == UDP and word(data, at) == 0):
        return changed
    if whole:
        covered = word(data, 4) if proto == UDP else len(data)
        right, value = (checksum(head(covered) + put(octets, at, 0)[:covered]) for head, octets in zip(pseudo, (data, changed)))
        wrong = (word(data, at) - right) % 0xFFFF
        value = (value + wrong) % 0xFFFF if wrong else value
    else:
        before, after = (words(head(length)) + sum(word(octets, offset) for offset in replaced) for head, octets in zip(pseudo, (data, changed)))
        value = (word(data, at) + before - after) % 0xFFFF
    return put(changed, at, 0xFFFF if proto == UDP and value == 0 else value)
