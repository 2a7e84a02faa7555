# SPDX-License-Identifier: BSD-2-Clause
"""A peer of gateway a that knows the key, and tells whatever a test likes."""

import hashlib
import hmac
import ipaddress
import os
import random
import socket
import struct
import time

from gateways import ADDRESSES, KEY, PORT

HELLO, ALIVE, ACK, MAPPINGS, CHANGES, WHOLE, WHOLE_END, BEYOND, ENDED = 1, 2, 3, 16, 17, 18, 19, 20, 22
LEASES, RULES, PORTMAPS = 21, 23, 24


def derive(direction, first=b"", second=b""):
    message = b""
    for part in (b"detnat replication\0", bytes([direction]), first, second):
        message += struct.pack(">I", len(part)) + part
    return hmac.new(KEY, message, hashlib.sha256).digest()


def group(mapping, subscriber, *records, count=None):
    return struct.pack(">HHI", mapping, len(records) if count is None else count, subscriber) + b"".join(records)


def record(key=0, out_port=0, proto=17, state=0, slot=0, flags=0):
    return struct.pack(">QHBBHH", key, out_port, proto, state, slot, flags)


def beyond(mapping, subscriber, key=0, out_port=0, proto=17, state=0, flags=0):
    return struct.pack(">QIHHBBH", key, subscriber, mapping, out_port, proto, state, flags)


def ended(mapping, subscriber, key=0, out_port=0, slot=0, number=0, proto=6, turn=0):
    return struct.pack(">QIHHHHHBB", key, subscriber, mapping, out_port, slot, number, 0, proto, turn)


def wide(mapping, first, count):
    return struct.pack(">HHII", mapping, 0, first, count)


