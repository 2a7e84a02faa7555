# SPDX-License-Identifier: BSD-2-Clause
"""Downloads, uploads, idle connections and UDP flows between subscribers and a server, by the thousand: which of them go on."""

import collections
import errno
import select
import socket
import struct
import threading
import time

from agent import wait_for
from wire import SO_RCVBUFFORCE

INDEX = struct.Struct("!I")
DATA = bytes(200)
TICK = 0.05  # seconds; a watched stream sends in each
TURNS = 40  # the others send in one of so many
KINDS = ("download", "upload", "idle", "udp")
UNDER_WAY = (errno.EINPROGRESS, errno.EAGAIN)


class Stream:
    """`up` and `down` count what has arrived, in octets; `gap` is the longest silence of what should be heard all the time."""

    def __init__(self, index, kind, client):
        self.index, self.kind, self.client, self.server, self.peer = index, kind, client, None, None
        self.up = self.down = 0
        self.last, self.gap, self.error = None, 0.0, None

    def arrived(self, way, octets):
        now = time.monotonic()
        setattr(self, way, getattr(self, way) + octets)
        if (self.kind, way) in (("download", "down"), ("upload", "up"), ("udp", "down")):
            if self.last is not None:
                self.gap = max(self.gap, now - self.last)
            self.last = now


class Streams:
    """
    `count` of each kind, from `sources` in turn to (address, port) and (address, port + 1) of a server. Of each kind `watched`
    send every TICK, so that gaps are known, the others every TURNS ticks. In a download the client sends nothing of its own.
    """

    def __init__(self, inside, outside, sources, server, count, watched=25):
        self.address, port = server
        self._poll = select.epoll()
        self._read = {}  # by descriptor
        self._ended = threading.Event()
        with outside.enter():
            self._listener = socket.create_server(server, backlog=4096)
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
            self._udp.bind((self.address, port + 1))
        self._register(self._listener, self._accept)
        self._register(self._udp, self._udp_up)
        self.streams = []
        with inside.enter():
            for n in range(count):
                for kind in KINDS:
                    self._open(kind, sources[n % len(sources)], port)
        by_kind = [[s for s in self.streams if s.kind == kind] for kind in KINDS]
        self._watched = [s for group in by_kind for s in group[:watched]]
        self._others = [s for group in by_kind for s in group[watched:]]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _register(self, it, read):
        it.setblocking(False)
        self._read[it.fileno()] = read
        self._poll.register(it.fileno(), select.EPOLLIN)

    def _open(self, kind, source, port):
        udp = kind == "udp"
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        stream = Stream(len(self.streams), kind, client)
        self.streams.append(stream)
        self._register(client, lambda: self._down(stream))
        client.bind((source, 0))
        result = client.connect_ex((self.address, port + 1 if udp else port))
        assert result == 0 or result in UNDER_WAY, (source, errno.errorcode[result])

    # ---- the thread

    def _run(self):
        due, turn = time.monotonic(), 0
        while not self._ended.is_set():
            if time.monotonic() >= due:
                for stream in (*self._watched, *self._others[turn::TURNS]):
                    self._send(stream)
                turn = (turn + 1) % TURNS
                due = max(due + TICK, time.monotonic())
            for fd, _ in self._poll.poll(max(due - time.monotonic(), 0)):
                if fd in self._read:
                    self._read[fd]()

    def _put(self, stream, it, data):
        try:
            it.send(data)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOTCONN):
                stream.error = stream.error or error

    def _send(self, stream):
        if stream.kind == "udp":
            self._put(stream, stream.client, INDEX.pack(stream.index))
            if stream.peer:
                self._udp.sendto(DATA, stream.peer)
        elif stream.server is None:
            # Once, as soon as the connection is there: the server then knows which it is.
            if not stream.peer:
                try:
                    stream.client.send(INDEX.pack(stream.index))
                    stream.peer = True
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.ENOTCONN):
                        stream.error = stream.error or error
        elif stream.kind == "download":
            self._put(stream, stream.server, DATA)
        elif stream.kind == "upload":
            self._put(stream, stream.client, DATA)

    def _take(self, stream, it, way):
        try:
            data = it.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            stream.error = stream.error or error
            return
        if data or stream.kind == "udp":
            stream.arrived(way, len(data))
            return
        stream.error = stream.error or EOFError("the connection was closed")
        self._poll.unregister(it.fileno())

    def _down(self, stream):
        self._take(stream, stream.client, "down")

    def _accept(self):
        try:
            while True:
                made, _ = self._listener.accept()
                self._register(made, lambda made=made: self._first(made))
        except BlockingIOError:
            pass

    def _first(self, made):
        try:
            data = made.recv(INDEX.size)
        except BlockingIOError:
            return
        if not data:
            self._poll.unregister(made.fileno())
            return
        stream = self.streams[INDEX.unpack(data)[0]]
        stream.server = made
        self._read[made.fileno()] = lambda: self._take(stream, made, "up")

    def _udp_up(self):
        try:
            while True:
                data, peer = self._udp.recvfrom(100)
                stream = self.streams[INDEX.unpack(data)[0]]
                assert stream.peer in (None, peer), f"a flow's outside endpoint became {peer}"
                stream.peer = peer
                stream.arrived("up", len(data))
        except BlockingIOError:
            pass
        except AssertionError as error:
            stream.error = stream.error or error

    # ---- what a test asks

    def _heard(self, stream):
        if stream.kind == "idle":
            return stream.server is not None
        return bool(stream.up if stream.kind == "upload" else stream.down)

    def wait_until_all_work(self):
        wait_for(lambda: all(map(self._heard, self.streams)), 120, "each stream to begin", 0.1)

    def forget_gaps(self):
        for stream in self.streams:
            stream.gap = 0.0

    def _counts(self, stream):
        return (stream.up, stream.down)

    def wait_until_all_go_on(self, timeout=90):
        """Waits until each stream has carried more, idle ones in both directions, the server first. Returns those that do not."""
        before = {s: self._counts(s) for s in self.streams}
        idle = [s for s in self.streams if s.kind == "idle"]
        for stream in idle:
            self._put(stream, stream.server, DATA)
        asked = set()

        def goes_on(stream):
            up, down = self._counts(stream)
            if stream.kind == "idle" and down > before[stream][1] and stream not in asked:
                asked.add(stream)
                self._put(stream, stream.client, DATA)
            more_up, more_down = up > before[stream][0], down > before[stream][1]
            return {"download": more_down, "upload": more_up}.get(stream.kind, more_up and more_down)

        waiting, end = set(self.streams), time.monotonic() + timeout
        while waiting and time.monotonic() < end:
            waiting = {s for s in waiting if not goes_on(s)}
            time.sleep(0.05)
        return waiting | {s for s in self.streams if s.error}

    def summary(self, lost):
        """A line for each kind: how many, how many lost, the longest gap of the watched ones."""
        gone = collections.Counter(s.kind for s in lost)
        gaps = {kind: max((s.gap for s in self._watched if s.kind == kind), default=0) for kind in KINDS}
        return "\n".join(f"{kind}: {sum(s.kind == kind for s in self.streams)} streams, {gone[kind]} lost"
                         + (f", longest gap {gaps[kind]:.2f} s" if kind != "idle" else "") for kind in KINDS)

    def close(self):
        self._ended.set()
        self._thread.join()
        for stream in self.streams:
            stream.client.close()
            if stream.server:
                stream.server.close()
        for it in (self._listener, self._udp, self._poll):
            it.close()
