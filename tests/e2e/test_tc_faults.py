# SPDX-License-Identifier: BSD-2-Clause
"""tc that sends where packets cannot leave: neighbours that never answer, links that go down, segments that are too long."""

import json
import struct

import pytest
from scapy.layers.inet import UDP as Datagram

from agent import wait_for
from captures import Capture
from frame_flood import Flood, Sniffer
from lab import IN_MAC, OUT_MAC, ROUTER, ROUTER_MAC, SERVER_MAC, Lab, block_of
from test_tc_offloads import TCP, UDP, arrives, frame, send
from wire import ETH_IPV4
from xdp_mode import xdp_only

pytestmark = xdp_only
FAR = "203.0.113.77"
MARK = b"MARK-%06d"


def unanswered_out(lab):
    """(wire to send to, the frames, wire they arrive at, as what, the link and the neighbour)"""
    host = lab.host()
    src = block_of(host.addr).first_choice(5000)

    def frame(n):
        return lab.from_inside(host, Datagram(sport=5000, dport=53) / (MARK % n + bytes(990)), FAR)
    lab.gateway.ip("neigh", "del", ROUTER, "dev", "out0")
    return lab.inside, frame, lab.outside, lambda f: lab.going_out(f, src), "out0", ROUTER, ROUTER_MAC


def unanswered_in(lab):
    host = lab.host()
    src = lab.open_udp(host)

    def frame(n):
        return lab.from_outside(src[0], Datagram(sport=53, dport=src[1]) / (MARK % n + bytes(990)))
    lab.gateway.ip("neigh", "del", host.addr, "dev", "in0")
    return lab.outside, frame, lab.inside, lambda f: lab.coming_in(f, host, 5000), "in0", host.addr, host.mac


@pytest.mark.parametrize("way", [unanswered_out, unanswered_in])
@pytest.mark.parametrize("failed", [False, True], ids=["answers late", "has failed"])
def test_what_waits_for_a_neighbour_is_counted_and_bounded(lab, way, failed):
    lab.start(xdp_mode="tc")
    wire, frame, far, translated, link, addr, mac = way(lab)
    lab.settle()
    most = int(lab.gateway.sysctl(f"net.ipv4.neigh.{link}.unres_qlen_bytes"))
    sent = [frame(n) for n in range(1000)]
    name = "in2out_translated" if far is lab.outside else "out2in_translated"
    with lab.counting(**{name: len(sent), "redirect_unresolved": len(sent)}):
        wire.send(*sent)
    far.assert_silent()
    if failed:
        wait_for(lambda: "FAILED" in lab.gateway.ip("neigh", "show", addr, "dev", link), what="the neighbour to fail")
    lab.gateway.ip("neigh", "replace", addr, "lladdr", mac, "dev", link, "nud", "permanent")
    lab.settle()
    last = frame(999999)
    with lab.counting(**{name: 1, "redirect_unresolved": 0}):
        wire.send(last)
    came = []
    while not came or came[-1] != bytes(translated(last)):
        came.append(bytes(far.packet()))
    waited = came[:-1]
    if failed:
        assert not waited
    else:
        assert waited and sum(map(len, waited)) <= most
        assert waited == [bytes(translated(f)) for f in sent[-len(waited):]]


def dropped_by(lab, link):
    (shown,) = json.loads(lab.gateway.ip("-j", "-s", "link", "show", link))
    return shown["stats64"]["tx"]["dropped"]


@pytest.mark.parametrize("direction", ["out", "in"])
def test_what_a_link_that_goes_down_loses_is_counted(lab, direction):
    agent = lab.start(xdp_mode="tc")
    host = lab.host()
    src = lab.open_udp(host)
    if direction == "out":
        link, near, far, name = "out0", lab.inside_ns, lab.outside_ns, "in2out_translated"
        frame = lab.from_inside(host, Datagram(sport=5000, dport=53) / MARK)
    else:
        link, near, far, name = "in0", lab.outside_ns, lab.inside_ns, "out2in_translated"
        frame = lab.from_outside(src[0], Datagram(sport=53, dport=src[1]) / MARK)
    sniffer = Sniffer(far)
    arrived = 0

    def more():
        nonlocal arrived
        n = sniffer.count(MARK)[0]
        arrived += n
        return n
    before = agent.counters()
    with Flood(near, "eth0", frame) as flood:
        flood.wait(200)
        lab.gateway.ip("link", "set", link, "down")
        flood.wait(200)
        more()
        lab.gateway.ip("link", "set", link, "up")
        lab.reach_outside()
        lab.gateway.ip("neigh", "replace", host.addr, "lladdr", host.mac, "dev", "in0", "nud", "permanent")
        behind = [more()]
        wait_for(lambda: behind.append(more()) or sum(behind) > 20, what="packets behind the link's return")

    def since():
        return {c: n - before[c] for c, n in agent.counters().items()}
    wait_for(lambda: sum(n for c, n in since().items() if c == name or c.startswith(("drop_", "passed_"))) >= flood.sent, what="all to be counted")
    more()
    assert since()[name] - arrived <= dropped_by(lab, link) + since()["redirect_unresolved"], f"{since()}, {arrived} arrived"


