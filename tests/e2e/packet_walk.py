# SPDX-License-Identifier: BSD-2-Clause
"""
A walk of packets of all kinds through a gateway, drawn from a seed, in batches. It learns outside endpoints from the packets that
come out, so that a batch goes on with the sessions of those before it.

    10.0.0.0/18     1.1.8.0/22    hosts on the link, 10.0.1.0/24, and behind a router whose routes have a smaller MTU, 10.0.16.0/20, 10.0.32.0/20
    10.0.64.0/24    1.1.2.0/30    UDP independent of endpoints
    10.0.66.0/28    -             not translated
    10.0.67.1       1.1.4.1       open from outside
    10.0.68.0/30    1.1.6.0/30    an address each, so that protocols without ports pass
    10.5.0.0/24     1.1.5.0/30    on a second link, of a smaller MTU
"""

import collections
import dataclasses
import pathlib
import random
import struct
import sys

import lab

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "world"))
import frames  # noqa: E402
from frames import ACK, FIN, ICMP, RST, SYN, TCP, UDP, number  # noqa: E402

PLAIN, BOUND = {"in": "10.0.0.0/18", "out": "1.1.8.0/22"}, {"in": "10.0.64.0/24", "out": "1.1.2.0/30"}
SINGLE, SECOND = {"in": "10.0.68.0/30", "out": "1.1.6.0/30"}, {"in": "10.5.0.0/24", "out": "1.1.5.0/30"}
MAPPINGS = [PLAIN, {**BOUND, "endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]}}, SINGLE, SECOND,
            {"in": "10.0.66.0/28", "out": None}, {"in": "10.0.67.1/32", "out": "1.1.4.1/32", "inbound": "open"}]
PORTMAPS = [{"proto": "udp", "in": "10.0.1.2:5000", "out": "1.1.8.16:443"}, {"proto": "tcp", "in": "10.0.1.3:80", "out": "1.1.8.16:80"}]
POOLS = [number(addr) for addr in ("1.1.8.16", "1.1.8.77", "1.1.2.1", "1.1.4.1", "1.1.5.2", "1.1.6.1")]
# A route's MTU is 1300 towards the last.
SERVERS = [number(addr) for addr in (lab.SERVER, "203.0.113.5", "198.18.0.9", "192.0.2.9")]
HOP, SECOND_MTU, ROUTE_MTU, OUT_MTU = "10.0.0.250", 1280, 1300, 1400
HOP_MAC, SECOND_MAC = "02:00:00:00:01:fa", "02:00:00:00:05:01"
IN, IN_SECOND, OUT = range(3)  # wires
LONGEST = [mtu + 14 for mtu in (1500, SECOND_MTU, OUT_MTU)]
GATEWAYS = [number(addr) for addr in (lab.GATEWAY_IN, lab.GATEWAY_OUT, "10.5.0.1")]
STRANGE = [number(addr) for addr in ("0.0.0.0", "10.9.9.9", "127.0.0.1", "169.254.1.1", "198.51.100.255", "224.0.0.5", "240.0.0.1", "255.255.255.255",
                                     "10.0.1.9", "10.0.255.255", "1.1.8.3")]
NEAR, ON_SECOND = ([f"{net}.{n}" for n in range(2, 250)] for net in ("10.0.1", "10.5.0"))
FAR, FURTHER = ([f"10.0.{third + n // 250}.{2 + n % 250}" for n in range(3900)] for third in (16, 32))


def octets_of(mac):
    return bytes.fromhex(mac.replace(":", ""))


def mac_of(addr):
    """Of a host on a link of the inside."""
    return b"\x02\x00\x01" + struct.pack("!I", addr)[1:]


def ip(src, dst, proto, body, ident, ttl=64, fragment=0, options=b"", tos=0):
    head = struct.pack("!BBHHHBBHII", 0x40 | 5 + len(options) // 4, tos, 20 + len(options) + len(body), ident, fragment, ttl, proto, 0, src, dst)
    head += options
    return head[:10] + struct.pack("!H", frames.checksum(head)) + head[12:] + body


@dataclasses.dataclass
class Flow:
    """out: (address, port), once a packet was seen outside."""

    host: int
    proto: int
    port: int
    ext: int
    eport: int
    out: tuple = None


class Walk:
    # How often each kind comes.
    KINDS = {"opening": 16, "outwards": 22, "inwards": 22, "fragments": 5, "options": 2, "hairpin": 4, "portmap": 3, "short_life": 2, "too_large": 3,
             "error": 5, "stranger": 4, "strange_address": 3, "to_gateway": 1, "other_protocol": 2, "malformed": 6, "wrong_station": 1, "tag": 2,
             "no_ipv4": 1, "checksums": 2, "straight": 2}

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.number = 0
        self.flows, self.fresh, self.pending = collections.deque(maxlen=2000), collections.deque(), {}
        self.far, self.second, self.other = 0, 0, 0

    # ---- batches

    def batch(self, size):
        """[(wire, frame)]"""
        kinds = list(self.KINDS)
        chosen = []
        while len(chosen) < size:
            found = getattr(self, self.dice.choices(kinds, list(self.KINDS.values()))[0])()
            chosen += [(wire, frame) for wire, frame in found or [] if len(frame) <= LONGEST[wire]]
        return chosen

    def saw(self, octets):
        """A frame that came outside."""
        if octets[12:14] != b"\x08\x00" or len(octets) < 38:
            return
        ident, place, proto, src = struct.unpack_from("!4xHHxB2xI", octets, 14)
        flow = self.pending.pop((ident, proto), None)
        if flow and not place & 0x1FFF and not flow.out and src != flow.host and src not in GATEWAYS and octets[14] == 0x45:
            flow.out = src, struct.unpack_from("!H", octets, 38 if proto == ICMP else 34)[0]
            self.flows.append(flow)
            if self.is_far(flow.host) or self.is_second(flow.host):
                self.fresh.append(flow)

    def forget(self):
        """Behind a batch: what has not come outside."""
        self.pending.clear()

    # ---- pieces

    def ident(self):
        self.number += 1
        return self.number & 0xFFFF

    @staticmethod
    def is_far(host):
        return host >> 8 & 0xFFFFF0 in (0x0A0010, 0x0A0020)

    @staticmethod
    def is_second(host):
        return host >> 16 == 0x0A05

    def inside(self, packet, host):
        """A frame from inside."""
        second = self.is_second(host)
        head = octets_of(SECOND_MAC if second else lab.IN_MAC) + (octets_of(HOP_MAC) if self.is_far(host) else mac_of(host))
        return IN_SECOND if second else IN, head + b"\x08\x00" + packet

    @staticmethod
    def outside(packet):
        mac = lab.SERVER_MAC if packet[12:16] == SERVERS[0].to_bytes(4, "big") else lab.ROUTER_MAC
        return OUT, octets_of(lab.OUT_MAC) + octets_of(mac) + b"\x08\x00" + packet

    def host(self):
        dice = self.dice.random()
        if dice < 0.5:
            return number(self.dice.choice(NEAR))
        if dice < 0.7:
            self.far += 1
            return number(FAR[self.far % len(FAR)])
        if dice < 0.85:
            self.second += 1
            return number(ON_SECOND[self.second % len(ON_SECOND)])
        return number(self.dice.choice([f"10.0.64.{self.dice.randrange(2, 250)}", f"10.0.66.{self.dice.randrange(1, 15)}", "10.0.67.1",
                                        f"10.0.68.{self.dice.randrange(4)}"]))

    def flow(self):
        return self.dice.choice(self.flows) if self.flows else None

    def size(self):
        return self.dice.choice([0, 1, 2, 17, 100, 512, 1200, self.dice.randrange(1240)])

    def payload(self, size):
        return self.dice.randbytes(size)

    def out_segment(self, flow, size, flags=None):
        flags = self.dice.choice([ACK, ACK, ACK | 8, ACK | FIN, RST]) if flags is None else flags
        return frames.segment(flow.proto, flow.host, flow.port, flow.ext, flow.eport, self.payload(size), flags, self.number, 7)

    def in_segment(self, flow, size, to=None):
        addr, port = to or flow.out
        if flow.proto == ICMP:
            return frames.segment(ICMP, flow.ext, flow.eport, addr, port, self.payload(size), seq=self.number, reply=True)
        flags = self.dice.choice([SYN | ACK, ACK, ACK, ACK | 8, ACK | FIN, RST])
        return frames.segment(flow.proto, flow.ext, flow.eport, addr, port, self.payload(size), flags, self.number, 7)

    def out(self, flow, body, **fields):
        ident = self.ident()
        self.pending[ident, flow.proto] = flow
        return ip(flow.host, flow.ext, flow.proto, body, ident, tos=self.dice.choice([0, 0, 0x10, 0xB8, 3]), **fields)

    def in_(self, flow, body, **fields):
        return ip(flow.ext, flow.out[0], flow.proto, body, self.ident(), **fields)

    def either(self, flow, size, **fields):
        """A packet of the flow in one of the directions."""
        if self.dice.random() < 0.5:
            return self.inside(self.out(flow, self.out_segment(flow, size), **fields), flow.host)
        return self.outside(self.in_(flow, self.in_segment(flow, size), **fields))

    # ---- kinds

    def opening(self):
        proto = self.dice.choice([UDP, UDP, TCP, TCP, ICMP])
        flow = Flow(self.host(), proto, self.dice.randrange(1, 65536), self.dice.choice(SERVERS), self.dice.choice([53, 80, 443, 5000]))
        body = self.out_segment(flow, self.size() if proto != TCP else 0, SYN)
        if proto == TCP and self.dice.random() < 0.5:
            mss = struct.pack("!BBHBB2x", 2, 4, 1460, 1, 1)
            body = frames.with_sum(flow.host, flow.ext, TCP, body[:12] + b"\x70" + body[13:16] + bytes(4) + mss, 16)
        return [self.inside(self.out(flow, body), flow.host)]

    def outwards(self):
        flow = self.flow()
        return flow and [self.inside(self.out(flow, self.out_segment(flow, self.size())), flow.host)]

    def inwards(self):
        flow = self.flow()
        return flow and [self.outside(self.in_(flow, self.in_segment(flow, self.size())))]

    def fragments(self):
        flow = self.flow()
        if not flow:
            return None
        outwards, ident, pieces, at = self.dice.random() < 0.5, self.ident(), [], 0
        size = self.dice.randrange(64, 3000)
        body = self.out_segment(flow, size) if outwards else self.in_segment(flow, size)
        src, dst = (flow.host, flow.ext) if outwards else (flow.ext, flow.out[0])
        while at < len(body):
            length = min(self.dice.choice([8, 64, 256, 1024, 1200]), len(body) - at)
            more = 0x2000 if at + length < len(body) else 0
            piece = ip(src, dst, flow.proto, body[at:at + length], ident, fragment=at >> 3 | more)
            pieces.append(self.inside(piece, flow.host) if outwards else self.outside(piece))
            at += length
        if self.dice.random() < 0.4:
            self.dice.shuffle(pieces)
        if self.dice.random() < 0.1:
            pieces.pop(self.dice.randrange(len(pieces)))
        return pieces

    def options(self):
        flow = self.flow()
        options = self.dice.choice([b"\x01\x01\x01\x00", b"\x07\x07\x04" + bytes(5), b"\x83\x07\x04\x01\x02\x03\x04\x00", b"\x94\x04\x00\x00",
                                    b"\x44\x0c\x05\x00" + bytes(8), b"\x07\x27\x04" + bytes(37), b"\x89\x03\x04\x01", b"\x07\xff\x04\x00"])
        return flow and [self.either(flow, self.dice.randrange(100), options=options)]

    def hairpin(self):
        one, other = self.flow(), self.flow()
        if not one or one.proto == ICMP or one.proto != other.proto or self.dice.random() < 0.2:
            host = number(self.dice.choice(NEAR[3:]))
            return [self.inside(ip(host, POOLS[0], UDP, frames.segment(UDP, host, self.dice.randrange(1, 65536), POOLS[0], 443, b"hairpin"),
                                   self.ident()), host)]
        # Either sends to the other's endpoint: both then have a session with it.
        return [self.inside(ip(a.host, b.out[0], a.proto, frames.segment(a.proto, a.host, a.port, *b.out, self.payload(self.size()), SYN),
                               self.ident()), a.host) for a, b in ((one, other), (other, one))]

    def portmap(self):
        proto, port, host, in_port = self.dice.choice([(UDP, 443, "10.0.1.2", 5000), (TCP, 80, "10.0.1.3", 80)])
        ext, eport, host = self.dice.choice(SERVERS), self.dice.randrange(1, 65536), number(host)
        back = frames.segment(proto, host, in_port, ext, eport, self.payload(self.size()), SYN | ACK)
        return [self.outside(ip(ext, POOLS[0], proto, frames.segment(proto, ext, eport, POOLS[0], port, self.payload(self.size()), SYN), self.ident())),
                self.inside(ip(host, ext, proto, back, self.ident()), host)]

    def fresh_flow(self):
        """Of a subscriber that has had no ICMP error for long: there are ten a second for each."""
        return self.fresh.popleft() if self.fresh else None

    def short_life(self):
        flow = self.fresh_flow()
        return flow and [self.either(flow, self.dice.randrange(600), ttl=self.dice.choice([0, 1, 1, 2]))]

    def too_large(self):
        """Of the routes and of the interfaces, and as large as just fits."""
        flow = self.fresh_flow()
        if not flow:
            return None
        length = self.dice.choice([SECOND_MTU, ROUTE_MTU, OUT_MTU]) + self.dice.choice([-1, 0, 0, 1, 4, 60])
        header = {TCP: 40, UDP: 28, ICMP: 28}[flow.proto]
        return [self.either(flow, length - header, fragment=self.dice.choice([0x4000, 0]))]

    def error(self):
        flow = self.flow()
        if not flow:
            return None
        kind, code = self.dice.choice([(3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (4, 0), (5, 1), (11, 0), (11, 1), (12, 0), (13, 0), (42, 0)])
        some = self.dice.choice([0, 8, 8, 8, 100, 548])
        if self.dice.random() < 0.5:
            quoted = ip(flow.out[0], flow.ext, flow.proto, self.quoted(flow, flow.out, True), self.ident(), ttl=1)[:20 + some]
            body = frames.with_sum(0, 0, ICMP, struct.pack("!BBHI", kind, code, 0, self.dice.choice([0, 1200])) + quoted, 2)
            return [self.outside(ip(self.dice.choice([flow.ext, number("203.0.113.200")]), flow.out[0], ICMP, body, self.ident()))]
        quoted = ip(flow.ext, flow.host, flow.proto, self.quoted(flow, (flow.host, flow.port), False), self.ident(), ttl=1)[:20 + some]
        body = frames.with_sum(0, 0, ICMP, struct.pack("!BBHI", kind, code, 0, self.dice.choice([0, 1200])) + quoted, 2)
        return [self.inside(ip(flow.host, flow.ext, ICMP, body, self.ident()), flow.host)]

    def quoted(self, flow, end, outwards):
        there = flow.ext, flow.eport
        a, b = (end, there) if outwards else (there, end)
        data = self.payload(self.dice.choice([0, 30, 540]))
        if flow.proto == ICMP:
            return frames.segment(ICMP, *a, *b, data, reply=not outwards)
        return frames.segment(flow.proto, *a, *b, data)

    def stranger(self):
        ext, to, proto = self.dice.choice(SERVERS), self.dice.choice(POOLS), self.dice.choice([UDP, TCP, ICMP])
        body = frames.segment(proto, ext, self.dice.randrange(65536), to, self.dice.randrange(65536), self.payload(self.size()),
                              self.dice.choice([SYN, ACK, SYN | ACK, RST]))
        return [self.outside(ip(ext, to, proto, body, self.ident()))]

    def straight(self):
        """From outside to an inside address, and from inside to a host of the inside."""
        ext, host, other = self.dice.choice(SERVERS), self.host(), self.host()
        if self.dice.random() < 0.5:
            return [self.outside(ip(ext, host, UDP, frames.segment(UDP, ext, 53, host, 5000, b"straight"), self.ident()))]
        return [self.inside(ip(host, other, UDP, frames.segment(UDP, host, 53, other, 5000, b"straight"), self.ident()), host)]

    def strange_address(self):
        proto, strange, host, ext = self.dice.choice([UDP, TCP, ICMP]), self.dice.choice(STRANGE), self.host(), self.dice.choice(SERVERS)
        outwards = self.dice.random() < 0.5
        src, dst = (host, ext) if outwards else (ext, self.dice.choice(POOLS))
        src, dst = self.dice.choice([(strange, dst), (src, strange), (dst, dst)])
        packet = ip(src, dst, proto, frames.segment(proto, src, 5000, dst, 53, b"strange", SYN), self.ident())
        return [self.inside(packet, host) if outwards else self.outside(packet)]

    def to_gateway(self):
        to, proto = self.dice.choice(GATEWAYS[:2]), self.dice.choice([UDP, ICMP])
        host = number(self.dice.choice(NEAR)) if self.dice.random() < 0.5 else None
        src = host or SERVERS[0]
        packet = ip(src, to, proto, frames.segment(proto, src, 5000, to, 9, b"to the gateway"), self.ident())
        return [self.inside(packet, host) if host else self.outside(packet)]

    def other_protocol(self):
        proto, ext = self.dice.choice([2, 4, 33, 41, 47, 50, 132, 136, 255]), self.dice.choice(SERVERS)
        self.other += 1
        # One that has an address of its own, or one that has had no ICMP error for long.
        host = number(self.dice.choice(["10.0.67.1", "10.0.68.1", "10.0.68.2", FURTHER[self.other % len(FURTHER)]]))
        body = self.payload(self.dice.choice([4, 8, 40, 200]))
        if self.dice.random() < 0.5:
            return [self.inside(ip(host, ext, proto, body, self.ident()), host)]
        return [self.outside(ip(ext, self.dice.choice(POOLS), proto, body, self.ident()))]

    def malformed(self):
        """
        Some octets of another packet changed, or its end cut off, or more behind it. Never its TTL and protocol, as errors are limited,
        nor its source: XDP answers the station that has sent a frame, tc the one that has its source address.
        """
        kind = self.dice.choice([self.opening, self.outwards, self.inwards, self.error, self.stranger, self.fragments])
        wire, frame = (kind() or self.opening())[0]
        frame = bytearray(frame)
        if self.dice.random() < 0.7:
            for _ in range(self.dice.randrange(1, 4)):
                at = self.dice.randrange(14, min(len(frame), 80))
                if at not in (22, 23) and not 26 <= at < 30:
                    frame[at] = self.dice.randrange(256)
        elif self.dice.random() < 0.5:
            frame = frame[:self.dice.randrange(15, len(frame))]
        else:
            frame += self.payload(self.dice.randrange(1, 40))
        head = 14 + 4 * (frame[14] & 15)
        if self.dice.random() < 0.6 and 34 <= head <= len(frame):
            frame[24:26] = bytes(2)
            frame[24:26] = struct.pack("!H", frames.checksum(bytes(frame[14:head])))
        return [(wire, bytes(frame))]

    def wrong_station(self):
        wire, frame = self.opening()[0]
        return [(wire, self.dice.choice([b"\xff" * 6, b"\x02\x00\x00\x00\x09\x09", b"\x01\x00\x5e\x00\x00\x05"]) + frame[6:])]

    def tag(self):
        """A priority, a VLAN that is not there, two tags, a tag that should not be."""
        wire, frame = (self.dice.choice([self.outwards, self.inwards, self.opening])() or self.opening())[0]
        tags = self.dice.choice([struct.pack("!HH", 0x8100, 0xA000), struct.pack("!HH", 0x8100, 77), struct.pack("!HHHH", 0x88A8, 9, 0x8100, 5),
                                 struct.pack("!HHHH", 0x8100, 0xA000, 0x8100, 5), struct.pack("!HH", 0x8100, 5)])
        return [(wire, frame[:12] + tags + frame[12:])]

    def no_ipv4(self):
        wire, frame = self.opening()[0]
        kind = self.dice.choice([0x86DD, 0x0800, 0x88CC, 0x0001, 0x8847])
        return [(wire, frame[:12] + struct.pack("!H", kind) + self.payload(self.dice.randrange(1, 80)))]

    def checksums(self):
        """UDP without one, and wrong ones."""
        flow = self.flow()
        if not flow:
            return None
        wire, frame = self.either(flow, self.size())
        at = 34 + {UDP: 6, TCP: 16, ICMP: 2}[flow.proto]
        new = bytes(2) if flow.proto == UDP and self.dice.random() < 0.6 else self.payload(2)
        return [(wire, frame[:at] + new + frame[at + 2:])]
