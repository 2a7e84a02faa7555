# SPDX-License-Identifier: BSD-2-Clause
"""The very same walk of packets through XDP and through tc that sends: what comes out of both is equal, octet for octet."""

import collections
import contextlib
import os
import struct
import time

import pytest

import netns
import packet_walk
from agent import wait_for
from captures import Capture
from frames import ICMP, checksum
from isolation import one_core
from lab import GATEWAY_OUT, ROUTER, SERVER, Lab
from wire import ETH_ARP, PATIENCE, describe
from xdp_mode import xdp_only

pytestmark = xdp_only
BATCH = 64


class Gateway:
    """A lab for the walk, with captures at both ends."""

    def __init__(self, run_directory, mode):
        self.mode = mode
        self.lab = it = Lab(run_directory, stages=1)
        try:
            self.prepare(it)
            it.start(xdp_mode=mode, interfaces={"inside": ["in0", "in1"], "outside": ["out0"]}, mappings=packet_walk.MAPPINGS,
                     portmaps=packet_walk.PORTMAPS, unsolicited_tcp="answer", tcp_mss_clamp="mtu", fragments={"timeout": 5})
            self.ends = [Capture(*place) for place in ((it.inside_ns, "eth0"), (it.inside_ns, "eth1"), (it.outside_ns, "eth0"))]
        except BaseException:
            it.close()
            raise
        self.came = [[], [], []]

    @staticmethod
    def prepare(it):
        mtu = packet_walk.ROUTE_MTU
        for name, value in (("icmp_ratelimit", 0), ("icmp_msgs_per_sec", 10**6), ("icmp_msgs_burst", 10**6)):
            with contextlib.suppress(FileNotFoundError, PermissionError):
                it.gateway.sysctl(f"net.ipv4.{name}", value)
        netns.connect(it.inside_ns, "eth1", it.gateway, "in1", packet_walk.SECOND_MAC)
        it.gateway.batch("addr add 10.5.0.1/24 dev in1", f"link set in1 mtu {packet_walk.SECOND_MTU}",
                         f"link set out0 mtu {packet_walk.OUT_MTU}",
                         f"neigh replace {packet_walk.HOP} lladdr {packet_walk.HOP_MAC} dev in0 nud permanent",
                         *(f"route add 10.0.{third}.0/20 via {packet_walk.HOP} mtu lock {mtu}" for third in (16, 32)),
                         f"route add 192.0.2.0/24 via {ROUTER} mtu lock {mtu}")
        it.outside_ns.ip("link", "set", "eth0", "mtu", packet_walk.OUT_MTU)
        it.inside_ns.ip("link", "set", "eth1", "mtu", packet_walk.SECOND_MTU)
        # The kernel's redirects, of hosts that send to each other straight, are limited by time.
        for name in ("all", "in0", "in1", "out0"):
            it.gateway.sysctl(f"net.ipv4.conf.{name}.send_redirects", 0)
        near = [*packet_walk.NEAR, *(f"10.0.64.{n}" for n in range(1, 255)), *(f"10.0.66.{n}" for n in range(1, 15)), "10.0.67.1",
                *(f"10.0.68.{n}" for n in range(4))]
        hosts = [(addr, "in0") for addr in near] + [(addr, "in1") for addr in packet_walk.ON_SECOND]
        hosts += [(f"198.51.100.{n}", "out0") for n in range(254) if f"198.51.100.{n}" not in (GATEWAY_OUT, SERVER)]
        it.gateway.batch(*(f"neigh replace {addr} lladdr {packet_walk.mac_of(packet_walk.number(addr)).hex(':')} dev {link} nud permanent"
                           for addr, link in hosts))

    def close(self):
        try:
            for end in getattr(self, "ends", ()):
                end.close()
        finally:
            self.lab.close()

    def send(self, batch):
        for wire, frame in batch:
            self.ends[wire].send(frame)

    def receive(self):
        for came, end in zip(self.came, self.ends):
            came += [comparable(frame.octets) for frame in end.frames() if frame.octets[12:14] != ETH_ARP]


