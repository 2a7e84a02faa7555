# SPDX-License-Identifier: BSD-2-Clause
"""Subscribers, servers and strangers: one thread that sends what is due, answers what comes, and notes all that was seen.

A flow is one inside endpoint towards one external endpoint. Its packets carry its sender's inside address and port and the
time of sending; a server answers each, with the inside endpoint that the answer is meant for.
"""

import collections
import contextlib
import dataclasses
import heapq
import os
import select
import threading
import time

import frames
from frames import ACK, DOWN, FIN, FORGED, ICMP, LAST, RST, STRAIGHT, STRANGER, SYN, TCP, UDP, UP, mark

MOST_SEEN = 400_000  # packets that wait for the oracles
PACE = 1500  # packets a second at most
LATE = 0.7  # seconds after its time, at which a packet shows that the machine is too slow


@dataclasses.dataclass(eq=False)
class Flow:
    ident: int
    proto: int
    host: int
    port: int
    ext: int
    eport: int
    interval: float = 0.5
    left: int = -1  # packets to send; -1: without end
    end: str = "none"  # how it ends: none, fin, rst
    size: int = 0  # octets of payload beyond the mark
    pieces: tuple = ()  # sizes of fragments
    disorder: bool = False
    kind: int = UP
    opened: int = 0
    count: int = 0
    seq: int = 1000
    state: str = "new"  # new, syn, established, ending, over
    outside: tuple = None  # the endpoint that was seen last
    last_up: int = 0  # when a packet of it was last seen outside
    last_down: int = 0  # when one of its own came back
    downs: int = 0
    cert: str = "maybe"  # yes: it must go on as it is; no: it must have ended; maybe
    since: int = 0  # of cert
    copied: set = dataclasses.field(default_factory=set)  # gateways that knew it before routes moved, or before one fell silent
    drain_end: int = 0
    reason: str = ""
    gateways: dict = dataclasses.field(default_factory=dict)  # when a packet of it was last seen at each gateway

    def key(self):
        return (frames.PROTO_NAMES[self.proto], self.host, self.port, self.ext, 0 if self.proto == ICMP else self.eport)

    def __str__(self):
        where = frames.endpoint(*self.outside) if self.outside else "nowhere yet"
        times = ", ".join(f"at gateway {number} last {at / 1e9 % 1000:.3f}" for number, at in sorted(self.gateways.items()))
        return (f"flow {self.ident}: {frames.PROTO_NAMES[self.proto]} {frames.endpoint(self.host, self.port)} to "
                f"{frames.endpoint(self.ext, self.eport)} as {where} ({self.state}, {self.cert}{' ' + self.reason if self.reason else ''} "
                f"since {self.since / 1e9 % 1000:.3f}; {times}{f', known at {sorted(self.copied)}' if self.copied else ''})")