class Liar:
    def __init__(self, gateways):
        self.gateways = gateways
        self.socket = None
        # Its gateway's table is learnt by taking its connection.
        with gateways.b.gateway.enter():
            self.listener = socket.create_server((ADDRESSES[1], PORT))
        self.listener.settimeout(20)
        self.table = self._learn()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self.listener.close()

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    @staticmethod
    def _exactly(s, n):
        data = b""
        while len(data) < n:
            piece = s.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def _frame(self, s):
        header = self._exactly(s, 16)
        length, kind, flags, _, _ = struct.unpack(">IBBHQ", header)
        payload = self._exactly(s, length)
        self._exactly(s, 32)
        return kind, flags, payload

    def hello(self, address):
        return struct.pack(">I16sIHHIQ", self.version, os.urandom(16), int(ipaddress.ip_address(address)), PORT, 0, 1000, 1)

    @staticmethod
    def frame(key, sequence, kind, payload, length=None):
        data = struct.pack(">IBBHQ", len(payload) if length is None else length, kind, 0x80, 0, sequence) + payload
        return data + hmac.new(key, data, hashlib.sha256).digest()

    def _learn(self):
        s, _ = self.listener.accept()
        s.settimeout(20)
        with s:
            _, _, theirs = self._frame(s)
            (self.version,) = struct.unpack(">I", theirs[:4])
            ours = self.hello(ADDRESSES[1])
            s.sendall(self.frame(derive(2, theirs, ours), 0, HELLO, ours))
            while True:
                kind, _, payload = self._frame(s)
                if kind == MAPPINGS:
                    return payload

    def _dial(self):
        self.close()
        with self.gateways.b.gateway.enter():
            self.socket = socket.socket()
        self.socket.bind((ADDRESSES[1], 0))
        self.socket.settimeout(20)
        self.socket.connect((ADDRESSES[0], PORT))

    def connect(self, record=None):
        """Says hello; what it sends from then on is added to a record."""
        self._dial()
        ours = self.hello(ADDRESSES[1])
        self.record = [] if record is None else record
        self._write(self.frame(derive(0), 0, HELLO, ours))
        _, _, theirs = self._frame(self.socket)
        self.key = derive(1, ours, theirs)
        self.sequence = 0

    def replay(self, record):
        self._dial()
        self.record = []
        for data in record:
            self._write(data)

    def _write(self, data):
        self.record.append(data)
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send(self, kind, payload=b"", length=None, skip=0):
        self.sequence += skip
        self._write(self.frame(self.key, self.sequence, kind, payload, length))
        self.sequence += 1

    def alive(self, ahead=0):
        """ahead: seconds by which its clock differs."""
        self.send(ALIVE, struct.pack(">QQQ", 1, 1, int((time.time() + ahead) * 1000)))

    def is_closed(self):
        """Reads up to an acknowledgement, or the end."""
        try:
            while True:
                kind, _, _ = self._frame(self.socket)
                if kind == ACK:
                    return False
        except (EOFError, ConnectionResetError):
            return True

    @property
    def table_frame(self):
        return MAPPINGS, self.table

    @property
    def mapping(self):
        return struct.unpack(">H", self.table[:2])[0]

    def lies(self):
        m, table = self.mapping, (MAPPINGS, self.table)
        yield [(MAPPINGS, self.table + self.table)]
        yield [(MAPPINGS, self.table[:-1])]
        yield [(MAPPINGS, b"\xff\xff" + self.table[2:])]
        yield [(MAPPINGS, self.table + b"\0\x09" + self.table[2:])]
        yield [(HELLO, self.hello(ADDRESSES[1]))]
        yield [(ACK, bytes(40))]
        yield [(BEYOND, bytes(41))]
        yield [table, (BEYOND, beyond(0xFFFF, 0))]
        yield [table, (BEYOND, beyond(m, 1 << 14) + beyond(m, 0))]
        yield [table, (ENDED, bytes(25))]
        yield [table, (ENDED, ended(0xFFFF, 0))]
        yield [table, (ENDED, ended(m, 1 << 14))]
        yield [table, (ENDED, ended(m, 0, slot=0xFFFF))]
        yield [table, (ENDED, ended(m, 0, turn=16))]
        yield [(WHOLE_END, b"x")]
        yield [table, (LEASES, bytes(103))]
        yield [(RULES, b"")]
        yield [(RULES, struct.pack(">II", 0, 1025) + bytes(48))]
        yield [(RULES, struct.pack(">II", 0, 1) + bytes(47))]
        yield [(PORTMAPS, struct.pack(">II", 2, 1))]
        yield [(PORTMAPS, struct.pack(">II", 0, 1) + bytes(32))]
        yield [(ALIVE, b"")]
        yield [(200, b"")]
        yield [table, (CHANGES, group(m, 1 << 14, record(state=3)))]
        yield [table, (CHANGES, group(m, 0xFFFFFFFF, record(state=3)))]
        yield [table, (CHANGES, group(0xFFFF, 0, record(state=3)))]
        yield [table, (CHANGES, group(m, 0, record(slot=0xFFFF)))]
        yield [table, (CHANGES, group(m, 0, record(), count=2))]
        yield [table, (CHANGES, group(m, 0, record(), count=0xFFFF))]
        yield [table, (WHOLE, wide(m, 0, 0xFFFFFFFF))]
        yield [table, (WHOLE, wide(m, 0xFFFFFFFF, 2))]
        yield [table, (WHOLE, wide(m, 0, 10) + group(m, 10, record(1, 1, 17, 3)))]
        yield [table, (WHOLE, wide(m, 0, 10) + group(m, 5) + group(m, 5))]
        yield [table, (WHOLE, wide(m, 0, 10) + group(m, 5) + group(m, 4))]
        yield [table, (WHOLE, wide(m, 0, 10) + group(m, 5, *[record()] * 4000))]
        yield [table, (WHOLE, b"")]

    def flood(self, n):
        """Frames of sessions at random, in ranges that overlap, and endings of what there never was."""
        dice = random.Random(7)
        m = self.mapping
        self.send(MAPPINGS, self.table)
        for _ in range(n):
            records = [record(dice.getrandbits(64), 1024 + dice.randrange(0, 64512), dice.choice((1, 6, 17, 47)), dice.randrange(0, 256) if
                              dice.random() < 0.2 else dice.randrange(0, 8), dice.randrange(0, 8), dice.getrandbits(16)) for _ in range(8)]
            self.send(BEYOND, b"".join(beyond(m, dice.randrange(0, 50), dice.getrandbits(8), 1024 + dice.randrange(0, 64512),
                                              dice.choice((1, 6, 17)), dice.randrange(0, 10), dice.randrange(0, 2)) for _ in range(100)))
            if dice.random() < 0.5:
                first = dice.randrange(0, 16000)
                self.send(WHOLE, wide(m, first, 200) + group(m, first, *records) + group(m, first + 199, *records))
            else:
                self.send(CHANGES, b"".join(group(m, dice.randrange(0, 16384), *records) for _ in range(200)))
            self.send(ENDED, b"".join(ended(m, dice.randrange(0, 16384), dice.getrandbits(64), 1024 + dice.randrange(0, 64512), dice.randrange(0, 8),
                                            dice.getrandbits(13), dice.choice((0, 1, 6, 17)), dice.randrange(0, 16)) for _ in range(100)))
            if dice.random() < 0.1:
                self.send(MAPPINGS, dice.choice((self.table, b"")))
                self.send(MAPPINGS, self.table)
