# SPDX-License-Identifier: BSD-2-Clause
"""The datapath's copy of the kernel's routes against the kernel's own answers: no packet goes where the kernel no longer sends it."""

import json
import random
import signal
import statistics
import time

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether

from agent import wait_for
from isolation import one_core
from lab import ROUTER, ROUTER_MAC

OTHER, OTHER_MAC = "198.51.100.253", "02:00:00:00:02:fd"
THIRD, THIRD_MAC = "198.51.100.252", "02:00:00:00:02:fc"
MAC_OF = {ROUTER: ROUTER_MAC, OTHER: OTHER_MAC, THIRD: THIRD_MAC}
FAR = "203.0.113.77"

# Changes are followed within this time. A busy machine may delay the agent and the test, so the median counts.
FOLLOWED = 0.1
# And after this one the lease of an agent that is not heard of has ended, and what was cached by destination.
AT_MOST = 3.0

# Packets in a row that go where the kernel says, before a change counts as followed.
IN_A_ROW = 3


@pytest.fixture
def followed(lab):
    """
    A lab with three routers outside, a running agent whose copy is in force, and probes from a host to FAR. They are sent on one
    core: without the copy, each core keeps its own next hop of FAR for up to a second.
    """
    lab.gateway.batch(*(f"neigh replace {router} lladdr {mac} dev out0 nud permanent" for router, mac in MAC_OF.items()))
    lab.start()
    wait_for(lambda: lab.agent.ctl("status")["routes"]["in_force"], what="the copy to come into force")
    with one_core():
        yield Probes(lab)


class Probes:
    """Packets of one session, numbered, so that each is known by its time when it arrives."""

    def __init__(self, lab):
        self.lab = lab
        self.host = lab.host()
        self.sent = []

    def send(self):
        """The MAC address that a packet leaves to; None if it does not leave."""
        number = len(self.sent)
        packet = self.lab.from_inside(self.host, UDP(sport=5000, dport=53) / number.to_bytes(4, "big"), FAR)
        self.sent.append(time.monotonic())
        self.lab.inside.send(packet)
        end = time.monotonic() + 0.1
        while (frame := self.lab.outside.receive(max(end - time.monotonic(), 0))) is not None:
            if frame[42:46] == number.to_bytes(4, "big"):
                return Ether(frame).dst
        return None

    def kernel(self):
        """The same by the kernel's routes."""
        answer = self.lab.gateway.ip("-j", "route", "get", FAR, "from", self.host.addr, "iif", "in0", check=False)
        route = json.loads(answer)[0] if answer.strip() else {}
        return MAC_OF.get(route.get("gateway")) if route.get("type", "unicast") == "unicast" else None

    def late(self, since, what, timeout=10.0):
        """Time after `since` at which the last packet was sent that left to another next hop than the kernel's; 0: none was."""
        wanted, wrong, right = self.kernel(), 0.0, 0
        while right < IN_A_ROW:
            went = self.send()
            right = right + 1 if went == wanted else 0
            if went not in (wanted, None):
                wrong = self.sent[-1] - since
            assert time.monotonic() < since + timeout, f"{what}: went to {went}, the kernel sends to {wanted}"
        return wrong


def changes(generator):
    """Random changes of routes that FAR has, or could have; long prefixes do not stay for long, as they hide the others."""
    prefixes = ("default", "203.0.0.0/9", "203.0.113.0/24", "203.0.113.0/24", "203.0.113.76/31", f"{FAR}/32")
    ways = [f"via {router}" for router in MAC_OF] * 4 + [
        "nhid 1", "nhid 2", "nhid 3", f"via {OTHER} mtu 1400", f"via {OTHER} mtu lock 1400", f"via {THIRD} dev out0 onlink",
        f"nexthop via {OTHER} nexthop via {OTHER} weight 2"]
    while True:
        prefix, metric, way = generator.choice(prefixes), generator.randrange(3), generator.choice(ways)
        kind = generator.choice(("blackhole", "unreachable", "prohibit", "throw"))
        verb = generator.choice(("add", "replace", "replace", "change", "append", "prepend"))
        yield generator.choice((
            *(f"route {verb} {prefix} {way} metric {metric}",) * 4, f"route {verb} {kind} {prefix} metric {metric}",
            f"route del {prefix} metric {metric}", *(f"route flush exact {prefix}",) * 2, f"route flush exact {FAR}/32",
            "route flush exact 203.0.113.76/31",
            f"nexthop replace id {generator.randrange(1, 4)} via {generator.choice(list(MAC_OF))} dev out0",
            f"nexthop {generator.choice(('del', 'add'))} id {generator.randrange(1, 4)} blackhole"))


