# SPDX-License-Identifier: BSD-2-Clause
"""
A NAT64 to compare with: octets of a packet in, octets out, by RFC 7915, 6052 and 6146 section 3.4 on. It is written from the
documents, without a look at a translator's code. Which session a packet belongs to is a table's to say, so it models
stateful and stateless translators.
"""

import dataclasses
import functools
import struct

from . import errors
from . import prefix as rfc6052
from .octets import (AUTHENTICATION, DESTINATION, FRAGMENT, HOP_BY_HOP, ICMP, ICMPV6, ROUTING, UDP, V4, V6, Checks, Dropped, carry, check_whole,
                     checksum, no_pseudo, pseudo4, pseudo6, put, word)

ECHO_TO4, ECHO_TO6 = {128: 8, 129: 0}, {8: 128, 0: 129}
IGMP = 2
PROHIBITED = (1, 1, bytes(4))  # section 5.4, where nothing else is said


class Table:
    """Sessions; protocols are IPv4's numbers, addresses octets, and a port is None where the packet shows none."""

    def outward(self, proto, inside, port, remote):
        """(outside address, port) of what an inside host sends to an IPv4 address, or None."""
        raise NotImplementedError

    def inward(self, proto, outside, port, remote):
        """(inside address, port) of what comes to an outside address from an IPv4 address, or None."""
        raise NotImplementedError

    def router(self, inside):
        """The outside address of an inside router that sends an error; None: that of the subscriber whom the error is about."""
        return None


class Addresses(Table):
    """A stateless translator: pairs of an inside and an outside address; ports stay."""

    def __init__(self, pairs):
        self.out = dict(pairs)
        self.into = {outside: inside for inside, outside in pairs}

    def outward(self, proto, inside, port, remote):
        return (self.out[inside], port) if inside in self.out else None

    def inward(self, proto, outside, port, remote):
        return (self.into[outside], port) if outside in self.into else None

    def router(self, inside):
        return self.out.get(inside)


class Sessions(Table):
    """{(protocol, inside address, port): (outside address, port)}; later fragments are told by the pair of addresses alone."""

    def __init__(self, sessions):
        self.out = dict(sessions)
        self.into = {(key[0], *value): key[1:] for key, value in self.out.items()}
        self.hosts = {key[1]: value[0] for key, value in self.out.items()}

    def outward(self, proto, inside, port, remote):
        if port is None:
            return (self.hosts[inside], None) if inside in self.hosts else None
        return self.out.get((proto, inside, port))

    def inward(self, proto, outside, port, remote):
        if port is None:
            found = {inside for (other, address, _), (inside, _) in self.into.items() if (other, address) == (proto, outside)}
            return (found.pop(), None) if len(found) == 1 else None
        return self.into.get((proto, outside, port))

    def router(self, inside):
        return self.hosts.get(inside)


@dataclasses.dataclass
class Result:
    packets: list
    reason: str = ""  # why there are none
    error: bytes = None  # to the sender


