#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes the seeds of the fuzzers: seeds.py DIRECTORY, with one folder per fuzzer."""

import pathlib
import struct
import sys

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.l2 import Ether
from scapy.packet import Raw

TO = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:01") / IP(src="10.0.0.2", dst="198.51.100.7")
QUOTED = IP(src="1.1.1.0", dst="10.0.0.2")


def with_ip(payload, **ip):
    frame = TO / payload
    for name, value in ip.items():
        setattr(frame[IP], name, value)
    return bytes(frame)


def attribute(kind, value):
    return struct.pack("HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def message(kind, body):
    return struct.pack("IHHII", 16 + len(body), kind, 0, 1, 0) + body


def reply(question, *messages):
    """Answers to one request of fuzz_replies: each message preceded by its length."""
    return bytes([question]) + b"".join(struct.pack("H", len(m)) + m for m in messages)


def mapped(addr):
    return b"\0" * 10 + b"\xff\xff" + bytes(int(octet) for octet in addr.split("."))


def pcp(*requests):
    """Requests to the PCP server: each preceded by its length and a number that says who asks."""
    return b"".join(struct.pack(">HB", len(r), who) + r for who, r in requests)


def pcp_request(who, opcode, lifetime, body=b""):
    return who, struct.pack(">BBHI", 2, opcode, 0, lifetime) + mapped(f"100.64.0.{2 + who}") + body


def pcp_map(proto, in_port, out_port=0, options=b"", peer=b""):
    return bytes(range(12)) + struct.pack(">BxxxHH", proto, in_port, out_port) + mapped("203.0.113.7") + peer + options


def pcp_filter(addr, plen, port=0):
    return struct.pack(">BxHxBH", 3, 20, plen, port) + mapped(addr)


def frame(sequence, kind, payload, flags=0):
    return struct.pack(">IBBHQ", len(payload), kind, flags, 0, sequence) + payload


def told(kind, payload, peer=0):
    return struct.pack(">BBH", peer, kind, len(payload)) + payload


def lease(in_port, left, stamp, ended=0):
    return struct.pack(">IIHHBBHI12xQ64x", 0x0A000007, 0xCB000000, in_port, 8000, 6, 0, ended, left, stamp)


def radius(*attributes, code=4):
    """A RADIUS packet, for the seconds that it is held; the fuzzer needs no right authenticator."""
    body = b"".join(bytes([kind, 2 + len(value)]) + value for kind, value in attributes)
    return b"\5" + struct.pack(">BBH16x", code, 7, 20 + len(body)) + body


def claim(plan):
    """A line of claims without its checksum, which the fuzzer adds."""
    return (f'{{"line":1,"time":"2026-01-31T10:00:00Z","event":"claim","claim":"0123456789abcdef",{plan},"from":"2024-03-01T00:00:00Z",'
            f'"source":"mx.conf","sha256":"{"a" * 64}"}}\n').encode()


HELLO = struct.pack(">I16sIHHIQ", 4, bytes(16), 0xC0000201, 9470, 0, 1000, 1)
SESSION = struct.pack(">HHI", 1, 1, 7) + struct.pack(">QHBBHH", 0xC633640701BB0005, 1470, 17, 2, 77, 0)
BEYOND = struct.pack(">QIHHBBH", 0xC6336407003513B7, 7, 1, 1470, 17, 2, 0)
BEYOND_END = struct.pack(">QIHHBBH", 0xC6336407003513B7, 7, 1, 1470, 17, 0, 0)
CHANGES = struct.pack(">HHI", 1, 1, 7) + struct.pack(">QHBBHH", 5, 1024, 17, 1, 3, 0)
VLAN = attribute(1, b"vlan\0") + attribute(2, attribute(1, struct.pack("H", 100)) + attribute(5, b"\x81\x00"))
SEEDS = {
    "packet": {
        "udp": with_ip(UDP(sport=5000, dport=53) / b"query"),
        "udp-unsummed": with_ip(UDP(sport=5000, dport=53, chksum=0) / b"query"),
        "syn": with_ip(TCP(sport=5000, dport=80, flags="S", options=[("MSS", 1460), ("WScale", 7)])),
        "echo": with_ip(ICMP(type=8, id=5, seq=1) / b"data"),
        "error": with_ip(ICMP(type=3, code=1) / IP(src="1.1.1.0", dst="10.0.0.2") / UDP(sport=53, dport=5000)),
        "error-udp-unsummed": with_ip(ICMP(type=3, code=4) / QUOTED / UDP(sport=53, dport=5000, chksum=0) / b"12345678"),
        "error-tcp-cut": with_ip(ICMP(type=11) / Raw(bytes(QUOTED / TCP(sport=80, dport=5000))[:28])),
        "error-tcp": with_ip(ICMP(type=11) / QUOTED / TCP(sport=80, dport=5000) / b"1234"),
        "error-echo": with_ip(ICMP(type=3, code=1) / QUOTED / ICMP(type=8, id=7) / b"data"),
        "error-reply": with_ip(ICMP(type=3, code=1) / QUOTED / ICMP(type=0, id=7) / b"data"),
        "error-gre": with_ip(ICMP(type=12) / IP(src="1.1.1.0", dst="10.0.0.2", proto=47) / b"\0\0\x08\0\0\0\0\0"),
        "error-options": with_ip(ICMP(type=3, code=1) / IP(src="1.1.1.0", dst="10.0.0.2", options=[IPOption(b"\x94\x04\0\0")])
                                 / UDP(sport=53, dport=5000)),
        "syn-odd": with_ip(TCP(sport=5000, dport=80, flags="SA", options=[("NOP", None), ("MSS", 9000), ("SAckOK", b"")])),
        "first": with_ip(UDP(sport=5000, dport=53) / b"12345678", flags="MF"),
        "later": with_ip(UDP(sport=5000, dport=53) / b"12345678", frag=100),
        "options": with_ip(UDP(sport=5000, dport=53), options=[IPOption(b"\x94\x04\0\0"), IPOption(b"\x07\x07\x04\0\0\0\0\0")]),
    },
    "netlink": {
        "link": message(16, struct.pack("BxHiII", 0, 1, 5, 1, 0) + attribute(3, b"eth0.100\0") + attribute(4, struct.pack("I", 1500))
                        + attribute(1, b"\2\0\0\0\0\1") + attribute(18, VLAN) + attribute(43, attribute(2, b"\1") + attribute(4, struct.pack("I", 7)))),
        "neighbour": message(28, struct.pack("BxxxiHBB", 2, 5, 2, 0, 1) + attribute(1, b"\x0a\0\0\5") + attribute(2, b"\2\0\0\0\0\5")),
        "neighbour6": message(28, struct.pack("BxxxiHBB", 10, 5, 4, 0, 1) + attribute(1, b"\xfe\x80" + b"\0" * 13 + b"\5")),
    },
    "replies": {
        "routes": reply(0, message(24, struct.pack("BBBBBBBBI", 2, 30, 0, 0, 254, 215, 0, 6, 0) + attribute(1, b"\1\1\1\0")
                                   + attribute(6, struct.pack("I", 7)) + attribute(15, struct.pack("I", 254))
                                   + attribute(8, attribute(2, struct.pack("I", 1400))))),
        "local": reply(1, message(24, struct.pack("BBBBBBBBI", 2, 32, 0, 0, 255, 2, 254, 2, 0) + attribute(1, b"\x0a\0\0\1")
                                  + attribute(15, struct.pack("I", 255)))),
        "short": reply(0, message(24, struct.pack("BBBBBBBBI", 2, 30, 0, 0, 254, 215, 0, 6, 0) + attribute(1, b"\1\1\1\0") + attribute(6, b""))),
        "short-local": reply(1, message(24, struct.pack("BBBBBBBBI", 2, 32, 0, 0, 255, 2, 254, 2, 0) + attribute(7, b"\1\1\1\0") + attribute(1, b""))),
        "short-filter": reply(2, message(44, struct.pack("BxxxiIII", 0, 1, 1, 2, 3) + attribute(1, b"bpf\0")
                                         + attribute(2, attribute(11, b"")))),
        "filter": reply(2, message(44, struct.pack("BxxxiIII", 0, 1, 1, 2, 3) + attribute(1, b"bpf\0")
                                   + attribute(2, attribute(7, b"detnat_tc:[5]\0") + attribute(11, struct.pack("I", 9))))),
        "way": reply(3, message(24, struct.pack("BBBBBBBBI", 2, 32, 0, 0, 254, 2, 0, 1, 0) + attribute(4, struct.pack("I", 3))
                                + attribute(5, b"\xc6\x33\x64\xfe"))),
    },
    "pcp": {
        "announce": pcp(pcp_request(0, 0, 0)),
        "nat-pmp": pcp((0, b"\0\0")),
        "map": pcp(pcp_request(0, 1, 7200, pcp_map(6, 443)), pcp_request(0, 1, 0, pcp_map(6, 443))),
        "suggested": pcp(pcp_request(0, 1, 7200, pcp_map(17, 443, 2003, b"\2\0\0\0\x80\0\0\1x\0\0\0"))),
        "clash": pcp(pcp_request(0, 1, 7200, pcp_map(17, 443, 2003)), pcp_request(0, 1, 7200, pcp_map(17, 444, 2003))),
        "all": pcp(pcp_request(0, 1, 7200, pcp_map(17, 443)), pcp_request(0, 1, 0, pcp_map(0, 0))),
        "third-party": pcp(pcp_request(1, 1, 60, pcp_map(6, 80, options=b"\1\0\0\x10" + mapped("100.64.0.2")))),
        "filter": pcp(pcp_request(0, 1, 60, pcp_map(6, 80, options=pcp_filter("198.51.100.9", 128, 53) + pcp_filter("192.0.2.0", 120))),
                      pcp_request(0, 1, 60, pcp_map(6, 80, options=pcp_filter("0.0.0.0", 0) + pcp_filter("192.0.2.9", 96, 7)))),
        "peer": pcp(pcp_request(0, 2, 600, pcp_map(17, 4000, peer=b"\0\x35\0\0" + mapped("198.51.100.9")))),
    },
    "replication": {
        "plain": b"\0" + frame(0, 1, HELLO) + frame(1, 2, bytes(16)) + frame(2, 3, bytes(40)) + frame(3, 17, CHANGES)
                 + frame(4, 18, struct.pack(">HHII", 1, 0, 0, 64) + CHANGES) + frame(5, 20, BEYOND) + frame(6, 19, b""),
        "keyed": b"\1" + frame(0, 1, HELLO, 0x80) + bytes(32),
        "written": b"\2" + b"".join(struct.pack(">BH", kind, len(p)) + p for kind, p in ((1, HELLO), (17, CHANGES), (20, BEYOND), (2, bytes(16)))),
    },
    "copying": {
        "slots": told(17, SESSION) + told(18, struct.pack(">HHII", 1, 0, 0, 64) + SESSION) + told(19, b""),
        "beyond": told(20, BEYOND) + told(19, b"", 0x84) + told(20, BEYOND, 1) + told(20, BEYOND_END),
        "lease": told(21, lease(80, 60, 1)),
        "rules": told(23, struct.pack(">IIIIBBH9I", 0, 1, 0x0A000000, 0xCB000000, 22, 32, 0, 0, 63, 128, 0, 0, 0, 1000, 0, 1))
        + told(24, struct.pack(">IIIHBBIHH", 0, 2, 0xCB000000, 80, 6, 0, 0x0A000007, 80, 0))
        + told(24, struct.pack(">IIIHBBIHH", 1, 2, 0xCB000000, 81, 6, 0, 0x0A000007, 81, 0), peer=0x20),
        "lease-ended": told(21, lease(80, 60, 1) + lease(80, 50, 2, ended=1) + lease(81, 50, 3) + lease(80, 50, 3)),
        "filtered": told(21, struct.pack(">IIHHBB2xI12xIHBxIHBx48x", 0x0A000007, 0xCB000000, 80, 8000, 6, 2, 60,
                                         0xC6336400, 0, 24, 0xC6336407, 443, 32)),
    },
    "claims": {
        "mapping": claim('"in":"10.0.0.0/18","out":"1.1.1.0/30","subscribers_per_address":4096,"ports_per_host":15,"first_port":1024,"order":"sequential"'),
        "range": claim('"in":"100.64.56.1-100.64.63.254","out":"143.208.72.193-143.208.72.254","subscribers_per_address":33,"ports_per_host":1954'),
        "blocks": claim('"out":"198.0.2.1","blocks":[{"in":"100.65.0.0","port_lo":1025,"port_hi":3041},{"in":"100.65.0.1","port_lo":3042,"port_hi":5057}]'),
        "untranslated": claim('"in":"10.0.0.5","out":null'),
    },
    "http": {
        "get": b"\x40GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        "head": b"\x07HEAD http://x/metrics?a#b HTTP/1.0\n\n",
        "other": b"\xffPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    },
    "radius": {
        "start": radius((40, b"\0\0\0\1"), (4, b"\xc0\0\2\t"), (1, b"alice"), (44, b"4711"), (8, b"\x64\x40\x10\x10"), (31, b"02-00-00-00-00-01"),
                        (87, b"ge-0/0/1"), (41, b"\0\0\0\3"), (33, b"x"), (33, b"yz")),
        "interim": radius((40, b"\0\0\0\3"), (32, b"bng"), (123, b"\0\x38\x20\1\x0d\xb8\0\7\0"), (97, b"\0\x40\x20\1\x0d\xb8\0\7\0\1"),
                          (46, b"\0\0\1\0"), (85, b"\0\0\2\x58"), (26, b"\0\0\x0d\xe9\1\6line")),
        "off": radius((40, b"\0\0\0\x08"), (95, b"\x20\1\x0d\xb8" + bytes(12))),
        "waited": radius((40, b"\0\0\0\1"), (4, b"\xc0\0\2\t"), (32, b"bng"), (44, b"4711"), (8, b"\x64\x40\x10\x10"), (55, b"\x6b\x08\x04\x70"),
                         (168, b"\x20\1\x0d\xb8" + bytes(12))),
        "end": radius((40, b"\0\0\0\2"), (32, b"bng"), (44, b"4711"), (55, b"\x6b\x08\x04\xf0")),
        "status": radius((80, bytes(16)), code=12),
    },
}

if __name__ == "__main__":
    for fuzzer, seeds in SEEDS.items():
        folder = pathlib.Path(sys.argv[1], fuzzer)
        folder.mkdir(parents=True, exist_ok=True)
        for name, octets in seeds.items():
            (folder / name).write_bytes(octets)
