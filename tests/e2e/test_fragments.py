# SPDX-License-Identifier: BSD-2-Clause
"""Fragments follow their first fragment, whichever comes first."""

import contextlib
import itertools
import pathlib
import signal
import socket
import struct
import threading
import time

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether

import packets
from agent import wait_for
from lab import IN_MAC, OUT_MAC, SERVER, SERVER_MAC, block_of

SIZE = 800  # octets of payload to a fragment
_ids = itertools.count(1000)

PAYLOADS = {
    "udp": lambda sport, dport: UDP(sport=sport, dport=dport) / (bytes(range(250)) * 8),
    "tcp": lambda sport, dport: TCP(sport=sport, dport=dport, flags="A") / (bytes(range(250)) * 8),
    "icmp": lambda sport, dport: ICMP(type=8, id=sport) / (bytes(range(250)) * 8),
}


def cut(packet):
    """A frame's packet as fragments, each in its own frame."""
    packet = Ether(bytes(packet))
    return [bytes(Ether(src=packet.src, dst=packet.dst) / f) for f in fragment(packet[IP], fragsize=SIZE)]


def outward(lab, host, proto):
    """Fragments as sent from inside and as they must arrive outside: the fragments of the translated packet."""
    whole = lab.from_inside(host, PAYLOADS[proto](5000, 53), id=next(_ids))
    return cut(whole), cut(packets.translated(whole, (OUT_MAC, SERVER_MAC), src=block_of(host.addr).first_choice(5000)))


def inward(lab, host, proto):
    addr, port = block_of(host.addr).first_choice(5000)
    payload = PAYLOADS[proto](53, port) if proto != "icmp" else ICMP(type=0, id=port) / (bytes(range(250)) * 8)
    whole = lab.from_outside(addr, payload, id=next(_ids))
    return cut(whole), cut(packets.translated(whole, (IN_MAC, host.mac), dst=(host.addr, 5000)))


@pytest.mark.parametrize("proto", PAYLOADS)
def test_in_order_in_both_directions(mode_lab, proto):
    host = mode_lab.host()
    sent, wanted = outward(mode_lab, host, proto)
    assert len(sent) == 3
    for packet, seen in zip(sent, wanted):
        mode_lab.inside.send(packet)
        mode_lab.outside.expect(seen)
    sent, wanted = inward(mode_lab, host, proto)
    for packet, seen in zip(sent, wanted):
        mode_lab.outside.send(packet)
        mode_lab.inside.expect(seen)
    assert len(mode_lab.sessions(host.addr)) == 1


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)], ids=str)
@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_out_of_order_in_both_directions(mode_lab, proto, order):
    host = mode_lab.host()
    sent, wanted = outward(mode_lab, host, proto)
    mode_lab.inside.send(*(sent[i] for i in order))
    mode_lab.outside.expect_all(wanted)
    sent, wanted = inward(mode_lab, host, proto)
    mode_lab.outside.send(*(sent[i] for i in order))
    mode_lab.inside.expect_all(wanted)


def test_two_packets_with_interleaved_fragments(mode_lab):
    host, other = mode_lab.host(), mode_lab.host()
    one, one_wanted = outward(mode_lab, host, "udp")
    two, two_wanted = outward(mode_lab, other, "udp")
    for pair in zip(one, two):
        mode_lab.inside.send(*pair)
    mode_lab.outside.expect_all(one_wanted + two_wanted)


@contextlib.contextmanager
def giving_up(lab, number):
    """This many early fragments wait in vain; at the end they have been given up."""
    before = lab.agent.counters()["drop_fragment"]
    yield
    wait_for(lambda: lab.agent.counters()["drop_fragment"] == before + number, 40, "the fragments to be given up", 0.2)


def test_later_fragments_alone_do_not_pass_and_are_counted(mode_lab):
    host = mode_lab.host()
    mode_lab.open_udp(host)
    sent, _ = inward(mode_lab, host, "udp")
    with giving_up(mode_lab, 2):
        mode_lab.outside.send(sent[1], sent[2])
        mode_lab.inside.assert_silent()
    mode_lab.inside.assert_silent()


