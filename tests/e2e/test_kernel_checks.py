# SPDX-License-Identifier: BSD-2-Clause
"""XDP forwards nothing that the kernel would refuse: the table of docs/internals/ARCHITECTURE.md, row by row.

The same packets go through two gateways that differ in `forwarding` alone; what comes out at every wire is the same, octet by
octet, and is what the row says.
"""

import contextlib
import dataclasses
import time

import agent as agent_module
import netns
import pytest
import wire
from lab import GATEWAY_IN, IN_MAC, OUT_MAC, ROUTER, ROUTER_MAC, SERVER, SERVER_MAC, Lab
from scapy.layers.inet import ICMP, IP, UDP, IPOption_LSRR
from scapy.layers.l2 import Ether
from xdp_mode import NONE, xdp_only

IN1_MAC = "02:00:00:00:01:02"
HOST, HOST_MAC = "10.0.0.10", "02:00:01:00:00:0a"
BEHIND_IN1 = "10.0.32.5"
FAR = "192.0.2.9"

# Marks are sent before and after and always pass: when a mark arrives, no earlier packet is in flight.
MARK_HOST, MARK_MAC = "10.0.0.250", "02:00:01:00:00:fa"
MARK_SERVER, MARK_SERVER_MAC = "198.51.100.77", "02:00:00:00:02:77"


class Gateway:
    """A lab with a second inside interface, whose agent runs."""

    def __init__(self, run_directory, forwarding):
        self.lab = Lab(run_directory)
        self.forwarding = forwarding
        gateway = self.lab.gateway
        self.inside1_ns = netns.Namespace(gateway.name.replace("gw", "i2"))
        self.lab.at_end(self.inside1_ns.delete)
        netns.connect(self.inside1_ns, "eth0", gateway, "in1", IN1_MAC)
        gateway.batch(
            "addr add 10.0.32.1/24 dev in1",
            f"neigh add {BEHIND_IN1} lladdr 02:00:01:00:32:05 dev in1 nud permanent",
            f"neigh add {HOST} lladdr {HOST_MAC} dev in0 nud permanent",
            f"neigh add {MARK_HOST} lladdr {MARK_MAC} dev in0 nud permanent",
            f"neigh add {MARK_SERVER} lladdr {MARK_SERVER_MAC} dev out0 nud permanent",
        )
        for name in ("all", "in0", "in1", "out0"):
            gateway.sysctl(f"net.ipv4.conf.{name}.rp_filter", 0)
            gateway.sysctl(f"net.ipv4.conf.{name}.send_redirects", 0)
        # So that a rate limit suppresses no answer.
        gateway.sysctl("net.ipv4.icmp_ratelimit", 0)
        self.lab.start(forwarding=forwarding, unmatched="route", interfaces={"inside": ["in0", "in1"], "outside": ["out0"]})
        self.wires = {"in0": self.lab.inside, "in1": wire.Wire(self.inside1_ns, "eth0"), "out0": self.lab.outside}
        self.lab.at_end(self.wires["in1"].close)

    def at_rest(self):
        """Waits until nothing of an earlier row is left: XDP forwards again, in the mode in which it does."""
        def is_at_rest():
            before = self.lab.agent.counters()["passed_untranslated"]
            self.fate("in0", [out()])
            return self.forwarding == "kernel" or NONE or self.lab.agent.counters()["passed_untranslated"] == before

        agent_module.wait_for(is_at_rest, agent_module.START_PATIENCE, "the rest after a row", interval=0.05)

    def fate(self, name, packets):
        """The packets that leave at each wire when these packets arrive at one."""
        for w in self.wires.values():
            w.clear()
        self.wires[name].send(*packets)
        # Marks in both directions: once they are out, what was sent before them is decided.
        mark = Ether(src=MARK_MAC, dst=IN_MAC) / IP(src=MARK_HOST, dst=MARK_SERVER) / UDP(sport=7, dport=7) / b"mark"
        self.wires["in0"].send(mark)
        came = {n: [] for n in self.wires}
        end = time.monotonic() + agent_module.PATIENCE
        while True:
            assert time.monotonic() < end, "the mark did not come out"
            frame = self.wires["out0"].receive(0.2)
            if frame is not None and frame.endswith(b"mark"):
                break
            came["out0"] += [frame] if frame else []
        for n, w in self.wires.items():
            came[n] += w.drain()
        return {n: sorted(map(settled, frames)) for n, frames in came.items() if frames}


