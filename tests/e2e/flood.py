# SPDX-License-Identifier: BSD-2-Clause
"""New sessions faster than packets on a wire: each runs the program of an interface once, by BPF_PROG_TEST_RUN."""

import ctypes
import json
import os
import struct
import time

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from lab import IN_MAC, SERVER

_SYSCALL_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
_PROG_TEST_RUN, _PROG_GET_FD_BY_ID = 10, 13
_XDP_REDIRECT = 4

_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command, attributes):
    result = _libc.syscall(_SYSCALL_BPF, command, attributes, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class Flood:
    """Packets of a lab's subscribers, each opening a session, through the XDP program of in0."""

    def __init__(self, lab):
        self.namespace = lab.gateway
        # The next hop is cached before the first of them.
        lab.open_udp(lab.host(), 1)
        link = json.loads(lab.gateway.ip("-j", "-d", "link", "show", "dev", "in0"))[0]
        self.program = _bpf(_PROG_GET_FD_BY_ID, ctypes.create_string_buffer(struct.pack("=I", link["xdp"]["prog"]["id"]), 128))
        frame = bytes(Ether(src="02:00:01:00:00:02", dst=IN_MAC) / IP(src="10.0.0.2", dst=SERVER) / UDP(sport=1, dport=1, chksum=0))
        self.packet = ctypes.create_string_buffer(frame, len(frame))
        self.context = ctypes.create_string_buffer(struct.pack("=6I", 0, len(frame), 0, link["ifindex"], 0, 0))
        self.attributes = ctypes.create_string_buffer(
            struct.pack("=IIIIQQIIIIQQ", self.program, 0, len(frame), 0, ctypes.addressof(self.packet), 0, 1, 0,
                        len(self.context.raw) - 1, 0, ctypes.addressof(self.context), 0), 128)
        self.sent = 0

    def close(self):
        os.close(self.program)

    def send(self, n, rate=None):
        """n packets, at most `rate` a second; returns how long that took."""
        attributes, packet, size = self.attributes, self.packet, len(self.attributes)
        call, number, address = _libc.syscall, _SYSCALL_BPF, ctypes.addressof(self.attributes)
        call.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint]
        retval = ctypes.c_uint.from_buffer(attributes, 4)
        begun = time.monotonic()
        with self.namespace.enter():
            for i in range(n):
                k = self.sent
                # 14,000 subscribers, then another port of the server.
                struct.pack_into("!I", packet, 26, 0x0A000100 + k % 14000)
                struct.pack_into("!HH", packet, 34, 1000 + k % 15, 1000 + k // 14000)
                assert call(number, _PROG_TEST_RUN, address, size) == 0, os.strerror(ctypes.get_errno())
                assert retval.value == _XDP_REDIRECT, f"packet {k}: verdict {retval.value}"
                self.sent = k + 1
                if rate and not i % 100:
                    while time.monotonic() < begun + i / rate:
                        pass
        call.argtypes = None
        return time.monotonic() - begun
