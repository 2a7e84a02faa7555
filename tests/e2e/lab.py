# SPDX-License-Identifier: BSD-2-Clause
"""A gateway between subscribers and an internet, and packets through it.

    inside (scapy hosts) -- in0 [ gateway ] out0 -- outside (scapy hosts)
    10.0.0.0/16             10.0.0.1        198.51.100.1/24      a router at .254 is the way to everywhere else

Hosts exist as static neighbours of the gateway only: a test is all of them, by a raw socket at each wire.
"""

import contextlib
import dataclasses
import ipaddress
import itertools

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether

import agent
import netns
import packets
import wire

IN_MAC = "02:00:00:00:01:01"
OUT_MAC = "02:00:00:00:02:01"
SERVER_MAC = "02:00:00:00:02:07"
ROUTER_MAC = "02:00:00:00:02:fe"
GATEWAY_IN = "10.0.0.1"
GATEWAY_OUT = "198.51.100.1"
SERVER = "198.51.100.7"
ROUTER = "198.51.100.254"

MAPPING = {"in": "10.0.0.0/18", "out": "1.1.1.0/30"}

# Counters of events in the datapath that are not exits of a packet.
INCIDENTS = {"sessions_opened", "sessions_overflowed", "sessions_inbound", "icmp_withheld", "fragments_parked", "events_lost",
             "redirect_errors", "redirect_unresolved", "portmap_in", "portmap_out"}

_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Host:
    addr: str
    mac: str


@dataclasses.dataclass(frozen=True)
class Block:
    """A subscriber's outside address and ports, by the arithmetic of RFC 7422."""

    addr: str
    lo: int
    ports: int

    @property
    def hi(self):
        return self.lo + self.ports - 1

    def first_choice(self, port):
        return self.addr, self.lo + port % self.ports