def comparable(octets):
    """
    A frame but for what may lawfully differ:
    - the identifier of packets that the gateway's kernel makes itself, which it draws by a secret of its own;
    - what stands behind the packet in a frame of up to 60 octets, to which each card fills it up: XDP answers in the frame that came, and
      leaves it 60 octets of that.
    """
    if octets[12:14] == b"\x81\x00":
        return octets[:16] + comparable(octets[:12] + octets[16:])[12:]
    if octets[12:14] != b"\x08\x00" or len(octets) < 34:
        return octets
    if len(octets) <= 60:
        octets = octets[:14 + struct.unpack_from("!H", octets, 16)[0]]
    if octets[23] != ICMP or struct.unpack_from("!I", octets, 26)[0] not in packet_walk.GATEWAYS:
        return octets
    head = octets[:18] + bytes(2) + octets[20:24] + bytes(2) + octets[26:34]
    return head[:24] + struct.pack("!H", checksum(head[14:])) + head[26:] + octets[34:]


def flow_of(octets):
    """
    Frames of one flow keep their order. What the agent sends comes by itself: fragments, and at tc answers, which have the TTL that
    the walk's packets had before, are flows of their own.
    """
    at = 18 if octets[12:14] == b"\x81\x00" else 14
    fragment = struct.unpack_from("!H", octets, at + 6)[0] & 0x3FFF if len(octets) >= at + 8 else 0
    return octets[:at], octets[at + 8:at + 10], octets[at + 12:at + (20 if fragment else 24)], octets[at + 4:at + 8] if fragment else b""


def of_flows(came):
    found = collections.defaultdict(list)
    for octets in came:
        found[flow_of(octets)].append(octets)
    return found


def lost_and_found(one, other):
    shown = []
    for mine, theirs in ((one, other), (other, one)):
        for place, here, there in zip(("in0", "in1", "out0"), mine.came, theirs.came):
            more = collections.Counter(here) - collections.Counter(there)
            shown += [f"{place}, only by {mine.mode}: {describe(frame)}" for frame in list(more)[:4]]
    return shown


def walk(gateways, packets, seed):
    """Sends the walk through both; returns how many frames came out."""
    made = packet_walk.Walk(seed)
    total = [0, 0, 0]
    sent = 0
    while sent < packets:
        batch = made.batch(BATCH)
        with one_core():
            for gateway in gateways:
                gateway.send(batch)
        end = time.monotonic() + PATIENCE
        while True:
            for gateway in gateways:
                gateway.receive()
            wrong = lost_and_found(*gateways)
            if not wrong:
                break
            assert time.monotonic() < end, f"seed {seed}, behind {sent} packets:\n" + "\n".join(wrong)
            time.sleep(0.001)
        for end in range(3):
            one, other = (of_flows(gateway.came[end]) for gateway in gateways)
            moved = [describe(octets) for flow in one if one[flow] != other[flow] for octets in one[flow][:4]]
            assert not moved, f"seed {seed}, behind {sent} packets, another order:\n" + "\n".join(moved)
            total[end] += len(gateways[0].came[end])
        for octets in gateways[0].came[packet_walk.OUT]:
            made.saw(octets)
        made.forget()
        sent += len(batch)
        for gateway in gateways:
            gateway.came = [[], [], []]
    return total


@pytest.fixture(scope="module")
def gateways(run_directory):
    with contextlib.ExitStack() as opened:
        made = []
        for mode in ("native", "tc"):
            made.append(Gateway(run_directory, mode))
            opened.callback(made[-1].close)
        yield made


def counted(gateway):
    """
    All but what the kernel sends: ARP, and at tc the agent's answers, which pass the program at the egress. And but fragments
    that wait for a first one that never comes: each is dropped when its time is over, be it behind the walk.
    """
    return {name: n for name, n in gateway.lab.agent.counters().items() if name not in ("passed_untranslated", "drop_fragment")}


def expect_equal_counters(gateways):
    """Some are still counted: SYNs that nobody has answered have their time."""
    differ = {}

    def equal():
        one, other = map(counted, gateways)
        differ.clear()
        differ.update({name: (one.get(name), other.get(name)) for name in one | other if one.get(name) != other.get(name)})
        return not differ

    with contextlib.suppress(AssertionError):
        wait_for(equal, what="equal counters")
    assert not differ, differ


def compare(gateways, packets, seed):
    came = walk(gateways, packets, seed)
    assert sum(came) > packets * 2 // 3, came
    expect_equal_counters(gateways)
    return came


def test_what_comes_out_of_a_walk_is_equal(gateways):
    compare(gateways, 3000, 1)


@pytest.mark.long
def test_what_comes_out_of_a_walk_of_100000_packets_is_equal(gateways):
    compare(gateways, int(os.environ.get("WALK_PACKETS", 10**5)), int(os.environ.get("WALK_SEED", 2)))
