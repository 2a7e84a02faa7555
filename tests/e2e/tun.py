# SPDX-License-Identifier: BSD-2-Clause
"""Interfaces without an Ethernet header, whose other end is the test."""

import fcntl
import os
import select
import struct

from scapy.layers.inet import IP

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


class Tun:
    """One of them; it is gone when it is closed. up: bring it up at once."""

    def __init__(self, namespace, name, up=True):
        self.name = name
        with namespace.enter():
            self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", os.fsencode(name), IFF_TUN | IFF_NO_PI))
        if up:
            namespace.ip("link", "set", name, "up")

    def send(self, packet):
        os.write(self.fd, bytes(packet))

    def receive(self, timeout=10):
        """The next IPv4 packet."""
        while select.select([self.fd], [], [], timeout)[0]:
            packet = os.read(self.fd, 65536)
            if packet[0] >> 4 == 4:
                return IP(packet)
        raise AssertionError("nothing came")

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
        self.fd = None