def block_of(addr, mapping=MAPPING):
    inside, outside = ipaddress.ip_network(mapping["in"]), ipaddress.ip_network(mapping["out"])
    ratio = 2 ** (outside.prefixlen - inside.prefixlen)
    ports = 64512 // ratio
    i = int(ipaddress.ip_address(addr)) - int(inside.network_address)
    return Block(str(outside.network_address + i // ratio), 1024 + ports * (i % ratio), ports)


class Lab:
    """The topology, and the agent once start() was called."""

    def __init__(self, run_directory, **defaults):
        """`defaults`: keys of the configuration for tests that do not set them."""
        self.defaults = defaults
        number = next(_numbers)
        self.directory = run_directory / str(number)
        self.directory.mkdir()
        self.gateway = netns.Namespace(f"dn{number}-gw")
        self.inside_ns = netns.Namespace(f"dn{number}-in")
        self.outside_ns = netns.Namespace(f"dn{number}-out")
        netns.connect(self.inside_ns, "eth0", self.gateway, "in0", IN_MAC)
        netns.connect(self.outside_ns, "eth0", self.gateway, "out0", OUT_MAC)
        self.gateway.sysctl("net.ipv4.ip_forward", 1)
        self.gateway.batch(f"addr add {GATEWAY_IN}/16 dev in0", f"addr add {GATEWAY_OUT}/24 dev out0")
        self.reach_outside()
        self.inside = wire.Wire(self.inside_ns, "eth0")
        self.outside = wire.Wire(self.outside_ns, "eth0")
        self.agent = None
        self._agents = 0
        self._cleanups = contextlib.ExitStack()
        self._host_numbers = itertools.count(10)

    def close(self):
        try:
            self._cleanups.close()
            if self.agent:
                self.agent.check()
                self.agent.dispose()
        finally:
            self.inside.close()
            self.outside.close()
            for namespace in (self.gateway, self.inside_ns, self.outside_ns):
                namespace.delete()

    def reach_outside(self):
        """The route and the neighbours of the outside, which go when its link goes down."""
        self.gateway.batch(
            f"route replace default via {ROUTER}",
            f"neigh replace {SERVER} lladdr {SERVER_MAC} dev out0 nud permanent",
            f"neigh replace {ROUTER} lladdr {ROUTER_MAC} dev out0 nud permanent",
        )

    def at_end(self, function, *arguments):
        """Calls the function when the lab closes, before the agent ends."""
        self._cleanups.callback(function, *arguments)

    # ---- the agent

    def prepare(self, **config):
        """Makes an agent with a configuration, without starting it."""
        assert self.agent is None
        if "tenants" not in config:
            config.setdefault("interfaces", {"inside": ["in0"], "outside": ["out0"]})
        config.setdefault("mappings", [MAPPING])
        config = {**self.defaults, **config}
        self._agents += 1
        self.agent = agent.Agent(self.gateway, self.directory / f"agent{self._agents}", config)
        return self.agent

    def start(self, **config):
        return self.prepare(**config).start()

    def start_without_owner(self, **config):
        """The same with a guard's table without an owner, as on kernels before 6.9: other programs can change it."""
        it = self.prepare(**config)
        self.gateway.run("nft", "-f", "-", input=it.unowned_guard())
        return it.start()

    # ---- hosts

    def host(self, addr=None):
        """An inside host; without `addr` one that no other test of this lab has used."""
        if addr is None:
            addr = str(ipaddress.ip_address("10.0.0.0") + next(self._host_numbers))
        number = int(ipaddress.ip_address(addr)) & 0xFFFFFF
        mac = f"02:00:01:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        self.gateway.ip("neigh", "replace", addr, "lladdr", mac, "dev", "in0", "nud", "permanent")
        return Host(addr, mac)

    # ---- packets

    @staticmethod
    def from_inside(host, payload, dst=SERVER, **ip):
        """A packet from an inside host to an outside address."""
        return packets.rebuilt(Ether(src=host.mac, dst=IN_MAC) / IP(src=host.addr, dst=dst, **ip) / payload)

    @staticmethod
    def from_outside(dst, payload, src=SERVER, **ip):
        """A packet from an outside host to an address behind the gateway."""
        mac = SERVER_MAC if src == SERVER else ROUTER_MAC
        return packets.rebuilt(Ether(src=mac, dst=OUT_MAC) / IP(src=src, dst=dst, **ip) / payload)

    def going_out(self, packet, src):
        """A packet from inside as it must leave, with the outside address and port `src`."""
        return packets.translated(packet, (OUT_MAC, SERVER_MAC if packet[IP].dst == SERVER else ROUTER_MAC), src=src)

    def coming_in(self, packet, host, port):
        """A packet from outside in a session of the host, as it must arrive there."""
        return packets.translated(packet, (IN_MAC, host.mac), dst=(host.addr, port))

    def send_out(self, packet, src):
        """Sends a packet from inside and expects it outside, translated to `src`; returns it."""
        wanted = self.going_out(packet, src)
        self.inside.send(packet)
        self.outside.expect(wanted)
        return wanted

    def send_in(self, packet, host, port):
        """Sends a packet from outside and expects it inside, translated."""
        wanted = self.coming_in(packet, host, port)
        self.outside.send(packet)
        self.inside.expect(wanted)
        return wanted

    def open_udp(self, host, port=5000, dst=SERVER, dport=53, mapping=MAPPING):
        """Opens a UDP session; returns its outside endpoint."""
        src = block_of(host.addr, mapping).first_choice(port)
        self.send_out(self.from_inside(host, UDP(sport=port, dport=dport) / b"query", dst), src)
        return src

    def refuse(self, host, packets):
        """Fills a quota of 2, then sends packets that are refused."""
        for port in (1000, 1001):
            self.open_udp(host, port)
        with self.counting(drop_quota=packets, sent_icmp_unreachable=None):
            self.inside.send(*(self.from_inside(host, UDP(sport=2000, dport=53)) for _ in range(packets)))
        self.inside.drain()

    def tcp_out(self, host, src, flags, port=5000, dport=80, dst=SERVER, **tcp):
        """Sends a TCP segment from inside and expects it outside."""
        self.send_out(self.from_inside(host, TCP(sport=port, dport=dport, flags=flags, **tcp), dst), src)

    def tcp_in(self, host, src, flags, port=5000, dport=80, dst=SERVER, **tcp):
        """Sends a TCP segment from outside and expects it inside."""
        self.send_in(self.from_outside(src[0], TCP(sport=dport, dport=src[1], flags=flags, **tcp), dst), host, port)

    def handshake(self, host, port=5000, dport=80, dst=SERVER, mapping=MAPPING):
        """Opens a TCP connection from inside; returns its outside endpoint."""
        src = block_of(host.addr, mapping).first_choice(port)
        self.tcp_out(host, src, "S", port, dport, dst, seq=100)
        self.tcp_in(host, src, "SA", port, dport, dst, seq=500, ack=101)
        self.tcp_out(host, src, "A", port, dport, dst, seq=101, ack=501)
        return src

    def ping(self, host, ident=77, dst=SERVER, mapping=MAPPING):
        """Opens an echo session; returns its outside address and identifier."""
        src = block_of(host.addr, mapping).first_choice(ident)
        self.send_out(self.from_inside(host, ICMP(type=8, id=ident, seq=1) / b"ping", dst), src)
        return src

    def settle(self):
        """Waits until the agent has processed earlier changes of interfaces and routes."""
        # It reads them at the latest in the round of its event loop that serves the first request; the second comes after that.
        for _ in range(2):
            self.agent.ctl("status")

    # ---- sessions and counters

    def sessions(self, *arguments):
        return self.agent.ctl("session", "list", *arguments)

    def session(self, host, *arguments):
        """The only session of the host."""
        sessions = self.sessions(host.addr, *arguments)
        assert len(sessions) == 1, sessions
        return sessions[0]

    def state(self, host):
        return self.session(host, "--all")["state"]

    @contextlib.contextmanager
    def counting(self, **expected):
        """Packets sent in the block raise these counters by exactly this much (None: by any amount), and nothing else is dropped."""
        before = self.agent.counters()
        yield

        def difference():
            after = self.agent.counters()
            return {n: after[n] - before[n] for n in after if after[n] != before[n]}

        wanted = {n: c for n, c in expected.items() if c is not None}

        def settled():
            found = difference()
            return all(found.get(n, 0) >= c for n, c in wanted.items())

        try:
            agent.wait_for(settled, wire.PATIENCE, "counters")
        except AssertionError:
            raise AssertionError(f"counted {difference()} where {wanted} was due") from None
        found = {n: c for n, c in difference().items()
                 if n in wanted or (n not in expected and (n.startswith(("drop_", "sent_")) or n == "no_program"))}
        assert found == {n: c for n, c in wanted.items() if c}, f"counted {found} where {wanted} was due"
