# SPDX-License-Identifier: BSD-2-Clause
"""IPFIX collectors for tests, over UDP and TCP; ipfix_others.py has the decoders of other programs."""

import select
import socket
import struct
import time

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from ipfix_decode import Decoder

PORT = 4739
PATIENCE = 30.0


class Collector:
    """A collector on the loopback of a lab's gateway (or of any namespace) that decodes strictly all it receives."""

    def __init__(self, where, addr="127.0.0.1", port=0):
        namespace = getattr(where, "gateway", where)
        with namespace.enter():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((addr, port))
        self.endpoint = "{}:{}".format(*self.socket.getsockname())
        self.settings = [f"collector={self.endpoint}"]  # for `detnatctl ipfix set`
        self.decoder = Decoder()
        self.datagrams = []
        self.messages = []
        self.senders = []
        self._taken = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def receive(self, timeout=0.0):
        """Decodes what has arrived, waiting this long for the first message; returns whether anything arrived."""
        any_came = False
        while select.select([self.socket], [], [], 0 if any_came else timeout)[0]:
            datagram, sender = self.socket.recvfrom(65536)
            self.messages.append(self.decoder.decode(datagram))
            self.datagrams.append(datagram)
            self.senders.append("{}:{}".format(*sender))
            any_came = True
        return any_came

    def options(self):
        """All records of options templates received."""
        self.receive()
        return [record for message in self.messages for record in message.options]

    def all_records(self):
        return [record for message in self.messages for record in message.records]

    def records(self, n, timeout=PATIENCE):
        """The records since the last call: waits for n of them, and fails if there are more."""
        end = time.monotonic() + timeout
        self.receive()
        while len(self.all_records()) - self._taken < n and time.monotonic() < end:
            self.receive(max(end - time.monotonic(), 0))
        fresh = self.all_records()[self._taken :]
        self._taken += len(fresh)
        assert len(fresh) == n, f"{len(fresh)} records where {n} were due: {fresh}"
        return fresh

    def write_file(self, path):
        """Everything received, as an IPFIX file (RFC 5655)."""
        path.write_bytes(b"".join(self.datagrams))

    def write_pcap(self, path, port=PORT):
        """Everything received, as packets to the port that other programs decode as IPFIX."""
        wrpcap(str(path), [Ether() / IP(src="192.0.2.1", dst="192.0.2.10") / UDP(sport=PORT, dport=port) / d
                           for d in self.datagrams])


class TcpCollector(Collector):
    """The same over TCP. Each connection is a separate stream with its own decoder."""

    def __init__(self, where, addr="127.0.0.1", port=0, listen=True):
        namespace = getattr(where, "gateway", where)
        with namespace.enter():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((addr, port))
        if listen:
            self.socket.listen()
        self.endpoint = "tcp:{}:{}".format(*self.socket.getsockname())
        self.settings = [f"collector={self.endpoint}"]
        self.datagrams = []  # messages, of all streams
        self.messages = []
        self.senders = []  # of connections
        self.stream = None
        self._buffer = b""
        self._taken = 0

    def close(self):
        self.hang_up()
        self.socket.close()

    def hang_up(self):
        if self.stream:
            self.stream.close()
        self.stream = None
        self._buffer = b""

    def receive(self, timeout=0.0):
        any_came = False
        while select.select([self.stream or self.socket], [], [], 0 if any_came else timeout)[0]:
            if not self.stream:
                self.stream, sender = self.socket.accept()
                self.senders.append("{}:{}".format(*sender))
                self.decoder = Decoder()
                continue
            piece = self.stream.recv(65536)
            if not piece:
                assert not self._buffer, "the stream ends within a message"
                self.hang_up()
                return any_came
            self._buffer += piece
            any_came |= self._decode_buffer()
        return any_came

    def _decode_buffer(self):
        any_came = False
        while len(self._buffer) >= 16:
            length = struct.unpack_from("!H", self._buffer, 2)[0]
            if len(self._buffer) < length:
                break
            self.messages.append(self.decoder.decode(self._buffer[:length]))
            self.datagrams.append(self._buffer[:length])
            self._buffer = self._buffer[length:]
            any_came = True
        return any_came
