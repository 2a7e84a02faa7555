# SPDX-License-Identifier: BSD-2-Clause
"""NAT64 of frames of several segments, with checksums that the card is to make, by tc: two kernels, offloads on."""

import os
import pathlib
import socket
import struct
import sys
import threading

import pytest

from agent import wait_for
from captures import Capture
from lab import GATEWAY_OUT, SERVER, SERVER_MAC
from lab64 import CPE_MAC, ETH_IPV6, GATEWAY6, MAPPING64, Lab64, embedded, host
from test_offload import SOL_UDP, UDP_SEGMENT
from wire import ETH_IPV4
from xdp_mode import xdp_only

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "world"))
from frames import TCP, UDP, checksum  # noqa: E402

pytestmark = xdp_only
PORT, TOTAL = 5201, 12 << 20
CHECK = {TCP: 16, UDP: 6}


@pytest.fixture(name="bulk", params=("on", "off"), ids=("checksums by the card", "checksums by the gateway"))
def _bulk(run_directory, request):
    """Subscriber and server are real kernels. With tx off the gateway's kernel makes segments and checksums, which receivers test."""
    lab = Lab64(run_directory, xdp_mode="tc")
    try:
        for ns, name in ((lab.gateway, "in0"), (lab.gateway, "out0"), (lab.inside_ns, "eth0"), (lab.outside_ns, "eth0")):
            ns.run("ethtool", "-K", name, "tx", "on", "tso", "on", "gso", "on", "gro", "on", "sg", "on")
        for device in ("all", "eth0"):
            lab.inside_ns.sysctl(f"net.ipv6.conf.{device}.disable_ipv6", 0)
        lab.inside_ns.batch(f"link set eth0 address {CPE_MAC}", f"addr add {host(3)}/128 dev eth0 nodad",
                            f"route add {GATEWAY6} dev eth0", f"route add default via {GATEWAY6} dev eth0")
        lab.outside_ns.batch(f"link set eth0 address {SERVER_MAC}", f"addr add {SERVER}/24 dev eth0",
                             f"route add {MAPPING64['out']} via {GATEWAY_OUT}")
        lab.whole = request.param == "on"
        if not lab.whole:
            for name in ("in0", "out0"):
                lab.gateway.run("ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off")
        lab.start()
        yield lab
    finally:
        lab.close()


def connected(lab):
    with lab.outside_ns.enter():
        listener = socket.create_server((SERVER, PORT))
    with lab.inside_ns.enter(), listener:
        client = socket.create_connection((embedded(SERVER), PORT), 10)
        server, _ = listener.accept()
    return client, server


def read(sock, total):
    got = bytearray()
    while len(got) < total:
        got += sock.recv(1 << 20) or pytest.fail(f"the connection ended after {len(got)} octets")
    return bytes(got)


def test_bulk_tcp_both_ways_octet_for_octet(bulk):
    up, down = os.urandom(TOTAL), os.urandom(TOTAL)
    client, server = connected(bulk)
    with client, server:
        for sock in (client, server):
            sock.settimeout(30)
        senders = [threading.Thread(target=sock.sendall, args=(data,), daemon=True) for sock, data in ((client, up), (server, down))]
        got = {}
        readers = [threading.Thread(target=lambda s=sock, k=key: got.update({k: read(s, TOTAL)}), daemon=True)
                   for key, sock in (("up", server), ("down", client))]
        for thread in senders + readers:
            thread.start()
        for thread in senders + readers:
            thread.join(60)
    assert got.get("up") == up and got.get("down") == down
    counters = bulk.agent.counters()
    assert counters["drop_too_big"] == counters["drop_malformed"] == counters["drop_error"] == 0, counters
    # Frames came through as they were: far fewer than segments.
    assert TOTAL / counters["in2out_translated"] > 2000 and TOTAL / counters["out2in_translated"] > 2000, counters


def told(frame):
    """The family, what must be the same on both sides, and whether the checksums are right."""
    octets, six = bytearray(frame.octets), frame.octets[12:14] == ETH_IPV6
    proto, at = (octets[20], 54) if six else (octets[23], 34)
    length = struct.unpack_from("!H", octets, 18)[0] if six else struct.unpack_from("!H", octets, 16)[0] - 20
    addresses = bytes(octets[22:54] if six else octets[26:34])
    pseudo, check = addresses + struct.pack("!II", length, proto), at + CHECK[proto]
    right = six or checksum(bytes(octets[14:34])) == 0
    if frame.partial:
        right &= struct.unpack_from("!H", octets, check)[0] == 0xFFFF - checksum(pseudo)
    else:
        right &= checksum(pseudo + bytes(octets[at:at + length])) == 0
    octets[at:at + 4] = bytes(4)
    octets[check:check + 2] = bytes(2)
    life = octets[21] if six else octets[22]
    tos = struct.unpack_from("!H", octets, 14)[0] >> 4 & 0xFF if six else octets[15]
    return (proto, tos, frame.gso, frame.partial, bytes(octets[at:at + length])), life, right