# ---- segments that are too long

BY_INTERFACE, BY_ROUTE = 1460, 1400
ROUTED = "192.0.2.9"


@pytest.fixture(scope="module")
def narrow(run_directory):
    lab = Lab(run_directory, stages=1)
    try:
        for namespace, name in ((lab.gateway, "in0"), (lab.gateway, "out0"), (lab.inside_ns, "eth0"), (lab.outside_ns, "eth0")):
            namespace.run("ethtool", "-K", name, "tx", "on", "tso", "on", "gso", "on", "gro", "off", "sg", "on")
        lab.gateway.sysctl("net.ipv4.icmp_ratelimit", 0)
        lab.gateway.batch(f"link set out0 mtu {BY_INTERFACE}", f"route add {ROUTED}/32 via {ROUTER} mtu lock {BY_ROUTE}")
        lab.start(xdp_mode="tc")
        lab.ends = [Capture(lab.inside_ns, "eth0"), Capture(lab.outside_ns, "eth0")]
        yield lab
        for end in lab.ends:
            end.close()
    finally:
        lab.close()


def data_of(came, header):
    """The octets that fragments and segments carry, in the order in which they came."""
    found = b""
    for it in came:
        length, place = struct.unpack_from("!HxxH", it.octets, 16)
        found += it.octets[34 + (0 if place & 0x1FFF else header):14 + length]
    return found


@pytest.mark.parametrize("more", [0, 1], ids=["fits", "one octet too many"])
@pytest.mark.parametrize("whole", [0x4000, 0], ids=["DF", "may be cut"])
@pytest.mark.parametrize("proto", [TCP, UDP], ids=["tcp", "udp"])
@pytest.mark.parametrize("way", ["out by interface", "out by route", "in by route"])
def test_segments_fit_to_the_octet(narrow, way, proto, whole, more):
    lab, outwards = narrow, way.startswith("out")
    limit = BY_INTERFACE if way == "out by interface" else BY_ROUTE
    host, server = lab.host(), ("198.51.100.7" if way != "out by route" else ROUTED, 80)
    mac = SERVER_MAC if server[0] != ROUTED else ROUTER_MAC
    mine, out = (host.addr, 5000), block_of(host.addr).first_choice(5000)
    if not outwards:
        lab.gateway.ip("route", "add", f"{host.addr}/32", "dev", "in0", "mtu", "lock", str(limit))
    near, far = lab.ends if outwards else lab.ends[::-1]
    lab.settle()
    send(lab.ends[0], frame(IN_MAC, host.mac, mine, server, (proto, 0, 10, True)), proto)
    arrives(lab.ends[1], frame(mac, OUT_MAC, out, server, (proto, 0, 10, True), 63))
    header = 20 if proto == TCP else 8
    shape = (proto, limit - 20 - header + more, 5000, True)
    for _ in range(2):
        if outwards:
            sent, wanted = frame(IN_MAC, host.mac, mine, server, shape, 64, whole), frame(mac, OUT_MAC, out, server, shape, 63, whole)
        else:
            sent, wanted = frame(OUT_MAC, mac, server, out, shape, 64, whole), frame(host.mac, IN_MAC, server, mine, shape, 63, whole)
        send(near, sent, proto)
        if not more:
            arrives(far, wanted)
        elif whole:
            (error,) = wait_for(lambda: [f for f in near.frames() if f.octets[12:14] == ETH_IPV4], what="the error")
            assert (error.octets[34], error.octets[35], struct.unpack_from("!H", error.octets, 40)[0]) == (3, 4, limit)
            assert error.octets[54:58] + error.octets[62:64] == sent.octets[26:30] + sent.octets[34:36]
            assert not [f for f in far.frames() if f.octets[12:14] == ETH_IPV4]
        else:
            came = []

            def complete():
                came.extend(f for f in far.frames() if f.octets[12:14] == ETH_IPV4)
                return len(data_of(came, header)) >= 5000
            wait_for(complete, what="all fragments")
            assert data_of(came, header) == sent.octets[34 + header:]
            assert all(len(f.octets) <= 14 + limit for f in came) and len(came) > 4
