# SPDX-License-Identifier: BSD-2-Clause
"""Packets that continue while interfaces, agents and firewalls change, and a sniffer for those that must not appear."""

import contextlib
import socket
import threading
import time

from wire import ETH_P_ALL, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE, SOL_PACKET

# A pause between packets: the test's own processes need the cores too.
PAUSE = 0.0005


class Flood:
    """Sends frames through an interface of a namespace, by name, so that a recreated one is used too."""

    def __init__(self, namespace, interface, *frames):
        with namespace.enter():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.interface = interface
        self.frames = [bytes(f) for f in frames]
        self.sent = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._end.is_set():
            for frame in self.frames:
                # The interface may be missing or down.
                with contextlib.suppress(OSError):
                    self.socket.sendto(frame, (self.interface, 0))
                    self.sent += 1
            time.sleep(PAUSE)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        self.socket.close()

    def wait(self, packets):
        """Waits until this many more were sent."""
        end = time.monotonic() + 20
        wanted = self.sent + packets
        while self.sent < wanted:
            assert time.monotonic() < end, f"{self.interface}: only {self.sent} of {wanted} packets could be sent"
            time.sleep(0.001)


class Sniffer:
    """Every frame that arrives in a namespace through any interface, including interfaces created later."""

    def __init__(self, namespace):
        with namespace.enter():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.setblocking(False)

    def close(self):
        self.socket.close()

    def count(self, *marks):
        """How many frames since the last call contain each of these octet strings."""
        found = [0] * len(marks)
        while True:
            try:
                frame = self.socket.recv(65600)
            except BlockingIOError:
                return found
            for i, mark in enumerate(marks):
                found[i] += mark in frame
