# SPDX-License-Identifier: BSD-2-Clause
"""Senders that offload checksums and segmentation, as containers and VMs do: two kernels, offloads on."""

import errno
import socket
import struct
import threading

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether

import agent
import lab as lab_module
import packets
from lab import GATEWAY_IN, SERVER, block_of

SUBSCRIBER = "10.0.0.2"
SOL_UDP, UDP_SEGMENT = 17, 103
IP_RECVERR = 11
IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE = 63, 64
RTM_NEWLINK = 16


def with_real_hosts(lab, gro="on"):
    """Subscriber and server are real kernels, and every interface has its offloads on."""
    for ns, name in ((lab.gateway, "in0"), (lab.gateway, "out0"), (lab.inside_ns, "eth0"), (lab.outside_ns, "eth0")):
        ns.run("ethtool", "-K", name, "tx", "on", "tso", "on", "gso", "on", "gro", gro, "sg", "on")
    lab.inside_ns.batch(f"addr add {SUBSCRIBER}/16 dev eth0", f"route add default via {GATEWAY_IN}")
    lab.outside_ns.batch(f"link set eth0 address {lab_module.SERVER_MAC}", f"addr add {SERVER}/24 dev eth0",
                         f"route add 1.1.1.0/30 via {lab_module.GATEWAY_OUT}")
    return lab


@pytest.fixture
def real_hosts_lab(lab):
    return with_real_hosts(lab)


def refused(kind, payload, segment):
    """The error that a socket of the subscriber gets for a session beyond its quota."""
    with socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(20)
        # Otherwise UDP would not report a transient error.
        s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        if segment:
            s.setsockopt(SOL_UDP, UDP_SEGMENT, segment)
        try:
            s.connect((SERVER, 54))
            s.send(payload)
            s.recv(1)
        except OSError as e:
            return errno.errorcode.get(e.errno, type(e).__name__)
    return "an answer"


@pytest.mark.parametrize("kind, payload, segment", [(socket.SOCK_DGRAM, b"x" * 19, 0), (socket.SOCK_DGRAM, b"x" * 1400, 0),
                                                    (socket.SOCK_DGRAM, b"x" * 4000, 1000), (socket.SOCK_DGRAM, b"x" * 60, 20),
                                                    (socket.SOCK_STREAM, b"x", 0)],
                         ids=["udp", "long-udp", "udp-segments", "short-udp-segments", "tcp"])
@pytest.mark.parametrize("tx", ["on", "off"])
def test_a_refusal_reaches_the_socket_of_a_sender_with_transmit_offload(real_hosts_lab, tx, kind, payload, segment):
    real_hosts_lab.gateway.run("ethtool", "-K", "in0", "tx", tx)
    real_hosts_lab.start(forwarding="kernel", sessions_per_user=1)
    with real_hosts_lab.inside_ns.enter():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
            first.connect((SERVER, 53))
            first.send(b"the only session")
        agent.wait_for(lambda: real_hosts_lab.agent.counters()["sessions_opened"] == 1, what="a session")
        real_hosts_lab.inside.clear()
        assert refused(kind, payload, segment) == "EHOSTUNREACH"
    error = real_hosts_lab.inside.packet()
    assert (error[IP].src, error[IP].dst, error[ICMP].type, error[ICMP].code) == (GATEWAY_IN, SUBSCRIBER, 3, 1)
    packets.assert_checksums(error)
    # The quote is the packet that the card would have sent first, including its checksum.
    quote = packets.quote_of(error)
    whole = IP(quote)
    assert whole.len == 28 + (segment or len(payload)) or kind == socket.SOCK_STREAM
    if len(quote) == whole.len:
        again = whole.copy()
        del again.chksum, again.payload.chksum
        assert bytes(again) == quote
    assert real_hosts_lab.agent.counters()["sent_icmp_unreachable"] >= 1