class Traffic(threading.Thread):
    def __init__(self, gateways):
        super().__init__(daemon=True, name="traffic")
        self.gateways = gateways
        self.active_out = self.active_in = 0  # the gateway that packets go to from inside, from outside
        self.lock = threading.RLock()
        self.flows = {}
        self.due = []  # (when, sequence, call)
        self.sequence = 0
        self.outside = collections.deque()  # Seen
        self.inside = collections.deque()
        self.counts = collections.Counter()
        self.ending = threading.Event()
        self.error = None
        self.wake_read, self.wake_write = os.pipe()
        self.probes = {}  # (flow, number): arrived
        self.pcp = collections.deque()
        self.made = 0
        self.late_at = 0.0  # when packets were last sent too late
        self.mute = set()  # external addresses that do not answer

    # ---- what others ask of it

    def at(self, delay, call, *arguments):
        with self.lock:
            self.sequence += 1
            heapq.heappush(self.due, (time.monotonic() + delay, self.sequence, call, arguments))
        os.write(self.wake_write, b"x")

    def open(self, flow):
        with self.lock:
            self.flows[flow.ident] = flow
        self.at(0, self.step, flow)

    def live(self):
        with self.lock:
            return [flow for flow in self.flows.values() if flow.state != "over"]

    def end(self):
        self.ending.set()
        os.write(self.wake_write, b"x")
        self.join(10)
        os.close(self.wake_read)
        os.close(self.wake_write)

    # ---- sending

    def inside_tap(self):
        gateway = self.gateways[self.active_out]
        return gateway.taps[gateway.way_in]

    def outside_tap(self):
        gateway = self.gateways[self.active_in]
        return gateway.taps[gateway.way_out]

    def put(self, tap, octets):
        self.counts["sent"] += 1
        with contextlib.suppress(OSError):  # the link is down
            tap.socket.send(octets)

    def payload(self, flow, kind, size=None):
        return mark(kind, flow.host, flow.port, flow.ident, flow.count & 0xFFFFFFFF, time.time_ns()) + bytes(flow.size if size is None else size)

    def send_up(self, flow, kind=None, flags=ACK):
        flow.count += 1
        octets = frames.segment(flow.proto, flow.host, flow.port, flow.ext, flow.eport, self.payload(flow, kind or flow.kind), flags, flow.seq)
        flow.seq += 1
        tap = self.inside_tap()
        if flow.pieces and flow.proto == UDP:
            whole = bytearray(octets)
            stamp = mark(kind or flow.kind, flow.host, flow.port, flow.ident, flow.count & 0xFFFFFFFF, time.time_ns())
            at = 0
            for size in flow.pieces[:-1]:
                at += size
                whole[at: at + len(stamp)] = stamp
            # Each piece names its sender; no checksum, as the marks came after it was made.
            whole[6:8] = b"\0\0"
            pieces = frames.fragments(tap.macs, flow.host, flow.ext, UDP, bytes(whole), flow.count * 7 + flow.ident & 0xFFFF, flow.pieces)
            if flow.disorder:
                pieces.reverse()
            for piece in pieces:
                self.put(tap, piece)
            return
        self.put(tap, frames.frame(tap.macs, flow.host, flow.ext, flow.proto, octets, flow.count & 0xFFFF))

    def step(self, flow):
        """A packet of the flow is due."""
        if flow.state == "over" or self.ending.is_set():
            return
        if not flow.left:
            self.finish(flow)
            return
        flow.left -= flow.left > 0
        if flow.proto == TCP and flow.state in ("new", "syn"):
            flow.state = "syn"
            self.send_up(flow, flags=SYN)
        else:
            if flow.state == "new":
                flow.state = "established"
            self.send_up(flow)
        self.at(flow.interval, self.step, flow)

    def finish(self, flow):
        if flow.state == "over":
            return
        if flow.proto == TCP and flow.end == "fin" and flow.state == "established":
            flow.state = "ending"
            self.send_up(flow, flags=FIN | ACK)
            self.at(1.0, self.finish_again, flow, 3)
            return
        if flow.proto == TCP and flow.end == "rst":
            self.send_up(flow, LAST, RST | ACK)
            flow.cert, flow.reason = "maybe", "reset"
        flow.state = "over"

    def finish_again(self, flow, left):
        """The FIN was not answered yet: once more."""
        if flow.state == "ending" and left:
            self.send_up(flow, flags=FIN | ACK)
            self.at(1.0, self.finish_again, flow, left - 1)
        elif flow.state == "ending":
            flow.state, flow.cert, flow.reason = "over", "maybe", "FIN without an answer"

    def stop_flow(self, flow, how="none"):
        flow.end, flow.left = how, 0
        self.finish(flow)

    def probe(self, flow, count):
        """A server sends by itself into a flow; probes[(flow, count)] is when it came."""
        tap = self.outside_tap()
        addr, port = flow.outside
        payload = mark(DOWN, flow.host, flow.port, flow.ident, count, time.time_ns())
        octets = frames.segment(flow.proto, flow.ext, flow.eport, addr, port, payload, ACK, 5000 + count, reply=True)
        self.put(tap, frames.frame(tap.macs, flow.ext, addr, flow.proto, octets))

    def stranger(self, src, sport, dst, dport, proto=UDP, flags=SYN):
        tap = self.outside_tap()
        payload = mark(STRANGER, dst, dport, 0, 0, time.time_ns())
        self.put(tap, frames.frame(tap.macs, src, dst, proto, frames.segment(proto, src, sport, dst, dport, payload, flags)))

    def straight(self, src, dst):
        tap = self.outside_tap()
        payload = mark(STRAIGHT, dst, 5000, 0, 0, time.time_ns())
        self.put(tap, frames.frame(tap.macs, src, dst, UDP, frames.segment(UDP, src, 53, dst, 5000, payload)))

    def forged(self, host, src, sport, dst, dport, proto=UDP):
        tap = self.inside_tap()
        payload = mark(FORGED, host, sport, 0, 0, time.time_ns())
        self.put(tap, frames.frame(tap.macs, src, dst, proto, frames.segment(proto, src, sport, dst, dport, payload)))

    def icmp_error(self, flow, kind, code):
        """A router outside reports about a packet of the flow, quoting what it saw."""
        tap = self.outside_tap()
        addr, port = flow.outside
        inner = frames.segment(flow.proto, addr, port, flow.ext, flow.eport, mark(UP, flow.host, flow.port, flow.ident, 0, time.time_ns()), ACK)
        quoted = frames.frame(b"", addr, flow.ext, flow.proto, inner)[2:]
        self.put(tap, frames.icmp_error(tap.macs, frames.number("198.51.100.250"), addr, kind, code, quoted))

    def raw_inside(self, octets):
        self.put(self.inside_tap(), octets)

    # ---- what comes

    def came_outside(self, seen, tap):
        self.counts["outside"] += 1
        if len(self.outside) < MOST_SEEN:
            self.outside.append(seen)
        else:
            self.counts["not looked at"] += 1
        if seen.kind not in (UP, LAST) or seen.offset or seen.error:
            return
        flow = self.flows.get(seen.flow)

        if seen.kind == LAST or seen.flags & RST and seen.proto == TCP or seen.dst in self.mute:
            return
        payload = mark(DOWN, seen.host, seen.port, seen.flow, seen.number, time.time_ns())
        flags = {SYN: SYN | ACK, FIN | ACK: FIN | ACK}.get(seen.flags, ACK)
        octets = frames.segment(seen.proto, seen.dst, seen.dport if seen.proto != ICMP else 0, seen.src, seen.sport, payload, flags,
                                seen.number + 9, seen.number, reply=True)
        back = self.outside_tap()
        if flow and flow.pieces:
            octets = frames.segment(UDP, seen.dst, seen.dport, seen.src, seen.sport, payload + bytes(flow.size))
            for piece in frames.fragments(back.macs, seen.dst, seen.src, UDP, octets, seen.number & 0xFFFF, flow.pieces):
                self.put(back, piece)
            return
        self.put(back, frames.frame(back.macs, seen.dst, seen.src, seen.proto, octets, seen.number & 0xFFFF))

    def came_inside(self, seen, tap, octets):
        self.counts["inside"] += 1
        if seen.proto == UDP and seen.sport == 5351:
            self.pcp.append((seen.at, seen.dst, seen.dport, octets[42:]))
            return
        if len(self.inside) < MOST_SEEN:
            self.inside.append(seen)
        if seen.kind != DOWN or seen.error:
            return
        flow = self.flows.get(seen.flow)
        if not flow or seen.dst != flow.host:
            return
        flow.last_down, flow.downs = seen.at, flow.downs + 1
        if (seen.flow, seen.number) in self.probes:
            self.probes[seen.flow, seen.number] = seen.at
        if flow.proto != TCP:
            return
        if seen.flags & SYN and flow.state == "syn":
            flow.state = "established"
            self.send_up(flow)
        elif seen.flags & FIN and flow.state == "ending":
            self.send_up(flow, LAST)
            flow.state, flow.cert, flow.reason = "over", "maybe", "closed"

    # ---- the thread

    def run(self):
        try:
            self._run()
        except Exception as error:  # the world must not go on without traffic
            self.error = error
            raise

    def _run(self):
        poll = select.epoll()
        taps = {tap.socket.fileno(): tap for gateway in self.gateways for tap in gateway.taps.values()}
        for fd in (*taps, self.wake_read):
            poll.register(fd, select.EPOLLIN)
        budget, last = 100.0, time.monotonic()
        while not self.ending.is_set():
            now = time.monotonic()
            budget = min(budget + (now - last) * PACE, 200.0)
            last = now
            while budget >= 1:
                with self.lock:
                    if not self.due or self.due[0][0] > now:
                        break
                    when, _, call, arguments = heapq.heappop(self.due)
                if now - when > LATE:
                    self.late_at = now
                call(*arguments)
                budget -= 1
            with self.lock:
                wait = self.due[0][0] - now if self.due else 1.0
            for fd, _ in poll.poll(min(max(wait, 0.002), 0.5)):
                tap = taps.get(fd)
                if tap is None:
                    os.read(self.wake_read, 4096)
                    continue
                for seen, octets in tap.frames():
                    if tap.label.startswith("out"):
                        self.came_outside(seen, tap)
                    else:
                        self.came_inside(seen, tap, octets)
        poll.close()
