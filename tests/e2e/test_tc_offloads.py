# SPDX-License-Identifier: BSD-2-Clause
"""Frames of several segments, with checksums that the card is to make, through tc that sends: they come out as they went in."""

import collections
import contextlib
import dataclasses
import socket
import struct
import subprocess
import sys

import pytest

from agent import wait_for
from captures import Capture, Frame
from lab import IN_MAC, OUT_MAC, SERVER, SERVER_MAC, Lab, block_of
from packet_walk import ip, octets_of
from frames import ACK, TCP, UDP, checksum, number, segment
from isolation import one_core
from test_offload import SOL_UDP, SUBSCRIBER, UDP_SEGMENT, with_real_hosts
from wire import ETH_IPV4
from xdp_mode import xdp_only

pytestmark = xdp_only
GSO_TCP, GSO_UDP = 1, 5  # VIRTIO_NET_HDR_GSO_TCPV4, _UDP_L4
# So many ports that each connection has its first choice.
ALONE = {"in": "10.0.0.0/30", "out": "1.1.1.0/30"}
CHECK = {TCP: 16, UDP: 6}
SERVING, SENDING = 5201, 7000


@dataclasses.dataclass(frozen=True)
class Told:
    """What must be the same at both ends: who with whom, the offloads, whether the checksums are right, and all other octets."""

    ends: tuple
    frame: Frame
    right: bool


def told(frame):
    octets, at = bytearray(frame.octets), 34
    assert octets[12:14] == ETH_IPV4 and octets[14] == 0x45
    src, dst = struct.unpack_from("!4s4s", octets, 26)
    proto, check = octets[23], at + CHECK[octets[23]]
    sport, dport = struct.unpack_from("!HH", octets, at)
    length = struct.unpack_from("!H", octets, 16)[0] - 20
    pseudo = src + dst + struct.pack("!BBH", 0, proto, length)
    right = checksum(bytes(octets[14:34])) == 0
    if frame.partial:
        # As the kernel leaves it: the sum of the pseudo header, not complemented.
        right &= struct.unpack_from("!H", octets, check)[0] == 0xFFFF - checksum(pseudo)
    elif octets[check:check + 2] != bytes(2) or proto == TCP:
        right &= checksum(pseudo + bytes(octets[at:at + length])) == 0
    for start, end in ((0, 12), (22, 23), (24, 34), (at, at + 4), (check, check + 2)):
        octets[start:end] = bytes(end - start)
    ends = (socket.inet_ntoa(src), sport), (socket.inet_ntoa(dst), dport)
    return Told(ends, dataclasses.replace(frame, octets=bytes(octets), outgoing=False), right)


def life(frame):
    return frame.octets[22]


class Ends:
    """Captures at both ends, with what leaves them and what arrives."""

    def __init__(self, lab):
        self.ends = [Capture(lab.inside_ns, "eth0", outgoing=True), Capture(lab.outside_ns, "eth0", outgoing=True)]
        self.seen = [[], []]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in self.ends:
            end.close()

    def ways(self):
        """[(what was sent, what arrived)] outwards and inwards, in flows, with the subscriber's endpoint as the key."""
        for seen, end in zip(self.seen, self.ends):
            seen += [f for f in end.frames() if f.octets[12:14] == ETH_IPV4 and f.octets[23] in CHECK]
        inside, outside = self.seen
        return [(self.flows(inside, True, 0, True), self.flows(outside, False, 0, False)),
                (self.flows(outside, True, 1, False), self.flows(inside, False, 1, True))]

    @staticmethod
    def flows(seen, outgoing, mine, untranslated):
        found = collections.defaultdict(list)
        for frame in seen:
            if frame.outgoing == outgoing:
                it = told(frame)
                addr, port = it.ends[mine]
                if untranslated:
                    assert addr == SUBSCRIBER
                    addr, port = block_of(SUBSCRIBER, ALONE).first_choice(port)
                assert it.right, f"a wrong checksum: {frame.octets.hex()}"
                found[addr, port, octets_proto(frame), it.ends[1 - mine]].append((life(frame) - (1 if outgoing else 0), it.frame))
        return dict(found)


def octets_proto(frame):
    return frame.octets[23]


def expect_equal(ends):
    """Everything that was sent has arrived as it was, in order."""
    def equal():
        ways = ends.ways()
        return all(sent == arrived for sent, arrived in ways) and ways

    with contextlib.suppress(AssertionError):
        return wait_for(equal, what="the same at both ends")
    for sent, arrived in ends.ways():
        assert sent.keys() == arrived.keys()
        for flow in sent:
            for n, (one, other) in enumerate(zip(sent[flow], arrived[flow])):
                assert one == other, f"{flow}, frame {n}"
            assert len(sent[flow]) == len(arrived[flow]), flow
    raise AssertionError("it took too long")


