# SPDX-License-Identifier: BSD-2-Clause
"""Session events by the hundred thousand: none is lost that the ring buffer has room for, and all others are counted."""

import signal
import socket
import struct

import pytest

from agent import wait_for
from flood import Flood
from xdp_mode import xdp_only

pytestmark = xdp_only  # Flood runs the XDP program of an interface

RING = (4 << 20) // 48  # events
SO_RCVBUFFORCE = 33


class Sink:
    """A collector that receives everything first and decodes it afterwards."""

    def __init__(self, lab):
        with lab.gateway.enter():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.endpoint = "{}:{}".format(*self.socket.getsockname())
        self.records = 0
        self.reports = {}
        self.next = 0

    def read(self):
        while True:
            try:
                message = self.socket.recv(65536)
            except BlockingIOError:
                return self
            sequence, set_id = struct.unpack_from("!4xI4xH", message, 4)[0:2]
            assert sequence == self.next, f"sequence number {sequence} where {self.next} was due"
            if set_id == 258:
                self.records += (len(message) - 20) // 28
                self.next += (len(message) - 20) // 28
            elif set_id == 3:
                report = struct.unpack_from("!H", message, 20)[0]
                self.reports[report] = struct.unpack_from("!Q", message, 60 if report == 512 else 56)[0]
                self.next += 1

    def wait_for(self, n, timeout=20):
        wait_for(lambda: self.read().records >= n, timeout, f"{n} records, {self.records} came")
        assert self.records == n


@pytest.fixture
def flooded_lab(lab):
    sink = Sink(lab)
    lab.start(ipfix={"collector": sink.endpoint, "events": ["sessions"]})
    flood = Flood(lab)
    yield lab, flood, sink
    flood.close()
    sink.socket.close()


def test_a_full_ring_of_events_waits_for_a_stopped_agent(flooded_lab):
    lab, flood, sink = flooded_lab
    n = RING - 1000
    lab.agent.process.send_signal(signal.SIGSTOP)
    took = flood.send(n)
    lab.agent.process.send_signal(signal.SIGCONT)
    sink.wait_for(n + 1)
    print(f"{n} events in {took:.2f} s")
    assert lab.agent.counters()["events_lost"] == 0
    assert lab.agent.ctl("ipfix", "show")["records_lost"] == 0


def test_a_hundred_thousand_sessions_a_second(flooded_lab):
    lab, flood, sink = flooded_lab
    n = 400_000
    took = flood.send(n, rate=100_000)
    print(f"{n} events in {took:.2f} s: {n / took:.0f} a second")
    sink.wait_for(n + 1)
    assert lab.agent.counters()["events_lost"] == 0


def test_lost_events_are_counted_logged_and_reported(flooded_lab):
    lab, flood, sink = flooded_lab
    n = RING + 20_000
    lab.agent.process.send_signal(signal.SIGSTOP)
    flood.send(n)
    lab.agent.process.send_signal(signal.SIGCONT)
    lost = lab.agent.counters()["events_lost"]
    assert n - RING <= lost <= n - RING + 1000
    sink.wait_for(n + 1 - lost)
    assert lab.agent.ctl("ipfix", "show")["events_lost"] == lost
    wait_for(lambda: sink.read().reports == {512: lost, 513: lost}, what="the reports")
    wait_for(lambda: f"{lost} more events found the ring buffer full" in lab.agent.log_text(), what="the log")
