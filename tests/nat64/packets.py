# SPDX-License-Identifier: BSD-2-Clause
"""Random packets of both families for a NAT64: right ones of all sizes, errors of each type and code, fragments, malformed ones."""

import ipaddress
import struct

from . import errors
from . import prefix as rfc6052
from .octets import CHECKSUM_AT, DESTINATION, HOP_BY_HOP, ICMP, ICMPV6, ROUTING, TCP, UDP, V4, V6, checksum, no_pseudo, pseudo4, pseudo6, put, word

TCP_OPTIONS = (b"", b"\x02\x04\x05\xb4", b"\x02\x04\x05\x6e\x01\x03\x03\x07", b"\x01\x01\x08\x0a" + bytes(range(8)))
IPV4_OPTIONS = (b"", b"", b"\x01\x01\x01\x00", b"\x94\x04\x00\x00", b"\x83\x07\x08\xc6\x33\x64\x07\x00", b"\x89\x07\x04\xc6\x33\x64\x07\x00",
                b"\x07\x0b\x08" + bytes(8) + b"\x00", b"\x44\x03\x00\x00", b"\x9e\x20\x00\x00")
OTHER_PROTOCOLS = (47, 50, 33, 132, 255, 2, 0, 43, 58, 59, 1)
NOBODYS = [ipaddress.ip_address(text).packed for text in ("127.0.0.1", "224.0.0.5", "255.255.255.255", "0.0.0.0", "240.0.0.1", "169.254.1.1",
                                                          "10.0.0.1")]
STRANGERS = [ipaddress.ip_address(text).packed for text in ("fe80::1", "::1", "::", "::ffff:198.18.0.1", "ff02::1", "2001:db8:9::9")]


