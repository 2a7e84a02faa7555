# SPDX-License-Identifier: BSD-2-Clause
"""TCP from outside without a session, dropped or answered (unsolicited_tcp, RFC 5382 REQ-4)."""

import errno
import select
import socket
import time

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import Ether

import packets
from agent import wait_for
from lab import GATEWAY_IN, GATEWAY_OUT, MAPPING, OUT_MAC, SERVER, SERVER_MAC, Lab, block_of

CLIENT = "10.0.0.9"
WAIT = 6.0  # seconds without an answer to a SYN
LATE = 20.0  # seconds that a busy machine may take, less than a kernel goes on trying


@pytest.fixture(scope="module")
def answering_lab(run_directory, mode):
    """A lab whose gateway answers, shared by the tests of a module; each uses its own hosts."""
    lab = Lab(run_directory)
    try:
        lab.start(unsolicited_tcp="answer", **mode)
        yield lab
    finally:
        lab.close()


@pytest.fixture(autouse=True)
def silent_wires(request):
    if "answering_lab" in request.fixturenames:
        lab = request.getfixturevalue("answering_lab")
        lab.inside.clear()
        lab.outside.clear()


@pytest.fixture
def real_hosts_lab(lab, mode):
    """A lab whose hosts are kernels instead of scapy."""
    lab.inside_ns.batch(f"addr add {CLIENT}/16 dev eth0", f"route add default via {GATEWAY_IN}")
    lab.outside_ns.batch(f"link set eth0 address {SERVER_MAC}", f"addr add {SERVER}/24 dev eth0",
                         f"route add {MAPPING['out']} via {GATEWAY_OUT}")
    lab.start(unsolicited_tcp="answer", **mode)
    return lab


def stranger(lab, host, flags, text=b"", **tcp):
    """A segment from outside to the host's block."""
    block = block_of(host.addr)
    return lab.from_outside(block.addr, TCP(sport=80, dport=block.lo, flags=flags, **tcp) / text)


def reset_of(packet, flags, seq, ack):
    ip, tcp = packet[IP], packet[TCP]
    return packets.rebuilt(Ether(src=OUT_MAC, dst=SERVER_MAC) / IP(src=ip.dst, dst=ip.src, id=0, flags="DF", ttl=64)
                           / TCP(sport=tcp.dport, dport=tcp.sport, flags=flags, seq=seq, ack=ack, window=0))


def forget_padding(frame):
    """The IP packet of a frame that may be padded."""
    return frame[:14 + int.from_bytes(frame[16:18], "big")]


@pytest.mark.parametrize("flags,text,seq,ack,answer", [
    ("A", b"", 1000, 0xFFFFFFF0, ("R", 0xFFFFFFF0, 0)),
    ("PA", b"x" * 500, 1000, 2000, ("R", 2000, 0)),
    ("SA", b"", 1000, 2000, ("R", 2000, 0)),
    ("FA", b"", 1000, 2000, ("R", 2000, 0)),
    ("F", b"", 1000, 0, ("RA", 0, 1001)),
    ("P", b"x" * 7, 0xFFFFFFFE, 0, ("RA", 0, 5)),
], ids=lambda v: v if isinstance(v, str) else "")
def test_a_segment_is_reset(answering_lab, flags, text, seq, ack, answer):
    host = answering_lab.host()
    packet = stranger(answering_lab, host, flags, text, seq=seq, ack=ack)
    with answering_lab.counting(drop_no_session=1, sent_tcp_reset=1):
        answering_lab.outside.send(packet)
        came = answering_lab.outside.receive()
    assert came is not None, "nothing came"
    assert forget_padding(came) == bytes(reset_of(packet, *answer))
    answering_lab.inside.assert_silent()
    assert answering_lab.sessions(host.addr, "--all") == []


@pytest.mark.parametrize("flags", ["R", "RA", "RS"])
def test_a_reset_is_not_answered(answering_lab, flags):
    host = answering_lab.host()
    with answering_lab.counting(drop_no_session=1):
        answering_lab.outside.send(stranger(answering_lab, host, flags))
    answering_lab.outside.assert_silent()


def test_segments_from_martians_are_not_answered(answering_lab):
    block = block_of(answering_lab.host().addr)
    with answering_lab.counting(drop_martian=2):
        for src in ("127.0.0.1", "1.1.1.1"):
            answering_lab.outside.send(answering_lab.from_outside(block.addr, TCP(sport=80, dport=block.lo, flags="A"), src=src))
    answering_lab.outside.assert_silent()


