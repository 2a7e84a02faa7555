# SPDX-License-Identifier: BSD-2-Clause
"""The lab with IPv6-only subscribers: delegated prefixes behind a router inside, which reach IPv4 by a NAT64 prefix."""

import ipaddress

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether

import wire
from lab import IN_MAC, OUT_MAC, SERVER, SERVER_MAC, Lab, block_of

PREFIX = "64:ff9b::"
MAPPING64 = {"in": "2001:db8:4000::/48", "subscriber_plen": 56, "out": "1.1.1.0/30", "nat64_prefix": PREFIX + "/96"}
# The options of a command that adds such a mapping.
ADD = ("--subscriber-plen", "56", "--nat64-prefix", MAPPING64["nat64_prefix"])
CPE = "fe80::c"
CPE_MAC = "02:00:00:00:01:0c"
GATEWAY6 = "2001:db8:ff::1"
ETH_IPV6 = b"\x86\xdd"
# The same arithmetic for addresses of IPv4: subscriber number n is 10.0.0.n.
LIKE = {"in": "10.0.0.0/24", "out": MAPPING64["out"]}


def host(subscriber, suffix=1):
    """An address of a subscriber's prefix."""
    return str(ipaddress.ip_address(0x20010DB84000 << 80 | subscriber << 72 | suffix))


def subscriber_prefix(subscriber):
    return f"{ipaddress.ip_address(0x20010DB84000 << 80 | subscriber << 72)}/56"


def block(subscriber):
    return block_of(f"10.0.0.{subscriber}", LIKE)


def is_own(frame):
    """Whether it is one that the kernel sends by itself: of multicast, or of neighbour discovery."""
    return frame[38] == 0xFF or (frame[20] == 58 and 130 <= frame[54] <= 143)


def embedded(addr):
    """An IPv4 address in the NAT64 prefix."""
    return str(ipaddress.ip_address(int(ipaddress.ip_address(PREFIX)) | int(ipaddress.ip_address(addr))))


def stop_and_start(lab):
    lab.agent.stop()
    lab.agent.start()


def kill_and_start(lab):
    lab.agent.kill()
    lab.agent.start()


class Lab64(Lab):
    def __init__(self, run_directory, **defaults):
        super().__init__(run_directory, **defaults)
        for device in ("all", "default", "in0", "out0"):
            self.gateway.sysctl(f"net.ipv6.conf.{device}.disable_ipv6", 0)
        self.gateway.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.gateway.batch(f"addr add {GATEWAY6}/64 dev in0 nodad")
        self.lead_inside()

    def lead_inside(self):
        self.gateway.batch(
            f"route replace {MAPPING64['in']} via {CPE} dev in0",
            f"neigh replace {CPE} lladdr {CPE_MAC} dev in0 nud permanent",
        )

    def prepare(self, **config):
        config.setdefault("mappings", [MAPPING64])
        return super().prepare(**config)

    # ---- packets

    @staticmethod
    def out6(src, payload, dst=SERVER, **fields):
        """A packet from a host to an IPv4 address."""
        return Ether(bytes(Ether(src=CPE_MAC, dst=IN_MAC) / IPv6(src=src, dst=embedded(dst), **{"hlim": 64, **fields}) / payload))

    @staticmethod
    def as4(packet, src):
        """What a packet from a host must be outside, but for the identification where it may be cut."""
        packet = Ether(bytes(packet))
        six, payload = packet[IPv6], packet[IPv6].payload.copy()
        addr = str(ipaddress.IPv4Address(int(ipaddress.ip_address(six.dst)) & 0xFFFFFFFF))
        if isinstance(payload, (ICMPv6EchoRequest, ICMPv6EchoReply)):
            kind = 8 if isinstance(payload, ICMPv6EchoRequest) else 0
            payload = ICMP(type=kind, id=src[1], seq=payload.seq) / payload.data
        else:
            payload.sport = src[1]
            payload.chksum = None
        length = 20 + len(bytes(payload))
        flags = "DF" if length > 1260 else 0
        return Ether(bytes(Ether(src=OUT_MAC, dst=SERVER_MAC) /
                           IP(src=src[0], dst=addr, ttl=six.hlim - 1, tos=six.tc, flags=flags, id=0) / payload))

    @staticmethod
    def as6(packet, dst, port):
        """What a packet from outside must be for a host's port."""
        packet = Ether(bytes(packet))
        four, payload = packet[IP], packet[IP].payload.copy()
        if isinstance(payload, ICMP):
            kind = ICMPv6EchoReply if payload.type == 0 else ICMPv6EchoRequest
            payload = kind(id=port, seq=payload.seq, data=bytes(payload.payload))
        else:
            payload.dport = port
            payload.chksum = None
        return Ether(bytes(Ether(src=IN_MAC, dst=CPE_MAC) /
                           IPv6(src=embedded(four.src), dst=dst, hlim=four.ttl - 1, tc=four.tos) / payload))

    def expect4(self, wanted):
        """The next IPv4 frame outside is this one; an identification may be any."""
        frame = self.outside.receive()
        assert frame is not None, f"nothing came instead of {wire.describe(bytes(wanted))}"
        came = Ether(frame)
        if not came[IP].flags.DF:
            wanted = wanted.copy()
            wanted[IP].id = came[IP].id
            wanted[IP].chksum = None
        assert frame == bytes(wanted), f"\n came   {wire.describe(frame)}\n wanted {wire.describe(bytes(wanted))}"

    def expect6(self, *expected):
        for wanted in map(bytes, expected):
            while True:
                frame = self.inside.receive(kinds=(ETH_IPV6,))
                assert frame is not None, f"nothing came instead of {wire.describe(wanted)}"
                if not is_own(frame):
                    break
            assert frame == wanted, f"\n came   {wire.describe(frame)}\n wanted {wire.describe(wanted)}"

    def send6(self, packet, src):
        """Sends a packet of a host and expects it outside, from there."""
        self.inside.send(packet)
        self.expect4(self.as4(packet, src))

    def send4(self, packet, dst, port):
        """Sends a packet from outside and expects it at a host."""
        self.outside.send(packet)
        self.expect6(self.as6(packet, dst, port))

    def silent6(self):
        while (frame := self.inside.receive(timeout=0, kinds=(ETH_IPV6,))) is not None:
            assert is_own(frame), wire.describe(frame)

    def open6(self, src, port=5000, dport=53, subscriber=0, outside=None):
        """Opens a UDP session of a host; its outside endpoint."""
        outside = outside or block(subscriber).first_choice(port)
        self.send6(self.out6(src, UDP(sport=port, dport=dport) / b"query"), outside)
        return outside

    def answer6(self, outside, dst, port=5000, dport=53):
        self.send4(self.from_outside(outside[0], UDP(sport=dport, dport=outside[1]) / b"answer"), dst, port)