def wanted(frame):
    kind = frame.octets[12:14]
    return (kind == ETH_IPV6 and frame.octets[20] in CHECK) or (kind == ETH_IPV4 and frame.octets[23] in CHECK)


class Ends:
    def __init__(self, lab):
        self.ends = Capture(lab.inside_ns, "eth0", outgoing=True), Capture(lab.outside_ns, "eth0", outgoing=True)
        self.seen = [], []

    def ways(self):
        for seen, end in zip(self.seen, self.ends):
            seen += filter(wanted, end.frames())
        inside, outside = ([(f.outgoing, *told(f)) for f in seen] for seen in self.seen)
        for _, what, _, right in inside + outside:
            assert right, f"a wrong checksum: {what}"
        return [([x[1:3] for x in one if x[0]], [x[1:3] for x in other if not x[0]]) for one, other in ((inside, outside), (outside, inside))]

    def equal(self):
        return all([(what, life - 1) for what, life in sent] == came and sent for sent, came in self.ways())


def test_frames_of_several_segments_come_out_as_they_went_in(bulk):
    if not bulk.whole:
        pytest.skip("the gateway's kernel makes others of them")
    for ns, name in ((bulk.gateway, "in0"), (bulk.gateway, "out0"), (bulk.inside_ns, "eth0"), (bulk.outside_ns, "eth0")):
        ns.run("ethtool", "-K", name, "gro", "off")
    ends = Ends(bulk)
    client, server = connected(bulk)
    with client, server:
        for one, other in ((client, server), (server, client)):
            sender = threading.Thread(target=one.sendall, args=(os.urandom(1 << 20),), daemon=True)
            sender.start()
            read(other, 1 << 20)
            sender.join(10)
        wait_for(ends.equal, what="the same at both ends")
    assert any(what[2] and what[3] for sent, _ in ends.ways() for what, _ in sent), "no frame of several segments was sent"


def test_datagrams_of_several_segments_both_ways(bulk):
    with bulk.outside_ns.enter():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((SERVER, PORT))
    with bulk.inside_ns.enter():
        client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        client.connect((embedded(SERVER), PORT))
    with client, server:
        for sock in (client, server):
            sock.settimeout(10)
        for size in (100, 1000, 1200, 1400):
            for sock in (client, server):
                sock.setsockopt(SOL_UDP, UDP_SEGMENT, size)
            pieces = [os.urandom(size) for _ in range(7)] + [os.urandom(size // 2)]
            client.send(b"".join(pieces))
            came = [server.recvfrom(9000) for _ in pieces]
            assert [data for data, _ in came] == pieces
            server.sendto(b"".join(pieces), came[0][1])
            assert [client.recv(9000) for _ in pieces] == pieces


def transferred(one, other, size=1 << 20):
    data = os.urandom(size)
    other.settimeout(30)
    sender = threading.Thread(target=one.sendall, args=(data,), daemon=True)
    sender.start()
    same = read(other, size) == data
    sender.join(30)
    return same


@pytest.mark.parametrize("narrow, peer, upwards, mtu", (("out0", "outside_ns", True, 1420), ("in0", "inside_ns", False, 1380)), ids=("outwards", "inwards"))
def test_the_path_mtu_is_found(bulk, narrow, peer, upwards, mtu):
    """A sender whose segments are too long for the way behind the gateway hears of it, and goes on with shorter ones."""
    client, server = connected(bulk)
    bulk.gateway.ip("link", "set", narrow, "mtu", "1400")
    with client, server:
        one, other = (client, server) if upwards else (server, client)
        assert transferred(one, other) and transferred(other, one)
        level, option = (socket.IPPROTO_IPV6, 24) if upwards else (socket.IPPROTO_IP, 14)  # IPV6_MTU, IP_MTU
        assert one.getsockopt(level, option) == mtu
    assert bulk.agent.counters()["drop_too_big"] > 0