@dataclasses.dataclass
class Translator:
    table: Table
    prefix: bytes
    length: int = 96
    mtu4: int = 1500
    mtu6: int = 1500
    lowest_mtu6: int = 1280
    own4: bytes = bytes([192, 0, 0, 8])
    own6: bytes = None
    extensions: bool = True  # errors keep their extensions (RFC 4884)
    # The identification of IPv4 headers for which the translator makes one: "packet", or "quote" for the packet in an error.
    identify: object = lambda where: 0
    checks: Checks = dataclasses.field(default_factory=Checks)

    def to6(self, octets):
        return self._translated(octets, self._to6, self._error4)

    def to4(self, octets):
        return self._translated(octets, self._to4, self._error6)

    @staticmethod
    def _translated(octets, translate, answer):
        try:
            return Result(translate(octets))
        except Dropped as dropped:
            return Result([], dropped.reason, answer(octets, *dropped.error) if dropped.error else None)

    # From IPv4 to IPv6 (section 4).

    def _to6(self, octets):
        packet = V4.parse(octets)
        if packet.proto in (IGMP, ICMPV6, HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION, AUTHENTICATION):
            self.checks.refuse("protocol")  # IPv6 would have ICMPv6 and extension headers
        if packet.source_route():
            self.checks.refuse("source_route", (3, 5, bytes(4)))
        if packet.proto == ICMP and packet.fragment:
            raise Dropped("icmp_fragment")  # section 1.2
        ported = check_whole(packet, self.checks)
        if packet.proto == ICMP and packet.payload[0] not in ECHO_TO6:
            return [self._error_to6(packet)]
        if packet.proto == ICMP and packet.payload[1] != 0:
            self.checks.refuse("echo_code")
        if packet.ttl <= 1:
            raise Dropped("hops", (11, 0, bytes(4)))
        self._somebodys(packet.src)
        made = self._upper_to6(packet, whole=not packet.fragment, port=self._port(packet, 1) if ported else None, hops=packet.ttl - 1)
        if packet.proto == UDP and packet.fragment and packet.offset == 0 and word(packet.payload, 6) == 0:
            raise Dropped("no_checksum")  # section 4.5
        return self._fitting(packet, made)

    def _somebodys(self, address, error=None):
        why = rfc6052.nobodys(address, self.prefix)
        if why:
            self.checks.refuse(why, error)

    @staticmethod
    def _port(packet, side):
        """Its source (0) or destination port (1), which for an echo is the identifier."""
        at = 4 if packet.proto in (ICMP, ICMPV6) else 2 * side
        return word(packet.payload, at)

    def _upper_to6(self, packet, whole, port, hops, quoted=False):
        """The packet with the destination translated or, where it is quoted, the source."""
        outside, remote = (packet.src, packet.dst) if quoted else (packet.dst, packet.src)
        found = self.table.inward(packet.proto, outside, port, remote)
        if found is None:
            raise Dropped("no_session")
        ends = found[0], rfc6052.embed(self.prefix, self.length, remote)
        src, dst = ends if quoted else ends[::-1]
        payload, proto = packet.payload, ICMPV6 if packet.proto == ICMP else packet.proto
        if packet.proto in packet.PORTED and packet.offset == 0:
            old = no_pseudo if packet.proto == ICMP else functools.partial(pseudo4, packet.src, packet.dst, packet.proto)
            payload = self._carried(packet, ECHO_TO6, (old, functools.partial(pseudo6, src, dst, proto)), found[1], whole, quoted)
        expected = packet.expected if quoted else len(payload)
        return V6(src, dst, proto, payload, packet.tos, hops, packet.fragment, packet.ident, packet.mf, packet.offset, expected)

    @staticmethod
    def _carried(packet, icmp_type, pseudo, port, whole, quoted):
        """The upper-layer octets with their new port, type and checksum."""
        data = packet.payload
        if packet.proto in (ICMP, ICMPV6):
            return carry(data, packet.proto, pseudo, whole, packet.expected, {0: icmp_type[data[0]] << 8 | data[1], 4: port})
        changes_source = quoted == isinstance(packet, V4)
        data = put(data, 0 if changes_source else 2, port)
        if packet.proto == UDP and word(data, 6) == 0 and whole and not quoted:  # section 4.5
            length = word(data, 4)
            return put(data, 6, checksum(pseudo[1](length) + data[:length]) or 0xFFFF)
        return carry(packet.payload, packet.proto, pseudo, whole, packet.expected, {0 if changes_source else 2: port})

    def _fitting(self, packet, made):
        """Sections 4 and 4.1: the packet, or an error with DF, or fragments without."""
        octets = made.build()
        if packet.df and max(packet.total + 20, len(octets)) > self.mtu6:
            raise Dropped("too_big", (3, 4, struct.pack("!HH", 0, self.mtu6 - (28 if made.header else 20))))
        if packet.df or len(octets) <= self.lowest_mtu6:
            return [octets]
        step = (self.lowest_mtu6 - 48) // 8 * 8
        return [dataclasses.replace(made, payload=made.payload[at:at + step], header=True, ident=packet.ident, offset=made.offset + at,
                                    mf=made.mf or at + step < len(made.payload), expected=None).build()
                for at in range(0, len(made.payload), step)]

    def _error_to6(self, packet):
        icmp = packet.payload
        if icmp[0] not in errors.ERRORS4:
            raise Dropped("icmp_type")
        if checksum(icmp) != 0:
            raise Dropped("checksum")
        quote, extension = errors.split(icmp, 4)
        about = V4.parse(quote, quote=True)
        becomes = errors.error_to6(icmp, about.total, self.mtu4, self.mtu6)
        if becomes is None:
            raise Dropped("icmp_type")
        inner = self._quote(about, packet.dst, ECHO_TO6, extension, 0, self._upper_to6)
        if packet.ttl <= 1:
            raise Dropped("hops")
        message = errors.join(*becomes, inner.build(), extension if self.extensions else b"", 6)
        src, dst = rfc6052.embed(self.prefix, self.length, packet.src), inner.src
        if packet.dst != about.src:
            found = self.table.inward(ICMP, packet.dst, None, packet.src)
            if found is None:
                raise Dropped("no_session")
            dst = found[0]
        message = put(message, 2, checksum(pseudo6(src, dst, ICMPV6, len(message)) + message))
        return V6(src, dst, ICMPV6, message, packet.tos, packet.ttl - 1).build()

    def _quote(self, about, receiver, echoes, extension, side, translate):
        """The packet in an error, translated (sections 4.3 and 5.3); it was sent by the error's receiver."""
        icmp = ICMP if echoes is ECHO_TO6 else ICMPV6
        if about.src != receiver:
            self.checks.refuse("receiver")
        if extension:  # what fills the quote up to the extension is not the packet's
            about.payload = about.payload[:about.expected]
        if about.offset == 0 and about.proto in about.PORTED and len(about.payload) < 8:
            raise Dropped("quote")
        if about.proto == icmp and (about.fragment or about.payload[0] not in echoes):
            raise Dropped("quote")
        ported = about.proto in about.PORTED and about.offset == 0
        whole = not about.fragment and len(about.payload) >= about.expected
        if about.proto == UDP and ported and not 8 <= word(about.payload, 4) <= len(about.payload):
            whole = False
        cut = about.payload[:about.expected] if whole else about.payload
        behind = about.payload[len(cut):]
        about.payload = cut
        hops = about.ttl if icmp == ICMP else about.hops
        made = translate(about, whole=whole, port=self._port(about, side) if ported else None, hops=hops, quoted=True)
        made.payload += behind
        return made

    # From IPv6 to IPv4 (section 5).

    def _to4(self, octets):
        packet = V6.parse(octets, checks=self.checks)
        if packet.proto in (ICMP, IGMP):
            self.checks.refuse("protocol")
        if packet.proto == ICMPV6 and packet.fragment:
            raise Dropped("icmp_fragment")
        if packet.header and packet.proto not in packet.PORTED:
            self.checks.refuse("fragment_of_other")  # P7; section 5.1.1 only says so of extension headers and AH
        ported = check_whole(packet, self.checks)
        if packet.proto == ICMPV6 and packet.payload[0] not in ECHO_TO4:
            return [self._error_to4(packet)]
        if packet.proto == ICMPV6 and packet.payload[1] != 0:
            self.checks.refuse("echo_code")
        if packet.hops <= 1:
            raise Dropped("hops", (3, 0, bytes(4)))
        if rfc6052.of_one_link(packet.src):
            raise Dropped("address")
        made = self._upper_to4(packet, whole=not packet.fragment, port=self._port(packet, 0) if ported else None, hops=packet.hops - 1)
        if packet.proto == UDP and packet.offset == 0 and word(packet.payload, 6) == 0:
            raise Dropped("no_checksum")  # RFC 8200 section 8.1
        if made.total > self.mtu4:
            raise Dropped("too_big", (2, 0, struct.pack("!I", self.mtu4 + 20)))
        return [made.build()]

    def _remote(self, address):
        found = rfc6052.extract(self.prefix, self.length, address)
        if found is None:
            raise Dropped("no_prefix", PROHIBITED)
        self._somebodys(found, PROHIBITED)
        return found

    def _upper_to4(self, packet, whole, port, hops, quoted=False):
        """The packet with the source translated or, where it is quoted, the destination."""
        inside, other = (packet.dst, packet.src) if quoted else (packet.src, packet.dst)
        remote = self._remote(other)
        proto = ICMP if packet.proto == ICMPV6 else packet.proto
        found = self.table.outward(proto, inside, port, remote)
        if found is None:
            raise Dropped("no_session", PROHIBITED)
        src, dst = (remote, found[0]) if quoted else (found[0], remote)
        payload = packet.payload
        if packet.proto in packet.PORTED and packet.offset == 0:
            new = no_pseudo if packet.proto == ICMPV6 else functools.partial(pseudo4, src, dst, proto)
            payload = self._carried(packet, ECHO_TO4, (functools.partial(pseudo6, packet.src, packet.dst, packet.proto), new), found[1], whole, quoted)
        total = 20 + packet.expected if quoted else 20 + len(payload)
        if total > 65535:
            raise Dropped("malformed")
        made = V4(src, dst, proto, payload, packet.tc, hops, packet.ident & 0xFFFF, False, packet.mf, packet.offset, total=total)
        if not packet.header:
            made.df, made.ident = total > 1260, self.identify("quote" if quoted else "packet")
        return made

    def _error_to4(self, packet):
        icmp = packet.payload
        if icmp[0] not in errors.ERRORS6:
            raise Dropped("icmp_type")
        if checksum(pseudo6(packet.src, packet.dst, ICMPV6, len(icmp)) + icmp) != 0:
            raise Dropped("checksum")
        becomes = errors.error_to4(icmp, self.mtu4, self.mtu6)
        if becomes is None:
            raise Dropped("icmp_type")
        quote, extension = errors.split(icmp, 6)
        inner = self._quote(V6.parse(quote, quote=True, checks=self.checks), packet.dst, ECHO_TO4, extension, 1, self._upper_to4)
        remote = self._remote(packet.dst)
        if packet.hops <= 1:
            raise Dropped("hops")
        message = errors.join(*becomes, inner.build(), extension if self.extensions else b"", 4)
        message = put(message, 2, checksum(message))
        source = self.table.router(packet.src) or inner.dst
        ident = packet.ident & 0xFFFF if packet.header else self.identify("packet")
        return V4(source, remote, ICMP, message, packet.tc, packet.hops - 1, ident).build()

    # The translator's own errors quote the packet as its sender sent it.

    def _error4(self, octets, kind, code, rest):
        packet = V4.parse(octets)
        if packet.proto == ICMP and not packet.offset and packet.payload[0] not in ECHO_TO6:
            return None
        # RFC 1122 section 3.2.2: none about a fragment but the first, and none to what is no host's address.
        why = "later_fragment" if packet.offset else rfc6052.nobodys(packet.src, b"")
        if why and not self._allows(why):
            return None
        message = bytes([kind, code, 0, 0]) + rest + octets[:packet.total][:errors.LONGEST4 - 28]
        return V4(self.own4, packet.src, ICMP, put(message, 2, checksum(message)), ttl=64, ident=self.identify("packet")).build()

    def _allows(self, reason):
        try:
            self.checks.refuse(reason)
        except Dropped:
            return False
        return True

    def _error6(self, octets, kind, code, rest):
        octets = octets[:40 + word(octets, 4)]
        if self._about_error(octets) or rfc6052.of_one_link(octets[8:24]):
            return None
        message = bytes([kind, code, 0, 0]) + rest + octets[:errors.LONGEST6 - 48]
        own = self.own6 or rfc6052.embed(self.prefix, self.length, self.own4)
        message = put(message, 2, checksum(pseudo6(own, octets[8:24], ICMPV6, len(message)) + message))
        return V6(own, octets[8:24], ICMPV6, message).build()

    def _about_error(self, octets):
        """RFC 4443 section 2.4 (e): no error about ICMPv6 other than an echo."""
        try:
            packet = V6.parse(octets, checks=Checks(self.checks.allowed | {"segments_left"}))
        except Dropped:
            return False  # one of the headers in front of the upper layer's is in error
        return packet.proto == ICMPV6 and not packet.offset and packet.payload[:1] not in (b"\x80", b"\x81")