def settled(frame):
    """A frame without what the kernel draws at random: the identification of its own messages, of precedence 6."""
    packet = Ether(frame)
    if packet.haslayer(ICMP) and packet[IP].tos & 0xC0 == 0xC0:
        packet[IP].id = packet[IP].chksum = 0
        return bytes(packet)
    return frame


@pytest.fixture(scope="module")
def gateway_of_each_mode(run_directory):
    with contextlib.ExitStack() as stack:
        both = []
        for forwarding in ("redirect", "kernel"):
            both.append(Gateway(run_directory, forwarding))
            stack.callback(both[-1].lab.close)
        yield both


def out(src=HOST, dst=SERVER, mac=HOST_MAC, to=IN_MAC, size=20, **ip):
    return Ether(src=mac, dst=to) / IP(src=src, dst=dst, **ip) / UDP(sport=5000, dport=53) / (b"x" * size)


def back(src=SERVER, size=20, **ip):
    """A packet from outside in the session that out() opens for HOST."""
    import lab

    addr, port = lab.block_of(HOST).first_choice(5000)
    mac = SERVER_MAC if src == SERVER else ROUTER_MAC
    return Ether(src=mac, dst=OUT_MAC) / IP(src=src, dst=addr, **ip) / UDP(sport=53, dport=port) / (b"y" * size)


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    packets: list
    comes: dict  # by wire: a list of (source, type of ICMP or None)
    by: str = "in0"
    setup: tuple = ()  # arguments of `ip`
    undo: tuple = ()
    sysctls: dict = dataclasses.field(default_factory=dict)


POOL = "1.1.1.0"
OUTSIDE = {"out0": [(POOL, None)]}
NOTHING = {}


def unreachable(code):
    return {"in0": [(GATEWAY_IN, (3, code))]}


def filters(value):
    return {"in0.rp_filter": value, "in1.rp_filter": value}