def test_fragments_of_no_session_do_not_pass(mode_lab):
    host = mode_lab.host()
    sent, _ = inward(mode_lab, host, "udp")
    with giving_up(mode_lab, 2):
        with mode_lab.counting(drop_no_session=1, drop_fragment=None):
            mode_lab.outside.send(*sent)
        mode_lab.open_udp(host)
    mode_lab.inside.assert_silent()


def test_a_first_fragment_without_ports_does_not_pass(mode_lab):
    """RFC 1858: tiny fragments."""
    host = mode_lab.host()
    whole = mode_lab.from_inside(host, TCP(sport=5000, dport=80, flags="S") / bytes(64), id=next(_ids))
    tiny = [bytes(Ether(src=whole.src, dst=whole.dst) / f) for f in fragment(whole[IP], fragsize=8)]
    with giving_up(mode_lab, len(tiny) - 1):
        with mode_lab.counting(drop_fragment_tiny=1, drop_fragment=None):
            mode_lab.inside.send(*tiny)
        mode_lab.open_udp(host)
    mode_lab.outside.assert_silent()


def test_a_hairpin_in_fragments(mode_lab):
    alice, bob = mode_lab.host(), mode_lab.host()
    a, b = block_of(alice.addr).first_choice(4001), block_of(bob.addr).first_choice(4002)
    with mode_lab.counting(drop_no_session=1):
        mode_lab.inside.send(mode_lab.from_inside(alice, UDP(sport=4001, dport=b[1]), dst=b[0]))
    whole = mode_lab.from_inside(bob, PAYLOADS["udp"](4002, a[1]), dst=a[0], id=next(_ids))
    mode_lab.inside.send(*cut(whole))
    mode_lab.inside.expect_all(cut(packets.translated(whole, (IN_MAC, alice.mac), src=b, dst=(alice.addr, 4001))))


@pytest.fixture
def narrow_uplink_lab(mode_lab):
    """The lab with an MTU of 1000 on out0."""
    mode_lab.gateway.ip("link", "set", "out0", "mtu", 1000)
    mode_lab.settle()
    yield mode_lab
    mode_lab.gateway.ip("link", "set", "out0", "mtu", 1500)
    mode_lab.settle()


def test_packets_that_the_kernel_fragments_are_translated(narrow_uplink_lab):
    """Packets longer than the MTU of out0 and without DF leave as translated fragments."""
    lab = narrow_uplink_lab
    host = lab.host()
    packet = lab.from_inside(host, UDP(sport=5000, dport=53) / bytes(1400), id=next(_ids))
    lab.inside.send(packet)
    whole = bytes(lab.going_out(packet, block_of(host.addr).first_choice(5000))[IP].payload)
    pieces = {}
    while sum(map(len, pieces.values())) < len(whole):
        came = lab.outside.packet()
        assert (came[IP].src, came[IP].dst, came[IP].ttl) == (block_of(host.addr).addr, SERVER, 63)
        assert came[IP].len <= 1000
        pieces[came[IP].frag * 8] = bytes(came[IP].payload)
    assert b"".join(pieces[offset] for offset in sorted(pieces)) == whole


# ---- limits, and what an agent's life has to do with them -------------------------------------------------------------


def later(lab, host, ident, dst=SERVER):
    """A fragment from inside whose first one never comes."""
    return bytes(lab.from_inside(host, bytes(64), dst, proto=17, frag=100, id=ident))