def test_packets_go_where_the_kernel_sends_them(followed):
    """After each of many changes, refused ones included."""
    late, ways = [], [ROUTER_MAC]
    followed.lab.gateway.batch(*(f"nexthop add id {number} via {router} dev out0" for number, router in enumerate(MAC_OF, 1)))
    for number, change in zip(range(200), changes(random.Random(11))):
        followed.lab.gateway.ip(*change.split(), check=False)
        begin = time.monotonic()
        ways.append(followed.kernel())
        late.append(followed.late(begin, f"{number}: {change}"))
    moved = sum(before != after for before, after in zip(ways, ways[1:]))
    assert moved > 10 and set(ways) == {None, *MAC_OF.values()}
    print(f"{len(late)} changes, {moved} of them of the next hop; packets still left by the one before after {sum(time > 0 for time in late)}, "
          f"{statistics.quantiles(late, n=20)[-1]:.4f} s later (19 of 20), {max(late):.3f} s at most; {len(followed.sent)} packets")
    assert statistics.median(late) < FOLLOWED and max(late) < AT_MOST, late


def test_an_agent_that_was_stopped_reads_all_before_it_vouches_again(followed):
    """The kernel is asked while it is stopped, and then at once the routes of now are used."""
    gateway = followed.lab.gateway
    assert followed.send() == ROUTER_MAC
    followed.lab.agent.process.send_signal(signal.SIGSTOP)
    try:
        stopped = time.monotonic()
        gateway.batch(*(f"route add 192.128.{n >> 8}.{n & 255} via {OTHER}" for n in range(3000)), f"route replace default via {OTHER}")
        late = followed.late(stopped, "stopped")
        assert late < AT_MOST
    finally:
        followed.lab.agent.process.send_signal(signal.SIGCONT)
    end = time.monotonic() + 1
    went = set()
    while time.monotonic() < end:
        went.add(followed.send())
    assert went == {OTHER_MAC}
    wait_for(lambda: followed.lab.agent.ctl("status")["routes"]["routes"] > 3000, what="all of them to be read")
    print(f"the last packet by the route before was sent {late:.2f} s after the agent was stopped")


def test_a_hundred_thousand_changes_at_once(followed):
    """More than the agent's socket holds: what was lost is read again, and the kernel is asked meanwhile."""
    gateway = followed.lab.gateway
    late = []
    for verb, router in (("add", OTHER), ("del", THIRD)):
        begin = time.monotonic()
        gateway.batch(f"route replace default via {ROUTER}",
                      *(f"route {verb} 10.{64 + (n >> 16)}.{n >> 8 & 255}.{n & 255} via {OTHER}" for n in range(100_000)),
                      f"route replace default via {router}")
        took = time.monotonic() - begin
        late.append(followed.late(time.monotonic(), verb))
        wait_for(lambda: followed.lab.agent.ctl("status")["routes"]["in_force"], 30, what="the copy to be in force again")
        assert followed.late(time.monotonic(), f"{verb}, in force again") == 0
        print(f"100,000 times {verb} in {took:.1f} s; the last packet by the route before {late[-1]:.3f} s later")
    assert max(late) < AT_MOST, late
    assert followed.lab.agent.ctl("status")["routes"]["routes"] < 100


def test_interfaces_that_go_and_come_again(followed):
    """Down, up, without a carrier, without an address, and deleted and made anew under the same name."""
    gateway = followed.lab.gateway
    gateway.batch("link add out1 type veth peer name far1", "link set out1 up", "link set far1 up", "addr add 192.0.2.1/24 dev out1")

    def again():
        gateway.ip("neigh", "replace", "192.0.2.2", "lladdr", OTHER_MAC, "dev", "out1", "nud", "permanent")
        gateway.ip("route", "replace", "203.0.113.0/24", "via", "192.0.2.2")

    for go, come in (("link set out1 down", "link set out1 up"), ("link set far1 down", "link set far1 up"),
                     ("addr flush dev out1", "addr add 192.0.2.1/24 dev out1"),
                     ("link del out1", "link add out1 type veth peer name far1"), ("link set out1 mtu 68", "link set out1 mtu 1500")):
        again()
        followed.late(time.monotonic(), f"before {go}")
        gateway.batch(go)
        assert followed.late(time.monotonic(), go) < AT_MOST
        gateway.batch(come)
        if go.startswith("link del"):
            gateway.batch("link set out1 up", "link set far1 up", "addr add 192.0.2.1/24 dev out1")
        assert followed.late(time.monotonic(), come) < AT_MOST
