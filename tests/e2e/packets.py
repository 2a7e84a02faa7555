# SPDX-License-Identifier: BSD-2-Clause
"""What a packet must look like on the other side, built from the packet that was sent."""

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
from scapy.layers.l2 import Ether


def rebuilt(packet):
    """The same packet with lengths and checksums recomputed."""
    packet = packet.copy()
    for layer in (IP, TCP, UDP, ICMP):
        if packet.haslayer(layer):
            packet[layer].chksum = None
    return Ether(bytes(packet))


def translated(packet, macs, src=None, dst=None, ttl=-1):
    """`packet` with (address, port) replaced on one side or both, its TTL lowered and its checksums recomputed.

    macs is (source, destination) of the frame on the far side. For an ICMP query the port is the identifier. A UDP
    checksum of 0 stays 0. Addresses are enough where there is no port: src=("1.1.1.1", None).
    """
    packet = Ether(bytes(packet))
    packet.src, packet.dst = macs
    ip = packet[IP]
    ip.ttl += ttl
    ip.chksum = None
    for addr_field, port_field, new in (("src", "sport", src), ("dst", "dport", dst)):
        if new is None:
            continue
        setattr(ip, addr_field, new[0])
        if new[1] is None:
            continue
        if packet.haslayer(TCP):
            setattr(packet[TCP], port_field, new[1])
        elif packet.haslayer(UDP):
            setattr(packet[UDP], port_field, new[1])
        elif packet.haslayer(ICMP):
            packet[ICMP].id = new[1]
    if packet.haslayer(TCP):
        packet[TCP].chksum = None
    if packet.haslayer(UDP) and packet[UDP].chksum != 0:
        packet[UDP].chksum = None
    if packet.haslayer(ICMP):
        packet[ICMP].chksum = None
    return Ether(bytes(packet))


def quote_of(packet):
    """The bytes of the IP packet quoted by an ICMP error."""
    assert packet.haslayer(ICMP) and packet.haslayer(IPerror), packet.summary()
    return bytes(packet[ICMP].payload)


def assert_checksums(packet):
    """Every checksum of the outer packet is correct."""
    assert bytes(rebuilt(packet)) == bytes(packet), f"wrong checksum: {packet.show(dump=True)}"


def assert_icmp_error(packet, kind, code, src, dst, quoted):
    """A complete, correct ICMP error from src to dst that quotes the IP packet of the frame `quoted` as it was sent."""
    assert packet.haslayer(ICMP), packet.summary()
    assert (packet[ICMP].type, packet[ICMP].code) == (kind, code), packet.summary()
    assert (packet[IP].src, packet[IP].dst) == (src, dst), packet.summary()
    original = bytes(Ether(bytes(quoted))[IP])
    quote = quote_of(packet)
    assert len(quote) >= min(len(original), 28), "the quote is too short"
    assert quote == original[: len(quote)], f"quote {quote.hex()}\nsent  {original.hex()}"
    assert_checksums(packet)
    return quote