def renumbered(frame, ident):
    """A copy of a fragment's frame that belongs to another datagram."""
    header = bytearray(frame[14:34])
    struct.pack_into("!H", header, 4, ident)
    struct.pack_into("!H", header, 10, 0)
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into("!H", header, 10, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
    return bytes(frame[:14]) + bytes(header) + bytes(frame[34:])


def given_up(lab, **expected):
    """Waits until exactly this many fragments are counted under these reasons since the start of the lab."""
    wait_for(lambda: all(lab.agent.counters()[n] >= c for n, c in expected.items()), 20, f"{expected} to be counted", 0.1)
    found = lab.agent.counters()
    assert {n: found[n] for n in expected} == expected


def test_waiting_fragments_are_limited_for_each_subscriber(lab, mode):
    lab.start(fragments={"timeout": 3, "per_subscriber": 5}, **mode)
    host, other = lab.host(), lab.host()
    sent, wanted = outward(lab, other, "udp")
    lab.inside.send(*(later(lab, host, i) for i in range(20)))
    wait_for(lambda: lab.agent.counters()["fragments_parked"] == 20, what="all to be taken")
    given_up(lab, drop_fragment_limit=15)
    lab.inside.send(sent[1], sent[0], sent[2])
    lab.outside.expect_all(wanted)
    lab.open_udp(host)
    given_up(lab, drop_fragment_limit=15, drop_fragment=5)
    lab.outside.assert_silent()


@pytest.mark.parametrize("limit", [{"max_parked": 6}, {"max_bytes": 4096}], ids=str)
def test_waiting_fragments_are_limited_in_all(lab, limit):
    lab.start(fragments={"timeout": 60, **limit})
    hosts = [lab.host() for _ in range(40)]
    lab.inside.send(*(later(lab, host, 7) for host in hosts))
    wait_for(lambda: lab.agent.counters()["drop_fragment_limit"] >= 10, what="the limit to hold")
    if "max_parked" in limit:
        given_up(lab, drop_fragment_limit=34, drop_fragment=0)
    lab.open_udp(hosts[0])


def test_fragments_from_outside_take_at_most_half_of_the_room(lab):
    lab.start(fragments={"timeout": 60, "max_parked": 20})
    for i in range(40):
        lab.outside.send(lab.from_outside(f"1.1.1.{i % 4}", bytes(64), proto=17, frag=100, id=i))
    given_up(lab, drop_fragment_limit=30)
    host = lab.host()
    sent, wanted = outward(lab, host, "udp")
    lab.inside.send(*reversed(sent))
    lab.outside.expect_all(wanted)


def test_with_a_limit_of_0_no_fragment_waits(lab, mode):
    lab.start(fragments={"max_parked": 0}, **mode)
    host = lab.host()
    sent, wanted = outward(lab, host, "udp")
    with lab.counting(drop_fragment=1):
        lab.inside.send(sent[1])
    for packet, seen in ((sent[0], wanted[0]), (sent[2], wanted[2])):
        lab.inside.send(packet)
        lab.outside.expect(seen)
    assert lab.agent.counters()["fragments_parked"] == 0


def test_a_reload_changes_the_limits(lab):
    lab.start(fragments={"max_parked": 0})
    host = lab.host()
    sent, wanted = outward(lab, host, "udp")
    lab.agent.write(fragments={"timeout": 10})
    lab.agent.ctl("reload")
    lab.inside.send(*reversed(sent))
    lab.outside.expect_all(wanted)


def test_without_an_agent_those_in_order_pass(lab, mode):
    lab.start(**mode)
    host = lab.host()
    lab.open_udp(host)
    lab.agent.stop()
    sent, wanted = outward(lab, host, "udp")
    lab.inside.send(sent[1])
    for packet, seen in zip(sent, wanted):
        if packet is not sent[1]:
            lab.inside.send(packet)
            lab.outside.expect(seen)
    lab.agent.start()
    assert lab.agent.counters()["drop_fragment"] == 1, "counted although no agent was running"
    lab.outside.assert_silent()


def test_fragments_are_counted_after_a_kill(lab):
    """Fragments that it held are lost; those that it had not read yet are read by the next agent."""
    lab.start(fragments={"timeout": 1})
    host = lab.host()
    lab.agent.process.send_signal(signal.SIGSTOP)
    lab.inside.send(*(later(lab, host, i) for i in range(10)))
    lab.open_udp(host)
    lab.agent.kill()
    lab.agent.start()
    wait_for(lambda: lab.agent.counters()["drop_fragment"] >= 10, 20, "the fragments to be given up", 0.1)


def waited(*threads):
    """How many seconds these have waited for a processor, of which a busy machine has too few."""
    return sum(int(pathlib.Path(f"/proc/{number}/schedstat").read_text().split()[1]) for number in threads) / 1e9


def test_many_parked_fragments_do_not_delay_the_agent(lab):
    lab.start(fragments={"timeout": 60, "max_parked": 65536, "max_bytes": 1 << 30, "per_subscriber": 65536})
    frames = [later(lab, lab.host(), 0) for _ in range(50)]
    idents = itertools.count(1)

    def enough():
        """Some are lost in transit, others while the agent has not emptied the ring; all that count as parked wait."""
        for _ in range(8):
            for ident in itertools.islice(idents, 8):
                lab.inside.send(*(renumbered(frame, ident) for frame in frames))
        return lab.agent.counters()["fragments_parked"] > 25000

    wait_for(enough, 40, "as many fragments to wait")

    threads = lab.agent.process.pid, threading.get_native_id()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(lab.agent.socket))

        def quiet():
            """Whether no answer takes long for half a second; other processes may delay it occasionally."""
            end = time.monotonic() + 0.5
            while (begun := time.monotonic()) < end:
                before = waited(*threads)
                s.send(b'{"verb":"timeouts show"}\n')
                assert s.recv(4096)
                if time.monotonic() > begun + 0.008 + waited(*threads) - before:
                    return False
            return True

        wait_for(quiet, what="the agent to answer at once")
    assert lab.agent.counters()["drop_fragment"] == 0, "all wait still"