class Packets:
    """Packets between `hosts` (pairs of an inside and an outside address) and `remotes`, IPv4 addresses."""

    def __init__(self, random, hosts, remotes, prefix, length=96):
        self.random, self.hosts, self.remotes, self.prefix, self.length = random, hosts, remotes, prefix, length
        self.kinds = ((self.whole, 45), (self.fragment, 15), (self.error, 25), (self.other, 5), (self.damaged, 10))

    def one(self, family):
        """A packet that an IPv4 host (4) or an IPv6 host (6) sends, of at most 1500 octets."""
        while True:
            make = self.random.choices([kind for kind, _ in self.kinds], [weight for _, weight in self.kinds])[0]
            octets = make(family)
            if len(octets) <= 1500:
                return octets

    def ends(self, family):
        """(source, destination) in the packet's family."""
        inside, outside = self.random.choice(self.hosts)
        remote = self.random.choice(self.remotes)
        return (remote, outside) if family == 4 else (inside, rfc6052.embed(self.prefix, self.length, remote))

    def size(self):
        choice = self.random.random()
        if choice < 0.6:
            return self.random.randrange(0, 64)
        return self.random.randrange(0, 1400) if choice < 0.8 else self.random.randrange(1180, 1480)

    def upper(self, family, ends, size):
        """(protocol, octets) with a right checksum, now and then a wrong one."""
        random = self.random
        data, ports = random.randbytes(size), (random.randrange(1, 65536), random.randrange(1, 65536))
        proto = random.choice((TCP, TCP, UDP, UDP, ICMP if family == 4 else ICMPV6))
        if proto == TCP:
            options = random.choice(TCP_OPTIONS)
            octets = struct.pack("!HHIIBBHHH", *ports, random.getrandbits(32), random.getrandbits(32), (20 + len(options)) // 4 << 4,
                                 random.getrandbits(8), random.getrandbits(16), 0, random.choice((0, 0, 7))) + options + data
        elif proto == UDP:
            octets = struct.pack("!HHHH", *ports, 8 + len(data), 0) + data
        else:
            octets = struct.pack("!BBHHH", random.choice((8, 0) if family == 4 else (128, 129)), 0, 0, *ports) + data
        value = self.sum(family, ends, proto, octets)
        if proto == UDP:
            value = value or 0xFFFF
            value = 0 if random.random() < 0.1 else value
        if random.random() < 0.05:
            value = random.choice((random.getrandbits(16), 0xFFFF, value ^ 0x100))
        octets = put(octets, CHECKSUM_AT[proto], value)
        return proto, self.wrong(proto, octets) if random.random() < 0.02 else octets

    def wrong(self, proto, octets):
        """With a data offset, a length or a code that cannot be; the checksum is right if it was."""
        at = {TCP: 12, UDP: 4}.get(proto, 0)
        value = word(octets, at) & 0xFF00 | 1 if at == 0 else self.random.getrandbits(16)
        before = word(octets, CHECKSUM_AT[proto])
        after = (before + word(octets, at) - value) % 0xFFFF
        return put(put(octets, at, value), CHECKSUM_AT[proto], after)

    @staticmethod
    def sum(family, ends, proto, octets):
        pseudo = no_pseudo if proto == ICMP else lambda length: (pseudo4 if family == 4 else pseudo6)(*ends, proto, length)
        return checksum(pseudo(len(octets)) + octets)

    def ip(self, family, ends, proto, payload, **fields):
        random = self.random
        hops = random.choice((64, 64, 255, 128, random.randrange(256), random.randrange(4)))
        if family == 4:
            packet = V4(*ends, proto, payload, random.getrandbits(8), hops, random.getrandbits(16), random.random() < 0.5)
        else:
            packet = V6(*ends, proto, payload, random.getrandbits(8), hops)
        for name, value in fields.items():
            setattr(packet, name, value)
        return packet

    def with_options(self, packet):
        """Octets of the packet with IPv4 options, or with extension headers and a flow label."""
        octets = packet.build()
        if isinstance(packet, V4):
            options = self.random.choice(IPV4_OPTIONS)
            head = bytes([0x45 + len(options) // 4]) + octets[1:20] + options
            head = put(put(head, 2, len(octets) + len(options)), 10, 0)
            return put(head, 10, checksum(head)) + octets[20:]
        if self.random.random() < 0.5:
            octets = put(octets, 2, self.random.getrandbits(16))
        for _ in range(self.random.choice((0, 0, 0, 1, 2))):
            octets = self.extended(octets)
        return octets

    def extended(self, octets):
        """With an extension header in front of those that are there."""
        kind = self.random.choice((HOP_BY_HOP, DESTINATION, DESTINATION, ROUTING))
        size = self.random.choice((0, 0, 1, 3, self.random.choice((3, 31))))
        body = struct.pack("!BB", 1, 4 + 8 * size) + bytes(4 + 8 * size)
        if kind == ROUTING:
            body = struct.pack("!BB", 0, self.random.choice((0, 0, 1))) + bytes(4 + 8 * size)
        header = bytes([octets[6], size]) + body
        return octets[:4] + struct.pack("!HB", len(octets) - 40 + len(header), kind) + octets[7:40] + header + octets[40:]

    def whole(self, family):
        ends = self.ends(family)
        proto, payload = self.upper(family, ends, self.size())
        fields = {}
        if family == 6 and self.random.random() < 0.05:  # atomic
            fields = {"header": True, "ident": self.random.getrandbits(32)}
        return self.padded(self.with_options(self.ip(family, ends, proto, payload, **fields)))

    def padded(self, octets):
        return octets + bytes(self.random.choice((0,) * 9 + (7,)))

    def fragment(self, family):
        """One of a datagram's fragments, the first one in a third."""
        ends = self.ends(family)
        proto, payload = self.upper(family, ends, 40 + self.size())
        pieces = self.random.randrange(8, 1400, 8)
        at = self.random.choice((0, 0, pieces, pieces * 2, self.random.randrange(0, 65520, 8)))
        last = self.random.random() < 0.4
        body = (payload if at == 0 else self.random.randbytes(len(payload)))
        body = body if last else body[:len(body) // 8 * 8]
        if at and self.random.random() < 0.03:
            body = b""
        if self.random.random() < 0.04:  # ends where a datagram may, or may no longer
            at, last = self.random.randrange(65480, 65520, 8), True
            body = self.random.randbytes(self.random.choice((65515, 65516, 65535, 65536)) - at)
        ident = self.random.getrandbits(16 if family == 4 else 32)
        if family == 6 and self.random.random() < 0.05:  # a header behind the fragment header
            proto, body = DESTINATION, bytes([proto, 0, 1, 4, 0, 0, 0, 0]) + body
        packet = self.ip(family, ends, proto, body, offset=at, mf=not last, ident=ident)
        if family == 6:
            packet.header = True
        else:
            packet.df = self.random.random() < 0.25
        return self.with_options(packet)

    def error(self, family):
        """An ICMP error about a packet of a host, cut and extended at random; the type and the code may be unknown ones."""
        random = self.random
        sender, receiver = self.ends(family)
        known = (3, 4, 11, 12) if family == 4 else (1, 2, 3, 4)
        kind = random.choice(known * 6 + (random.randrange(256),))
        if kind in ((0, 8) if family == 4 else (128, 129)):
            kind = known[0]
        code = random.choice((0, random.randrange(0, 17), 4 if family == 4 else 3))
        about = receiver if random.random() < 0.97 else self.ends(family)[1]
        quote = self.quote(family, sender, about)
        rest = self.rest(family, kind, code)
        if random.random() < 0.25:
            quote, rest = self.extension(family, kind, quote, rest)
        message = bytes([kind, code, 0, 0]) + rest + quote
        message = message[:random.choice((28, 36, 100, 1480, 1480, 1480))] if random.random() < 0.1 else message
        proto = ICMP if family == 4 else ICMPV6
        if random.random() < 0.2:  # by a router
            sender = random.choice(self.remotes + [NOBODYS[0]]) if family == 4 else random.choice([inside for inside, _ in self.hosts] + STRANGERS[-1:])
        value = self.sum(family, (sender, receiver), proto, message)
        message = put(message, 2, value ^ 0x40 if random.random() < 0.03 else value)
        return self.padded(self.with_options(self.ip(family, (sender, receiver), proto, message)))

    def rest(self, family, kind, code):
        random = self.random
        if family == 4 and (kind, code) == (3, 4):
            return struct.pack("!HH", 0, random.choice((0, 68, 576, 1259, 1260, 1261, 1280, 1480, 1492, 1500, 9000, 65535)))
        if family == 4 and kind == 12:
            return struct.pack("!Bxxx", random.randrange(0, 24))
        if family == 6 and kind == 2:
            return struct.pack("!I", random.choice((0, 20, 87, 88, 89, 1279, 1280, 1281, 1500, 1520, 9000, 1 << 16, (1 << 32) - 1)))
        if family == 6 and kind == 4:
            return struct.pack("!I", random.choice((random.randrange(0, 48), 1 << 31)))
        return bytes(4)

    def quote(self, family, sender, receiver):
        """What the error's receiver sent, as it came to where the error is from."""
        ends = receiver, sender
        proto, payload = self.upper(family, ends, self.size())
        if self.random.random() < 0.05:
            payload = bytes([3 if family == 4 else 1]) + payload[1:]
        fields = {"hops" if family == 6 else "ttl": self.random.randrange(256)}
        if self.random.random() < 0.2:
            fields |= {"mf": True, "ident": self.random.getrandbits(16)}
            if family == 6:
                fields["header"] = True
            payload = payload[:len(payload) // 8 * 8]
        octets = self.ip(family, ends, proto, payload, **fields).build()
        if self.random.random() < 0.1:
            octets = self.with_options(V4.parse(octets) if family == 4 else V6.parse(octets))
        shortest = (20 if family == 4 else 40) + 8
        if self.random.random() < 0.05:
            octets += bytes(self.random.randrange(1, 9))
        cut = self.random.choice((len(octets), len(octets), shortest, 128, 548, 1232, *(self.random.randrange(shortest - 9, 200) for _ in range(3))))
        return octets[:cut]

    def extension(self, family, kind, quote, rest):
        """A quote filled up to its length, with objects behind it (RFC 4884)."""
        random = self.random
        unit = 4 if family == 4 else 8
        length = max(128, -(-len(quote) // unit) * unit)
        if length // unit > 255 or kind not in (errors.ERRORS4 if family == 4 else (1, 3)):
            return quote, rest
        objects = struct.pack("!HBB", 4 + 4 * random.randrange(1, 9), 1, 1)
        objects += random.randbytes(objects[1] - 4)
        if random.random() < 0.1:
            objects = objects * random.randrange(1, 40)
        head = struct.pack("!BBH", 0x20, 0, 0)
        extension = put(head + objects, 2, checksum(head + objects))
        at, told = 1 if family == 4 else 0, length // unit
        if random.random() < 0.05:
            told = random.randrange(256)
        return quote.ljust(length, b"\0") + extension, rest[:at] + bytes([told]) + rest[at + 1:]

    def other(self, family):
        """Of a protocol without ports, or to or from nobody's address."""
        ends = self.ends(family)
        if family == 6 and self.random.random() < 0.3:
            ends = self.random.choice(STRANGERS), ends[1]
            return self.ip(family, ends, *self.upper(family, ends, self.size())).build()
        if self.random.random() < 0.6:
            return self.with_options(self.ip(family, ends, self.random.choice(OTHER_PROTOCOLS), self.random.randbytes(self.size())))
        address = self.random.choice(NOBODYS)
        ends = (address, ends[1]) if family == 4 else (ends[0], rfc6052.embed(self.prefix, self.length, address))
        return self.ip(family, ends, *self.upper(family, ends, self.size())).build()

    def damaged(self, family):
        """A packet that is cut, or in which some bits of its headers are others."""
        octets = self.random.choice((self.whole, self.fragment, self.error))(family)
        if self.random.random() < 0.3:
            return octets[:self.random.randrange(1, len(octets))]
        octets = bytearray(octets)
        for _ in range(self.random.choice((1, 1, 2))):
            octets[self.random.randrange(min(len(octets), 84))] ^= 1 << self.random.randrange(8)
        if family == 4 and self.random.random() < 0.8 and octets[0] == 0x45:  # else the header's checksum would hide all
            octets[10:12] = bytes(2)
            octets[10:12] = struct.pack("!H", checksum(bytes(octets[:20])))
        return bytes(octets)