def test_a_syn_is_answered_after_six_seconds(answering_lab):
    """Once, by an ICMP error that quotes it unchanged, however often it was sent; never if the subscriber opened the session meanwhile."""
    host, opener = answering_lab.host(), answering_lab.host()
    syn = stranger(answering_lab, host, "S", seq=77, options=[("MSS", 1400), ("NOP", None), ("WScale", 7)])
    src = block_of(opener.addr).first_choice(5000)
    with answering_lab.counting(drop_no_session=3, sent_icmp_port=1):
        began = time.monotonic()
        answering_lab.outside.send(answering_lab.from_outside(src[0], TCP(sport=80, dport=src[1], flags="S")))
        answering_lab.outside.send(syn)
        wait_for(lambda: time.monotonic() > began + 1, what="a second")  # as a host sends it again
        answering_lab.outside.send(syn)
        answering_lab.tcp_out(opener, src, "S")
        came = answering_lab.outside.packet(timeout=WAIT + LATE)
        took = time.monotonic() - began
    assert WAIT <= took < WAIT + LATE, took
    packets.assert_icmp_error(came, 3, 3, GATEWAY_OUT, SERVER, syn)
    assert packets.quote_of(came) == bytes(syn[IP]), "all of it"
    assert (came.src, came.dst, came[IP].tos, came[IP].ttl) == (OUT_MAC, SERVER_MAC, 0xC0, 64)
    # The other SYN came first; the time of both has passed, and that of the repeated one.
    last = stranger(answering_lab, host, "S", seq=78)
    with answering_lab.counting(drop_no_session=1, sent_icmp_port=1):
        answering_lab.outside.send(last)
        came = answering_lab.outside.packet(timeout=WAIT + LATE)
    assert packets.quote_of(came) == bytes(last[IP])
    answering_lab.outside.assert_silent()
    answering_lab.inside.assert_silent()


def test_by_default_nothing_is_answered_until_a_reload_says_so(lab):
    lab.start()
    host = lab.host()
    packet = stranger(lab, host, "A", seq=1, ack=2)

    def dropped():
        with lab.counting(drop_no_session=1):
            lab.outside.send(packet)
        lab.outside.assert_silent()

    def set_to(value):
        lab.agent.write(unsolicited_tcp=value)
        lab.agent.ctl("reload")

    dropped()
    set_to("answer")
    with lab.counting(drop_no_session=1, sent_tcp_reset=1):
        lab.outside.send(packet)
        assert lab.outside.packet()[TCP].flags == "R"
    # A SYN that is waiting when the option is disabled is not answered. On a busy machine a reload may take as long as one waits.
    for seq in range(3, 30):
        answered, sent = lab.agent.counters()["sent_icmp_port"], time.monotonic()
        with lab.counting(drop_no_session=1):
            lab.outside.send(stranger(lab, host, "S", seq=seq))
        set_to("drop")
        if lab.agent.counters()["sent_icmp_port"] == answered:
            break
        assert time.monotonic() - sent >= WAIT and lab.outside.packet()[ICMP].type == 3
        set_to("answer")
    answered = lab.agent.counters()["sent_icmp_port"]
    assert answered == seq - 3
    dropped()
    assert lab.outside.receive(timeout=WAIT + 1) is None
    assert lab.agent.counters()["sent_icmp_port"] == answered


def test_without_the_agent_a_syn_is_dropped(lab, mode):
    lab.start(unsolicited_tcp="answer", **mode)
    host = lab.host()
    lab.agent.stop()
    lab.outside.send(stranger(lab, host, "S", seq=1))
    # The datapath continues by itself; without XDP, resets are the agent's, too.
    lab.outside.send(stranger(lab, host, "A", seq=1, ack=9))
    if mode["xdp_mode"] not in ("none", "tc"):
        assert lab.outside.packet()[TCP].flags == "R"
    lab.outside.assert_silent()


# ---- Linux on both sides


def connecting(addr, port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((addr, port))
    s.setblocking(False)
    return s


def test_explain_recognises_an_outside_host(real_hosts_lab):
    """connect() fails after some 6 s instead of minutes."""
    with real_hosts_lab.outside_ns.enter():
        s = connecting(SERVER, 80)
    with s:
        began = time.monotonic()
        assert s.connect_ex(block_of(CLIENT).first_choice(5000)) == errno.EINPROGRESS
        assert select.select([], [s], [], WAIT + LATE)[1], "connect() still waits"
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
        assert WAIT <= time.monotonic() - began < WAIT + LATE


def test_both_sides_open_at_once(real_hosts_lab):
    """Without any listening socket: each side's SYN meets the other's, and no ICMP error disturbs it."""
    src = block_of(CLIENT).first_choice(5000)
    with real_hosts_lab.outside_ns.enter():
        there = connecting(SERVER, 80)
        other = connecting(SERVER, 81)
    with real_hosts_lab.inside_ns.enter():
        here = connecting(CLIENT, 5000)
    with here, there, other:
        before = real_hosts_lab.agent.counters()["drop_no_session"]
        there.connect_ex(src)
        wait_for(lambda: real_hosts_lab.agent.counters()["drop_no_session"] > before, what="the SYN from outside to be dropped")
        other.connect_ex((src[0], src[1] + 1))
        here.connect_ex((SERVER, 80))
        for s in (here, there):
            assert select.select([], [s], [], 20)[1], "no connection"
            assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        # A later one that no subscriber opens: when it is answered, the first one's time has passed.
        assert select.select([], [other], [], WAIT + LATE)[1]
        assert other.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
        for s in (here, there):
            s.settimeout(20)
        here.sendall(b"from inside")
        there.sendall(b"from outside")
        assert there.recv(100) == b"from inside"
        assert here.recv(100) == b"from outside"
    assert real_hosts_lab.agent.counters()["sent_icmp_port"] == 1
    answers = [frame for frame in real_hosts_lab.outside.drain() if Ether(frame).haslayer(ICMP)]
    assert len(answers) == 1 and Ether(answers[0])[ICMP].code == 3