def stream(frames):
    """The octets of a TCP connection in one direction, by what all segments have of them."""
    found = {}
    for _, frame in frames:
        seq, words = struct.unpack_from("!I4xB", frame.octets, 38)
        data = frame.octets[34 + (words >> 4) * 4:14 + struct.unpack_from("!H", frame.octets, 16)[0]]
        if len(data) > len(found.get(seq, b"")):
            found[seq] = data
    if not found:
        return b""
    whole, first = bytearray(), min(found)  # no connection here is long enough for its numbers to begin anew
    for seq, data in sorted(found.items()):
        whole[seq - first:seq - first + len(data)] = data
    return bytes(whole)


@pytest.fixture(scope="module", params=["off", "on"], ids=["frames as sent", "frames merged"])
def real(run_directory, request):
    lab = Lab(run_directory, stages=1)
    try:
        with_real_hosts(lab, request.param)
        lab.merged = request.param == "on"
        if lab.merged:
            for namespace in (lab.inside_ns, lab.outside_ns):
                namespace.run("ethtool", "-K", "eth0", "tso", "off", "gso", "off")
        lab.start(xdp_mode="tc", mappings=[ALONE])
        yield lab
    finally:
        lab.close()


@contextlib.contextmanager
def serving(lab, *command):
    process = lab.outside_ns.popen(*command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens():
        with lab.outside_ns.enter(), open("/proc/thread-self/net/tcp") as tcp, open("/proc/thread-self/net/tcp6") as tcp6:
            return any(f":{SERVING:04X} " in line and " 0A " in line for line in (*tcp, *tcp6))
    try:
        wait_for(listens, what="the server to listen")
        yield
    finally:
        process.kill()
        process.wait()


def iperf3(lab, *options):
    with serving(lab, "iperf3", "-s", "-p", SERVING):
        lab.inside_ns.run("iperf3", "-c", SERVER, "-p", SERVING, *options)


def upload(lab):
    iperf3(lab, "-n", "8M")


def download(lab):
    iperf3(lab, "-n", "8M", "-R")


def both_ways(lab):
    iperf3(lab, "-n", "4M", "-P", "4", "--bidir")


def page(lab):
    path = lab.directory / "page"
    path.write_bytes(bytes(range(256)) * 8000)
    with serving(lab, sys.executable, "-m", "http.server", SERVING, "--directory", path.parent):
        lab.inside_ns.run("curl", "-sf", "-m", "20", "-o", lab.directory / "got", f"http://{SERVER}:{SERVING}/page")
    assert (lab.directory / "got").read_bytes() == path.read_bytes()


def datagrams(lab):
    """By UDP_SEGMENT, both ways."""
    with lab.outside_ns.enter(), contextlib.suppress(OSError):
        there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with lab.inside_ns.enter():
        here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with here, there:
        there.bind((SERVER, SENDING))
        here.bind((SUBSCRIBER, SENDING))
        here.connect((SERVER, SENDING))
        here.send(b"opens the session")
        _, peer = there.recvfrom(100)
        there.connect(peer)
        for sender, receiver in ((here, there), (there, here)):
            receiver.settimeout(10)
            for length, piece in ((20000, 1000), (60000, 1472), (1473, 1472), (2, 1)):
                sender.setsockopt(SOL_UDP, UDP_SEGMENT, piece)
                data = bytes(n * 7 & 255 for n in range(length))
                sender.send(data)
                got = b"".join(receiver.recv(2000) for _ in range(-(-length // piece)))
                assert got == data


@pytest.mark.parametrize("transfer", [upload, download, both_ways, page, datagrams], ids=lambda it: it.__name__)
def test_both_ends_see_the_same(real, transfer):
    with Ends(real) as ends:
        with one_core():
            transfer(real)
        if not real.merged:
            ways = expect_equal(ends)
            assert any(frame.gso for sent, _ in ways for flow in sent.values() for _, frame in flow), "no frame had segments"
            assert any(frame.partial for sent, _ in ways for flow in sent.values() for _, frame in flow)
            return
        # GRO has made fewer frames of them: reassembled, they are the same.
        wait_for(lambda: all({f: stream(i) for f, i in sent.items() if f[2] == TCP} == {f: stream(i) for f, i in arrived.items() if f[2] == TCP}
                             for sent, arrived in ends.ways()), what="the same octets at both ends")
        if transfer is not datagrams:
            assert any(frame.gso for _, arrived in ends.ways() for flow in arrived.values() for _, frame in flow), "nothing was merged"


# ---- frame by frame

# Protocol, gso_size, octets of payload, whether the card makes the checksum.
SHAPES = [(TCP, 1460, 14600, True), (TCP, 1460, 64000, True), (TCP, 536, 1072, True), (TCP, 0, 1460, True), (TCP, 0, 1460, False), (TCP, 0, 0, True),
          (TCP, 1460, 1461, True), (UDP, 1472, 14720, True), (UDP, 1472, 1473, True), (UDP, 20, 60, True), (UDP, 0, 1472, True), (UDP, 0, 1472, False),
          (UDP, 0, 0, True)]


@pytest.fixture(scope="module")
def wires(run_directory):
    lab = Lab(run_directory, stages=1)
    try:
        for namespace, name in ((lab.gateway, "in0"), (lab.gateway, "out0"), (lab.inside_ns, "eth0"), (lab.outside_ns, "eth0")):
            namespace.run("ethtool", "-K", name, "tx", "on", "tso", "on", "gso", "on", "gro", "off", "sg", "on")
        lab.start(xdp_mode="tc")
        lab.ends = [Capture(lab.inside_ns, "eth0"), Capture(lab.outside_ns, "eth0")]
        yield lab
        for end in lab.ends:
            end.close()
    finally:
        lab.close()


def packet(src, dst, shape, ttl=64, whole=0x4000):
    """An IPv4 packet of this shape from and to endpoints, whole or with the sum of its pseudo header alone."""
    proto, _, size, partial = shape
    body = segment(proto, number(src[0]), src[1], number(dst[0]), dst[1], bytes(n & 255 for n in range(size)), ACK)
    if partial:
        pseudo = struct.pack("!IIBBH", number(src[0]), number(dst[0]), 0, proto, len(body))
        at = CHECK[proto]
        body = body[:at] + struct.pack("!H", 0xFFFF - checksum(pseudo)) + body[at + 2:]
    return ip(number(src[0]), number(dst[0]), proto, body, 77, ttl, whole)


def frame(to, from_, src, dst, shape, ttl=64, whole=0x4000):
    octets = octets_of(to) + octets_of(from_) + ETH_IPV4 + packet(src, dst, shape, ttl, whole)
    return Frame(octets, shape[1], shape[3])


def send(end, it, proto):
    header = 54 if proto == TCP else 42
    gso_type = (GSO_TCP if proto == TCP else GSO_UDP) if it.gso else 0
    end.send(it.octets, gso_type, it.gso, header, (34, CHECK[proto]) if it.partial else None)


def arrives(end, wanted):
    came = wait_for(lambda: [f for f in end.frames() if f.octets[12:14] == ETH_IPV4], what="a frame")
    assert came == [wanted], f"{came[0].octets[:60].hex()} {came[0].gso} {came[0].partial}\n{wanted.octets[:60].hex()} {wanted.gso} {wanted.partial}"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{'tcp' if s[0] == TCP else 'udp'}-{s[2]}-by-{s[1]}{'-partial' if s[3] else ''}")
def test_a_frame_comes_out_as_it_went_in(wires, shape):
    """Twice: by the slow path, which opens the session, and by the fast path."""
    host = wires.host()
    mine, out, server = (host.addr, 5000), block_of(host.addr).first_choice(5000), (SERVER, 80)
    for _ in range(2):
        send(wires.ends[0], frame(IN_MAC, host.mac, mine, server, shape), shape[0])
        arrives(wires.ends[1], frame(SERVER_MAC, OUT_MAC, out, server, shape, 63))
        send(wires.ends[1], frame(OUT_MAC, SERVER_MAC, server, out, shape), shape[0])
        arrives(wires.ends[0], frame(host.mac, IN_MAC, server, mine, shape, 63))


@pytest.mark.parametrize("shape", SHAPES[:2] + SHAPES[7:8], ids=["tcp", "tcp-long", "udp"])
def test_a_hairpin_comes_out_as_it_went_in(wires, shape):
    a, b = wires.host(), wires.host()
    out_a, out_b = block_of(a.addr).first_choice(7000), block_of(b.addr).first_choice(8000)
    small = (shape[0], 0, 10, False)
    # Either has a session with the other before the packet that counts.
    send(wires.ends[0], frame(IN_MAC, b.mac, (b.addr, 8000), out_a, small), shape[0])
    for _ in range(2):
        send(wires.ends[0], frame(IN_MAC, a.mac, (a.addr, 7000), out_b, shape), shape[0])
        arrives(wires.ends[0], frame(b.mac, IN_MAC, out_a, (b.addr, 8000), shape, 63))