ROWS = [
    Row("nothing is wrong", [out()], OUTSIDE),
    Row("nothing is wrong, way in", [out(), back()], {"out0": [(POOL, None)], "in0": [(SERVER, None)]}, by="both"),
    # ip_rcv
    Row("a length beyond the frame", [out(len=400)], NOTHING),
    Row("another version", [out(version=5)], NOTHING),
    Row("a frame to all", [out(to="ff:ff:ff:ff:ff:ff")], NOTHING),
    Row("a frame to many", [out(to="01:00:5e:00:00:01")], NOTHING),
    Row("a frame to another station", [out(to="02:00:00:00:09:09")], NOTHING),
    Row("a source route", [out(options=IPOption_LSRR(routers=["198.51.100.9"]))], NOTHING),
    # ip_route_input
    *(Row(f"source {a}", [out(a)], NOTHING) for a in ("0.0.0.1", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255")),
    *(Row(f"destination {a}", [out(dst=a)], NOTHING) for a in ("0.0.0.1", "127.0.0.9", "224.0.0.9", "240.0.0.1", "255.255.255.255")),
    Row("a link-local source", [out("169.254.7.7")], NOTHING),
    Row("a link-local destination", [out(dst="169.254.7.7")], NOTHING),
    Row("a link-local source, way in", [back("169.254.7.7")], NOTHING, by="out0"),
    Row("the gateway's own address as source", [out(GATEWAY_IN)], NOTHING),
    Row("another of its own", [out("10.0.32.1")], NOTHING),
    Row("one that is its own since a moment ago", [out("10.0.0.99")], NOTHING,
        setup=(("addr", "add", "10.0.0.99/32", "dev", "lo"),), undo=(("addr", "del", "10.0.0.99/32", "dev", "lo"),)),
    Row("its own address, accepted elsewhere", [out(GATEWAY_IN)], NOTHING, sysctls={"in0.accept_local": 1}),
    Row("rp_filter 0: another interface's source", [out(BEHIND_IN1)], {"out0": [("1.1.1.2", None)]}, sysctls=filters(0)),
    Row("rp_filter 1: another interface's source", [out(BEHIND_IN1)], NOTHING, sysctls=filters(1)),
    Row("rp_filter 1: its own interface's source", [out()], OUTSIDE, sysctls=filters(1)),
    Row("rp_filter 2: another interface's source", [out(BEHIND_IN1)], {"out0": [("1.1.1.2", None)]}, sysctls=filters(2)),
    Row("rp_filter 1 of all interfaces", [out(BEHIND_IN1)], NOTHING, sysctls={"all.rp_filter": 1}),
    Row("rp_filter 2: the source of a blackhole", [out("10.0.0.66")], NOTHING, sysctls=filters(2),
        setup=(("route", "add", "blackhole", "10.0.0.66"),), undo=(("route", "del", "blackhole", "10.0.0.66"),)),
    Row("rp_filter 1: the broadcast address of a network", [out("10.0.32.255")], NOTHING, sysctls=filters(1)),
    *(Row(f"a route of type {kind}", [out(dst=FAR)], comes, setup=(("route", "add", kind, FAR),),
          undo=(("route", "del", kind, FAR),))
      for kind, comes in (("blackhole", NOTHING), ("unreachable", unreachable(1)), ("prohibit", unreachable(13)))),
    *(Row(f"a rule by source: {kind}", [out()], comes, setup=(("rule", "add", "from", HOST, kind, "pref", "100"),),
          undo=(("rule", "del", "pref", "100"),))
      for kind, comes in (("blackhole", NOTHING), ("prohibit", unreachable(13)))),
    Row("a rule by interface", [out()], unreachable(13), setup=(("rule", "add", "iif", "in0", "to", SERVER, "prohibit", "pref",
                                                                 "100"),), undo=(("rule", "del", "pref", "100"),)),
    Row("a rule by destination port", [out()], unreachable(13),
        setup=(("rule", "add", "ipproto", "udp", "dport", "53", "prohibit", "pref", "100"),), undo=(("rule", "del", "pref", "100"),)),
    Row("a rule by source, way in", [back()], {"out0": [("198.51.100.1", (3, 13))]}, by="out0",
        setup=(("rule", "add", "from", SERVER, "to", HOST, "prohibit", "pref", "100"),), undo=(("rule", "del", "pref", "100"),)),
    Row("a route of a TOS", [out(dst=FAR, tos=0x10)], unreachable(13),
        setup=(("route", "add", "prohibit", FAR, "tos", "0x10"),), undo=(("route", "del", "prohibit", FAR, "tos", "0x10"),)),
    Row("no route inside", [back()], {"out0": [("198.51.100.1", (3, 0))]}, by="out0",
        setup=(("route", "del", "10.0.0.0/16", "dev", "in0"), ("route", "add", f"{MARK_HOST}/32", "dev", "in0")),
        undo=(("route", "del", f"{MARK_HOST}/32", "dev", "in0"),
              ("route", "add", "10.0.0.0/16", "dev", "in0", "proto", "kernel", "scope", "link", "src", GATEWAY_IN))),
    # ip_forward
    Row("forwarding off", [out("10.0.32.6", mac="02:00:01:00:32:06", to=IN1_MAC)], NOTHING, by="in1", sysctls={"in1.forwarding": 0}),
    Row("a TTL of 1", [out(ttl=1)], {"in0": [(GATEWAY_IN, (11, 0))]}),
    Row("longer than the MTU", [out(size=1400, flags="DF")], {"in0": [(GATEWAY_IN, (3, 4))]},
        setup=(("link", "set", "out0", "mtu", "1400"),), undo=(("link", "set", "out0", "mtu", "1500"),)),
    *(Row(f"longer than the {lock}MTU of its route", [out(dst=FAR, size=1400, flags="DF")], {"in0": [(GATEWAY_IN, (3, 4))]},
          setup=(("route", "add", FAR, "via", ROUTER, "mtu", *words, "1400"),), undo=(("route", "del", FAR),))
      for lock, words in (("", ()), ("locked ", ("lock",)))),
    Row("longer than the MTU of its route, to be cut", [out(dst=FAR, size=1400)], {"out0": [(POOL, None)] * 2},
        setup=(("route", "add", FAR, "via", ROUTER, "mtu", "1400"),), undo=(("route", "del", FAR),)),
    Row("longer than the MTU of its route, way in", [back(size=1400, flags="DF")], {"out0": [("198.51.100.1", (3, 4))]}, by="out0",
        setup=(("route", "add", HOST, "dev", "in0", "mtu", "1400"),), undo=(("route", "del", HOST),)),
    Row("as long as the MTU of its route, way in", [back(size=1372, flags="DF")], {"in0": [(SERVER, None)]}, by="out0",
        setup=(("route", "add", HOST, "dev", "in0", "mtu", "1400"),), undo=(("route", "del", HOST),)),
]


def summary(came):
    """The arrived packets in the terms of a row."""
    def of(frame):
        packet = Ether(frame)
        error = packet.haslayer(ICMP) and packet[ICMP].type in (3, 11)
        return packet[IP].src, (packet[ICMP].type, packet[ICMP].code) if error else None

    return {name: sorted(map(of, frames), key=str) for name, frames in came.items()}


def fate_of(gateway, row):
    if row.by != "both":
        return gateway.fate(row.by, row.packets)
    first = gateway.fate("in0", row.packets[:1])
    return {**first, **gateway.fate("out0", row.packets[1:])}


def settled_fate(gateway, row):
    """What happens to the packets once the agent has noticed the change, for which it may load programs."""
    end = time.monotonic() + agent_module.START_PATIENCE
    while True:
        fate = fate_of(gateway, row)
        if summary(fate) == row.comes or time.monotonic() > end:
            return fate
        time.sleep(0.05)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_redirect_does_what_the_kernel_does(gateway_of_each_mode, row):
    fates = []
    for gateway in gateway_of_each_mode:
        namespace = gateway.lab.gateway
        gateway.at_rest()
        before = {name: namespace.sysctl(f"net.ipv4.conf.{name}") for name in row.sysctls}
        try:
            for command in row.setup:
                namespace.ip(*command)
            for name, value in row.sysctls.items():
                namespace.sysctl(f"net.ipv4.conf.{name}", value)
            fates.append(settled_fate(gateway, row))
        finally:
            for name, value in before.items():
                namespace.sysctl(f"net.ipv4.conf.{name}", value)
            for command in row.undo:
                namespace.ip(*command)
            gateway.lab.settle()
    redirect, kernel = fates
    assert summary(kernel) == row.comes
    assert summary(redirect) == row.comes
    assert redirect == kernel


DROP_ALL = "add table ip f; add chain ip f c { type filter hook forward priority 0; policy drop; }"


@xdp_only
@pytest.mark.parametrize("name", ["the firewall's forward chains", "the checksum of the header"])
def test_redirect_skips_and_says_so(gateway_of_each_mode, name):
    """The rows in which XDP differs from the kernel, as documented."""
    firewall = "firewall" in name
    packet = out() if firewall else out(chksum=0x1234)
    for gateway, comes in zip(gateway_of_each_mode, (OUTSIDE, NOTHING)):
        gateway.at_rest()
        try:
            if firewall:
                gateway.lab.gateway.run("nft", DROP_ALL)
            # No mark here: the firewall would drop that of the kernel's path too.
            gateway.wires["out0"].clear()
            gateway.wires["in0"].send(packet)
            frame = gateway.wires["out0"].receive(wire.PATIENCE if comes else 0.3)
            assert bool(frame) == bool(comes)
        finally:
            if firewall:
                gateway.lab.gateway.run("nft", "delete table ip f")
