# SPDX-License-Identifier: BSD-2-Clause
"""Frames sent and received by raw sockets, compared whole."""

import socket
import time

from scapy.layers.l2 import Ether

ETH_P_ALL = 0x0003
ETH_IPV4 = b"\x08\x00"
ETH_ARP = b"\x08\x06"
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33

PATIENCE = 20.0  # seconds that a frame may take; only a failing test waits as long


def describe(frame):
    return f"{Ether(frame).summary()}  {frame.hex()}"


class Wire:
    """The far end of a gateway's link: sends frames to the gateway and receives all frames from it."""

    def __init__(self, namespace, interface):
        with namespace.enter():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.bind((interface, ETH_P_ALL))
        self.name = interface

    def close(self):
        self.socket.close()

    def send(self, *packets):
        """Sends packets (scapy or bytes) unchanged; returns them as bytes."""
        frames = [bytes(p) for p in packets]
        for frame in frames:
            self.socket.send(frame)
        return frames

    def receive(self, timeout=PATIENCE, kinds=(ETH_IPV4,)):
        """The next frame of the wanted kinds, or None."""
        end = time.monotonic() + timeout
        while True:
            self.socket.settimeout(max(end - time.monotonic(), 0.000001))
            try:
                frame = self.socket.recv(65600)
            except (TimeoutError, BlockingIOError):
                return None
            if kinds is None or frame[12:14] in kinds:
                return frame

    def expect(self, *expected, timeout=PATIENCE):
        """The next IPv4 frames are exactly these, in order."""
        for wanted in map(bytes, expected):
            frame = self.receive(timeout)
            assert frame is not None, f"{self.name}: nothing came instead of {describe(wanted)}"
            assert frame == wanted, f"{self.name}:\n came   {describe(frame)}\n wanted {describe(wanted)}"

    def expect_all(self, expected, timeout=PATIENCE):
        """The next IPv4 frames are exactly these, in any order."""
        missing = [bytes(p) for p in expected]
        while missing:
            frame = self.receive(timeout)
            assert frame is not None, f"{self.name}: {len(missing)} did not come, first {describe(missing[0])}"
            assert frame in missing, f"{self.name}: came {describe(frame)}\n wanted e.g. {describe(missing[0])}"
            missing.remove(frame)

    def packet(self, timeout=PATIENCE, kinds=(ETH_IPV4,)):
        """The next frame of the wanted kinds, dissected."""
        frame = self.receive(timeout, kinds)
        assert frame is not None, f"{self.name}: nothing came"
        return Ether(frame)

    def clear(self):
        """Discards all frames received so far."""
        while self.receive(timeout=0, kinds=None) is not None:
            pass

    def drain(self):
        """All IPv4 frames received so far."""
        frames = []
        while (frame := self.receive(timeout=0)) is not None:
            frames.append(frame)
        return frames

    def assert_silent(self):
        """Asserts that no IPv4 frame has arrived. Call it once the packet has been processed."""
        frames = self.drain()
        assert not frames, f"{self.name}: came " + "\n".join(map(describe, frames))
