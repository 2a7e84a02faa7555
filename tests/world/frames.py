# SPDX-License-Identifier: BSD-2-Clause
"""Frames of the world: whole Ethernet frames made of octets, each with a mark that says who sent it, and read again.

Written without scapy, as a world sends and receives hundreds of them a second.
"""

import collections
import socket
import struct

ICMP, TCP, UDP = 1, 6, 17
PROTO_NAMES = {ICMP: "icmp", TCP: "tcp", UDP: "udp"}
FIN, SYN, RST, ACK = 1, 2, 4, 16

MAGIC = b"dnW!"
# kind, address and port it is of, flow, number, time of sending
MARK = struct.Struct("!4sBIHIIQ")
# What a mark says of its packet.
UP = 1  # from a subscriber: its inside address and port
DOWN = 2  # an answer, or what a server sends by itself: the inside address and port it is meant for
STRANGER = 3  # from outside without being asked: the outside address and port that it goes to
FORGED = 4  # from an inside host with a source that is not its own: the address of the host
STRAIGHT = 5  # from outside straight to an inside address, which it names
LAST = 6  # as UP, and not to be answered
HAIRPIN = 7  # as UP, to a pool address; not to be answered
KINDS = {UP: "up", DOWN: "down", STRANGER: "stranger", FORGED: "forged", STRAIGHT: "straight", LAST: "last", HAIRPIN: "hairpin"}
OF_SUBSCRIBER = (UP, LAST, HAIRPIN)

Seen = collections.namedtuple(
    "Seen", "at gateway wire src sport dst dport proto offset flags kind host port flow number sent good error")


def number(text):
    """An IPv4 address as a number."""
    return struct.unpack("!I", socket.inet_aton(text))[0]


def text(addr):
    """A number as an IPv4 address."""
    return socket.inet_ntoa(struct.pack("!I", addr))


def endpoint(addr, port):
    return f"{text(addr)}:{port}"


def checksum(octets):
    """The Internet checksum: a number is its digits' sum modulo one less than the base."""
    if len(octets) & 1:
        octets += b"\0"
    rest = int.from_bytes(octets, "big") % 0xFFFF
    return 0xFFFF - rest if rest else (0xFFFF if not any(octets) else 0)


def mark(kind, host, port, flow, count, now):
    return MARK.pack(MAGIC, kind, host, port, flow, count, now)


def ip_header(src, dst, proto, length, ident=0, fragment=0, ttl=64):
    head = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + length, ident, fragment, ttl, proto, 0, src, dst)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:]


def with_sum(src, dst, proto, segment, at):
    pseudo = struct.pack("!IIBBH", src, dst, 0, proto, len(segment)) if proto != ICMP else b""
    found = checksum(pseudo + segment)
    if proto == UDP and not found:
        found = 0xFFFF
    return segment[:at] + struct.pack("!H", found) + segment[at + 2:]


def segment(proto, src, sport, dst, dport, payload, flags=ACK, seq=1, ack=1, reply=False):
    """What stands behind the IP header; of ICMP, an echo whose identifier is the port of the one who asks."""
    if proto == UDP:
        return with_sum(src, dst, UDP, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload, 6)
    if proto == TCP:
        head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, 65535, 0, 0)
        return with_sum(src, dst, TCP, head + payload, 16)
    return with_sum(src, dst, ICMP, struct.pack("!BBHHH", 0 if reply else 8, 0, 0, dport if reply else sport, seq & 0xFFFF) + payload, 2)


def frame(macs, src, dst, proto, octets, ident=0, ttl=64):
    return macs + b"\x08\x00" + ip_header(src, dst, proto, len(octets), ident, 0, ttl) + octets


def fragments(macs, src, dst, proto, octets, ident, sizes):
    """The frames of a datagram in fragments of these many octets of it, multiples of eight but for the last."""
    frames, at = [], 0
    for n, size in enumerate(sizes):
        more = n + 1 < len(sizes)
        piece = octets[at: at + size] if more else octets[at:]
        frames.append(macs + b"\x08\x00" + ip_header(src, dst, proto, len(piece), ident, at >> 3 | (0x2000 if more else 0)) + piece)
        at += len(piece)
    return frames


def icmp_error(macs, src, dst, kind, code, quoted):
    octets = with_sum(src, dst, ICMP, struct.pack("!BBHI", kind, code, 0, 0) + quoted, 2)
    return macs + b"\x08\x00" + ip_header(src, dst, ICMP, len(octets)) + octets


def read(octets, at, gateway, wire):
    """A frame that was received, as Seen; None if it is no IPv4. `error` is the quoted packet's (src, sport, dst, dport)."""
    if octets[12:14] != b"\x08\x00" or len(octets) < 34:
        return None
    head = (octets[14] & 15) * 4
    total, _, place, _, proto, _, src, dst = struct.unpack_from("!HHHBBHII", octets, 16)
    ip = octets[14: 14 + total]
    offset = (place & 0x1FFF) * 8
    sport = dport = flags = 0
    error, good = None, checksum(ip[:head]) == 0
    if not offset and len(ip) >= head + 8:
        if proto in (TCP, UDP):
            sport, dport = struct.unpack_from("!HH", ip, head)
            if proto == TCP and len(ip) >= head + 20:
                flags = ip[head + 13]
        elif proto == ICMP:
            if ip[head] in (0, 8):
                sport = dport = struct.unpack_from("!H", ip, head + 4)[0]
                flags = ip[head]
            elif ip[head] in (3, 11, 12) and len(ip) >= head + 36:
                flags = ip[head]
                q_src, q_dst = struct.unpack_from("!II", ip, head + 20)
                q_head = (ip[head + 8] & 15) * 4
                q_sport, q_dport = struct.unpack_from("!HH", ip, head + 8 + q_head)
                if ip[head + 17] == ICMP:
                    q_sport = q_dport = struct.unpack_from("!H", ip, head + 8 + q_head + 4)[0]
                error = (q_src, q_sport, q_dst, q_dport)
        if good and not place & 0x2000:
            rest = ip[head:]
            if proto == ICMP:
                good = checksum(rest) == 0
            elif proto == TCP or (proto == UDP and rest[6:8] != b"\0\0"):
                good = checksum(struct.pack("!IIBBH", src, dst, 0, proto, len(rest)) + rest) == 0
    found = ip.find(MAGIC, head)
    if found < 0 or found + MARK.size > len(ip):
        return Seen(at, gateway, wire, src, sport, dst, dport, proto, offset, flags, 0, 0, 0, 0, 0, 0, good, error)
    _, kind, host, port, flow, count, sent = MARK.unpack_from(ip, found)
    return Seen(at, gateway, wire, src, sport, dst, dport, proto, offset, flags, kind, host, port, flow, count, sent, good, error)
