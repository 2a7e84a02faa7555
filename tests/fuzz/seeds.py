#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes the seeds of the fuzzers: seeds.py DIRECTORY, a folder for each fuzzer there."""

import pathlib
import struct
import sys

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.l2 import Ether

TO = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:01") / IP(src="10.0.0.2", dst="198.51.100.7")


def with_ip(payload, **ip):
    frame = TO / payload
    for name, value in ip.items():
        setattr(frame[IP], name, value)
    return bytes(frame)


def attribute(kind, value):
    return struct.pack("HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def message(kind, body):
    return struct.pack("IHHII", 16 + len(body), kind, 0, 1, 0) + body


VLAN = attribute(1, b"vlan\0") + attribute(2, attribute(1, struct.pack("H", 100)) + attribute(5, b"\x81\x00"))
SEEDS = {
    "packet": {
        "udp": with_ip(UDP(sport=5000, dport=53) / b"query"),
        "udp-unsummed": with_ip(UDP(sport=5000, dport=53, chksum=0) / b"query"),
        "syn": with_ip(TCP(sport=5000, dport=80, flags="S", options=[("MSS", 1460), ("WScale", 7)])),
        "echo": with_ip(ICMP(type=8, id=5, seq=1) / b"data"),
        "error": with_ip(ICMP(type=3, code=1) / IP(src="1.1.1.0", dst="10.0.0.2") / UDP(sport=53, dport=5000)),
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
    "http": {
        "get": b"\x40GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        "head": b"\x07HEAD http://x/metrics?a#b HTTP/1.0\n\n",
        "other": b"\xffPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    },
}

if __name__ == "__main__":
    for fuzzer, seeds in SEEDS.items():
        folder = pathlib.Path(sys.argv[1], fuzzer)
        folder.mkdir(parents=True, exist_ok=True)
        for name, octets in seeds.items():
            (folder / name).write_bytes(octets)