def test_a_flood_does_not_affect_other_subscribers(lab):
    """Two subscribers and an external host send only fragments until every table is full."""
    lab.start()
    villains = [lab.host() for _ in range(2)]
    good = lab.host()
    src = lab.handshake(good)
    for burst in range(30):
        for host in villains:
            lab.inside.send(*(later(lab, host, burst * 100 + i) for i in range(100)))
        first = cut(lab.from_inside(villains[0], PAYLOADS["udp"](6000, 53), id=20000 + burst))[0]
        lab.inside.send(first)
        lab.outside.send(*(lab.from_outside("1.1.1.0", bytes(64), proto=17, frag=100, id=i) for i in range(50)))
        if burst % 5 == 0:
            lab.outside.clear()
            lab.tcp_out(good, src, "A", seq=101, ack=501)
            lab.tcp_in(good, src, "A", seq=501, ack=101)
            sent, wanted = outward(lab, good, "udp")
            lab.inside.send(*sent)
            lab.outside.expect_all(wanted)
    assert lab.agent.counters()["events_lost"] == 0
    assert len(lab.sessions(good.addr)) == 2
    assert lab.agent.ctl("status")["sessions"] == 3


@pytest.mark.parametrize("first", range(3))
def test_bad_fragments_are_refused_by_reason(mode_lab, first):
    """Overlapping (teardrop), endless (ping of death), tiny."""
    host = mode_lab.host()
    reason, build = list(BAD.items())[first]
    opening, wanted = outward(mode_lab, host, "tcp")
    mode_lab.inside.send(opening[0])
    mode_lab.outside.expect(wanted[0])
    with mode_lab.counting(**{reason: 1}):
        mode_lab.inside.send(build(mode_lab, host, Ether(opening[0])[IP].id))
    mode_lab.outside.assert_silent()


BAD = {
    "drop_fragment_overlap": lambda lab, host, ident: lab.from_inside(host, bytes(64), proto=6, frag=3, id=ident, flags="MF"),
    "drop_fragment_endless": lambda lab, host, ident: lab.from_inside(host, bytes(64), proto=6, frag=8189, id=ident),
    "drop_fragment_tiny": lambda lab, host, ident: lab.from_inside(host, bytes(16), proto=6, id=ident + 20000, flags="MF"),
}