def set_big(ns, name, size):
    """Allows segments of this many octets, more than an IPv4 header can express (BIG TCP)."""
    with ns.enter(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as s:
        attributes = b"".join(struct.pack("HHI", 8, a, size) for a in (IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE))
        body = struct.pack("BxHiII", 0, 0, socket.if_nametoindex(name), 0, 0) + attributes
        s.send(struct.pack("IHHII", 16 + len(body), RTM_NEWLINK, 5, 1, 0) + body)
        return struct.unpack_from("i", s.recv(1000), 16)[0]


def test_big_tcp_passes(real_hosts_lab):
    lab = real_hosts_lab
    for ns, name in ((lab.gateway, "in0"), (lab.gateway, "out0"), (lab.inside_ns, "eth0"), (lab.outside_ns, "eth0")):
        if set_big(ns, name, 180000):
            pytest.skip("this kernel has no BIG TCP for IPv4")
    real_hosts_lab.start(forwarding="kernel", xdp_mode="native")
    total, got = 32 << 20, 0
    with real_hosts_lab.outside_ns.enter():
        listener = socket.create_server((SERVER, 5001))
    with real_hosts_lab.inside_ns.enter():
        client = socket.create_connection((SERVER, 5001), 5)
    server, _ = listener.accept()
    server.settimeout(10)
    sender = threading.Thread(target=client.sendall, args=(b"x" * total,), daemon=True)
    sender.start()
    while got < total:
        got += len(server.recv(1 << 20))
    sender.join(5)
    counters = real_hosts_lab.agent.counters()
    assert counters["drop_malformed"] == 0
    # The longest were longer than 65535 octets: few packets carried it all.
    assert total / counters["in2out_translated"] > 30000, counters


# A veth takes frames of 4 octets more than its MTU, for a tag.
@pytest.mark.parametrize("size", [1253, 1256])
def test_a_hairpin_longer_than_the_mtu_arrives_in_fragments(lab, mode, size):
    a, b = lab.host(), lab.host()
    lab.gateway.ip("link", "set", "in0", "mtu", "1280")
    lab.start(**mode)
    out_a, out_b = block_of(a.addr).first_choice(7000), block_of(b.addr).first_choice(8000)
    packet = lab.from_inside(a, UDP(sport=7000, dport=out_b[1]) / bytes(i & 255 for i in range(size)), dst=out_b[0], id=77)
    with lab.counting(drop_no_session=1):
        lab.inside.send(lab.from_inside(b, UDP(sport=8000, dport=out_a[1]), dst=out_a[0]))
    with lab.counting(hairpin_translated=1):
        lab.inside.send(packet)
    came = [lab.inside.packet(), lab.inside.packet()]
    wanted = packets.translated(packet, (lab_module.IN_MAC, b.mac), src=out_a, dst=(b.addr, 8000))
    for fragment in came:
        packets.assert_checksums(Ether(bytes(fragment)[:14 + fragment[IP].len])) if fragment[IP].frag else None
        assert (fragment.src, fragment.dst, fragment[IP].len <= 1280) == (lab_module.IN_MAC, b.mac, True)
    came.sort(key=lambda f: f[IP].frag)
    assert [(f[IP].frag * 8, f[IP].flags.MF) for f in came] == [(0, True), (1256, False)]
    assert b"".join(bytes(f)[34:14 + f[IP].len] for f in came) == bytes(wanted[IP])[20:]
    assert (came[0][IP].src, came[0][IP].dst, came[0][IP].id, came[0][IP].ttl) == (out_a[0], b.addr, 77, 63)
    lab.inside.assert_silent()


def test_a_hairpin_through_an_ipv6_next_hop(lab):
    """The receiver is behind a kernel known only by its link-local address."""
    a, b = lab.host(), lab.host()
    for ns, name in ((lab.gateway, "in0"), (lab.inside_ns, "eth0")):
        ns.sysctl(f"net.ipv6.conf.{name}.accept_dad", 0)
        ns.sysctl("net.ipv6.conf.all.disable_ipv6", 0)
        ns.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", 0)
    lab.inside_ns.ip("addr", "add", "fe80::5/64", "dev", "eth0", "nodad")
    lab.gateway.ip("route", "add", f"{b.addr}/32", "via", "inet6", "fe80::5", "dev", "in0")
    lab.start()
    out_a, out_b = block_of(a.addr).first_choice(7000), block_of(b.addr).first_choice(8000)
    packet = lab.from_inside(a, UDP(sport=7000, dport=out_b[1]) / b"data", dst=out_b[0])
    lab.inside.send(lab.from_inside(b, UDP(sport=8000, dport=out_a[1]), dst=out_a[0]))

    def arrived():
        lab.inside.send(packet)
        return lab.agent.counters()["hairpin_translated"]

    agent.wait_for(arrived, what="the next hop to be resolved")
