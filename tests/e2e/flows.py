# SPDX-License-Identifier: BSD-2-Clause
"""Numbered UDP packets of many flows in both directions at once, so that each one that is lost is known; and a download by TCP."""

import hashlib
import select
import socket
import struct
import threading
import time

from agent import wait_for
from wire import SO_RCVBUFFORCE

NUMBER = struct.Struct("!II")  # flow, number


class Flow:
    def __init__(self, index, source, target):
        self.index, self.source, self.target = index, source, target
        self.peers = []  # outside endpoints that the server saw, in order
        self.sent = {"up": 0, "down": 0}  # the number of the next packet
        self.came = {"up": set(), "down": set()}
        self.last = {"up": None, "down": None}
        self.gap = {"up": 0.0, "down": 0.0}

    def arrived(self, way, number, now):
        self.came[way].add(number)
        if self.last[way] is not None:
            self.gap[way] = max(self.gap[way], now - self.last[way])
        self.last[way] = now

    def lost(self, way):
        return self.sent[way] - len(self.came[way])


class Flows:
    """
    Flows from inside sockets to a server outside. A thread sends a packet of each flow every `interval` seconds, up and, once
    the server has heard of a flow, down. `sources` are (address, port), `targets` (address, port) of the server.
    """

    def __init__(self, inside, outside, sources, targets, interval=0.02):
        self.interval = interval
        self.flows = [Flow(index, source, target) for index, (source, target) in enumerate(zip(sources, targets, strict=True))]
        with inside.enter():
            self.clients = [self._socket(flow.source) for flow in self.flows]
        with outside.enter():
            self.servers = {target: self._socket(target) for target in set(targets)}
        for flow, client in zip(self.flows, self.clients):
            client.connect(flow.target)
        self.sending = {"up": True, "down": True}
        self._poll = select.epoll()
        self._by_fd = {s.fileno(): s for s in (*self.clients, *self.servers.values())}
        for fd in self._by_fd:
            self._poll.register(fd, select.EPOLLIN)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @staticmethod
    def _socket(address):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        made.setblocking(False)
        made.bind(address)
        return made

    def _run(self):
        due = time.monotonic()
        while not self._ended.is_set():
            now = time.monotonic()
            if now >= due:
                self._send()
                # Late, it sends no more often than it should.
                due = max(due + self.interval, now)
            for fd, _ in self._poll.poll(max(due - time.monotonic(), 0)):
                self._receive(self._by_fd[fd])

    def _send(self):
        for flow, client in zip(self.flows, self.clients):
            for way in ("up", "down"):
                if not self.sending[way] or (way == "down" and not flow.peers):
                    continue
                packet = NUMBER.pack(flow.index, flow.sent[way])
                try:
                    if way == "up":
                        client.send(packet)
                    else:
                        self.servers[flow.target].sendto(packet, flow.peers[-1])
                except OSError:  # an ICMP error about an earlier packet, or no route: not sent
                    continue
                flow.sent[way] += 1

    def _receive(self, it):
        now = time.monotonic()
        try:
            while True:
                data, peer = it.recvfrom(100)
                index, number = NUMBER.unpack(data)
                flow = self.flows[index]
                if it is self.clients[index]:
                    flow.arrived("down", number, now)
                    continue
                flow.arrived("up", number, now)
                if not flow.peers or flow.peers[-1] != peer:
                    flow.peers.append(peer)
        except OSError:
            pass

    # ---- what a test asks

    def answered(self):
        return [flow for flow in self.flows if flow.came["down"]]

    def wait_until_all_work(self):
        wait_for(lambda: len(self.answered()) == len(self.flows), 60, "an answer in each flow")

    def heard(self, way="down"):
        """Waits for ten more packets of each flow."""
        before = [len(flow.came[way]) for flow in self.flows]
        wait_for(lambda: all(len(f.came[way]) >= n + 10 for f, n in zip(self.flows, before)), 60, f"ten more packets {way} of each flow")

    def stop(self):
        """Sends no more, waits for what is under way, and returns (sent, lost) of all flows, by way."""
        self.sending = {"up": False, "down": False}

        def lost():
            return {way: sum(flow.lost(way) for flow in self.flows) for way in ("up", "down")}

        end = time.monotonic() + 20
        while any(lost().values()) and time.monotonic() < end:
            time.sleep(0.01)
        return {way: (sum(flow.sent[way] for flow in self.flows), count) for way, count in lost().items()}

    def missing(self, way):
        """Numbers of lost packets, of the flows that lost any."""
        return {flow.index: sorted(set(range(flow.sent[way])) - flow.came[way])[:20] for flow in self.flows if flow.lost(way)}

    def longest_gap(self, way):
        return max(flow.gap[way] for flow in self.flows)

    def close(self):
        self._ended.set()
        self._thread.join()
        for it in self._by_fd.values():
            it.close()
        self._poll.close()


class Download:
    """A TCP connection from inside over which the server sends all the time, and the client nothing."""

    CHUNK = bytes(range(256)) * 8

    def __init__(self, inside, outside, source, server):
        with outside.enter():
            listener = socket.create_server((server, 80))
        with inside.enter():
            self.client = socket.create_connection((server, 80), source_address=(source, 0))
        self.server, _ = listener.accept()
        listener.close()
        self.sent = hashlib.sha256()
        self.octets = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()
        self.got, self.received = hashlib.sha256(), 0

    def _send(self):
        while not self._ended.wait(0.02):
            self.server.sendall(self.CHUNK)
            self.sent.update(self.CHUNK)
            self.octets += len(self.CHUNK)
        self.server.shutdown(socket.SHUT_WR)

    def read(self, octets):
        """Reads so many more."""
        self.client.settimeout(60)
        target = self.received + octets
        while self.received < target and (data := self.client.recv(65536)):
            self.got.update(data)
            self.received += len(data)

    def finish(self):
        """Ends it, and asserts that everything has arrived."""
        self._ended.set()
        self._thread.join()
        self.read(1 << 40)
        self.client.close()
        self.server.close()
        assert self.received == self.octets and self.got.digest() == self.sent.digest()
