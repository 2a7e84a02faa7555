# SPDX-License-Identifier: BSD-2-Clause
"""Whatever changes, a packet leaves by an endpoint of its sender: each carries its sender's address, most are of sessions beyond the slots."""

import collections
import ipaddress
import threading
import time

import pytest
from scapy.layers.inet import UDP

from agent import wait_for
from test_pools import ADDR, PLAN

NEIGHBOUR = "10.0.32.8"
EXCEPTION = ("10.0.32.0/28", "1.1.9.0/30")
FLOWS = [(1024 + 7 * s, 50 + d) for s in range(12) for d in range(4)]
HEADERS = 42


class Crowd:
    """Sends packets of all flows of some subscribers again and again, and notes by which endpoints those of each left."""

    def __init__(self, lab, addresses):
        self.lab, self.left, self.blocks = lab, collections.Counter(), collections.defaultdict(set)
        self.hosts = [lab.host(addr) for addr in addresses]
        self.frames = [bytes(lab.from_inside(host, UDP(sport=s, dport=d) / ipaddress.ip_address(host.addr).packed))
                       for host in self.hosts for s, d in FLOWS]
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self._send, self._receive)]

    def _send(self):
        while not self.ending.is_set():
            for frame in self.frames:
                self.lab.inside.send(frame)
            time.sleep(0.002)

    def _receive(self):
        while not self.ending.is_set():
            frame = self.lab.outside.receive(timeout=0.2)
            if frame and frame[23] == 17 and len(frame) >= HEADERS + 4:
                self.left[frame[HEADERS:HEADERS + 4], frame[26:30], int.from_bytes(frame[34:36], "big")] += 1

    def note_blocks(self):
        for host in self.hosts:
            told = self.lab.agent.ctl("forward", host.addr)
            self.blocks[ipaddress.ip_address(host.addr).packed].add((ipaddress.ip_address(told["out_addr"]).packed, told["port_lo"], told["port_hi"]))

    def change(self, *words):
        """Makes a change in the middle of traffic."""
        more = self.left.total() + 3 * len(self.frames)
        wait_for(lambda: self.left.total() > more, what="traffic")
        self.note_blocks()
        self.lab.agent.ctl(*words)
        self.note_blocks()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None:
            self.change("status")
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def strays(self):
        """Packets that left by an endpoint that was never their sender's."""
        return [(str(ipaddress.ip_address(sender)), f"{ipaddress.ip_address(out)}:{port}", n) for (sender, out, port), n in self.left.items()
                if not any(out == addr and lo <= port <= hi for addr, lo, hi in self.blocks[sender])]


def drained(agent):
    return not any(m["state"] == "draining" for m in agent.ctl("mapping", "list"))


@pytest.mark.parametrize("config", [{}, {"forwarding": "kernel"}, {"mappings": [{**PLAN, "endpoint_independent": {"mapping": ["udp"]}}]}],
                         ids=["redirect", "kernel", "bound"])
def test_every_packet_leaves_by_an_endpoint_of_its_sender(lab, config):
    agent = lab.start(**{"mappings": [PLAN], "session_slots": 8, **config})
    with Crowd(lab, [ADDR, NEIGHBOUR]) as crowd:
        crowd.change("mapping", "add", *EXCEPTION)
        crowd.change("mapping", "del", *EXCEPTION)
        crowd.change("mapping", "add", *EXCEPTION, "--drain", "1")
        wait_for(lambda: drained(agent), what="the end of a drain")
        crowd.change("status")
        agent.kill()
        agent.start()
        crowd.change("mapping", "del", *EXCEPTION)
        crowd.change("user", "move", ADDR, "1.1.9.8/29", "--drain", "0")
        crowd.change("mapping", "del", f"{ADDR}/32")
        crowd.change("pool", "drain", "1.1.1.2", "--drain", "0")
        crowd.change("pool", "restore", "1.1.1.2", "--drain", "0")
    assert crowd.strays() == []
    assert agent.counters()["sessions_overflowed"] > len(FLOWS) and agent.ctl("check")["findings"] == []
