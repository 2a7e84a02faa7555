# SPDX-License-Identifier: BSD-2-Clause
"""Basics of deterministic NAT: mapping in both directions, sessions, closing, timeouts, the quota.

The behaviour that FD.io VPP's own test of its deterministic NAT asks for, asked of detnat, for every way of forwarding.
"""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

import packets
import wire
from agent import wait_for
from ipfix_tools import Collector
from lab import GATEWAY_IN, SERVER, Lab, block_of

TCP_IN, UDP_IN, ICMP_IN = 6303, 6304, 6305
ONE = {"in": "10.0.0.2/32", "out": "203.0.113.10/32"}
MANY = {"in": "10.0.0.0/24", "out": "203.0.113.10/32"}


def mapping_sessions(lab):
    (mapping,) = lab.agent.ctl("mapping", "list")
    return mapping["sessions"]


@pytest.fixture(scope="module")
def shared_unmapped_lab(run_directory, mode):
    """A lab without mappings."""
    it = Lab(run_directory)
    try:
        it.start(mappings=[], **mode)
        yield it
    finally:
        it.close()


@pytest.fixture
def unmapped_lab(shared_unmapped_lab):
    """The lab without mappings; mappings added by the test are removed afterwards."""
    shared_unmapped_lab.inside.clear()
    shared_unmapped_lab.outside.clear()
    yield shared_unmapped_lab
    shared_unmapped_lab.agent.ctl("reload")


@pytest.fixture
def one_to_one_lab(unmapped_lab):
    """A mapping of one inside address to one outside address."""
    unmapped_lab.agent.ctl("mapping", "add", ONE["in"], ONE["out"])
    unmapped_lab.subscriber = unmapped_lab.host("10.0.0.2")
    return unmapped_lab


def test_mapping_forward_and_reverse(unmapped_lab):
    ctl = unmapped_lab.agent.ctl
    ctl("mapping", "add", "172.16.255.0/24", "172.17.255.50/32")

    forward = ctl("forward", "172.16.255.20")
    assert forward["out_addr"] == "172.17.255.50"
    for port in (forward["port_lo"], forward["port_hi"]):
        assert ctl("reverse", f"172.17.255.50:{port}")["in_addr"] == "172.16.255.20"

    (mapping,) = ctl("mapping", "list")
    assert (mapping["in"], mapping["out"]) == ("172.16.255.0/24", "172.17.255.50/32")


def test_timeouts_are_set(unmapped_lab):
    before = unmapped_lab.agent.ctl("timeouts", "show")
    changed = {name: value + 10 for name, value in before.items()}
    unmapped_lab.agent.ctl("timeouts", "set", *(f"{name}={value}" for name, value in changed.items()))
    assert unmapped_lab.agent.ctl("timeouts", "show") == changed


def test_tcp_udp_and_icmp_in_both_directions(one_to_one_lab):
    host = one_to_one_lab.subscriber
    block = block_of(host.addr, ONE)
    payloads = {
        TCP_IN: TCP(sport=TCP_IN, dport=6303, flags="S"),
        UDP_IN: UDP(sport=UDP_IN, dport=6304),
        ICMP_IN: ICMP(type=8, id=ICMP_IN),
    }
    out = {port: block.first_choice(port)[1] for port in payloads}
    for port, payload in payloads.items():
        one_to_one_lab.send_out(one_to_one_lab.from_inside(host, payload), (block.addr, out[port]))

    answers = {
        TCP_IN: TCP(sport=6303, dport=out[TCP_IN], flags="SA"),
        UDP_IN: UDP(sport=6304, dport=out[UDP_IN]),
        ICMP_IN: ICMP(type=0, id=out[ICMP_IN]),
    }
    for port, payload in answers.items():
        one_to_one_lab.send_in(one_to_one_lab.from_outside(block.addr, payload), host, port)

    sessions = {s["proto"]: s for s in one_to_one_lab.sessions(host.addr)}
    assert sorted(sessions) == ["icmp", "tcp", "udp"]
    for proto, port, ext_port in (("tcp", TCP_IN, 6303), ("udp", UDP_IN, 6304), ("icmp", ICMP_IN, 0)):
        session = sessions[proto]
        assert session["in_addr"] == host.addr and session["ext_addr"] == SERVER
        assert (session["in_port"], session["out_port"], session["ext_port"]) == (port, out[port], ext_port)


def test_several_users_and_closing_of_sessions(unmapped_lab):
    lab = unmapped_lab
    lab.agent.ctl("mapping", "add", MANY["in"], MANY["out"])
    hosts = [lab.host("10.0.0.2"), lab.host("10.0.0.3")]
    sources = []
    for host in hosts:
        source = block_of(host.addr, MANY).first_choice(80)
        lab.tcp_out(host, source, "S", port=80, dport=6303)
        sources.append(source)
    assert mapping_sessions(lab) == 2

    for host, source in zip(hosts, sources):
        lab.tcp_in(host, source, "SA", port=80, dport=6303)

    out_addr, out_port = sources[1]
    assert lab.agent.ctl("session", "close", "out", f"{out_addr}:{out_port}", f"{SERVER}:6303") == {"closed": 1}
    assert mapping_sessions(lab) == 1
    assert lab.agent.ctl("session", "close", "in", f"{hosts[0].addr}:80", f"{SERVER}:6303") == {"closed": 1}
    assert mapping_sessions(lab) == 0


def test_tcp_closed_from_inside(one_to_one_lab):
    host = one_to_one_lab.subscriber
    src = one_to_one_lab.handshake(host, mapping=ONE)
    assert mapping_sessions(one_to_one_lab) == 1
    one_to_one_lab.tcp_out(host, src, "F")
    one_to_one_lab.tcp_in(host, src, "A")
    one_to_one_lab.tcp_in(host, src, "F")
    assert mapping_sessions(one_to_one_lab) == 1
    one_to_one_lab.tcp_out(host, src, "A")
    assert mapping_sessions(one_to_one_lab) == 0


def test_tcp_closed_from_outside(one_to_one_lab):
    host = one_to_one_lab.subscriber
    src = one_to_one_lab.handshake(host, mapping=ONE)
    one_to_one_lab.tcp_in(host, src, "F")
    one_to_one_lab.tcp_out(host, src, "A")
    one_to_one_lab.tcp_out(host, src, "F")
    assert mapping_sessions(one_to_one_lab) == 1
    one_to_one_lab.tcp_in(host, src, "A")
    assert mapping_sessions(one_to_one_lab) == 0


def test_sessions_time_out(one_to_one_lab):
    host = one_to_one_lab.subscriber
    one_to_one_lab.handshake(host, mapping=ONE)
    one_to_one_lab.agent.ctl("timeouts", "set", "udp=5", "tcp_established=5", "tcp_transitory=5", "icmp=5")
    one_to_one_lab.tcp_out(host, block_of(host.addr, ONE).first_choice(TCP_IN), "S", port=TCP_IN)
    one_to_one_lab.open_udp(host, UDP_IN, mapping=ONE)
    one_to_one_lab.ping(host, ICMP_IN, mapping=ONE)
    assert mapping_sessions(one_to_one_lab) == 4
    wait_for(lambda: mapping_sessions(one_to_one_lab) == 0, 15, "sessions to expire", 0.1)
    assert one_to_one_lab.sessions(host.addr) == []


def test_session_limit_of_a_user(one_to_one_lab):
    host = one_to_one_lab.subscriber
    block = block_of(host.addr, ONE)
    with Collector(one_to_one_lab) as collector:
        one_to_one_lab.agent.ctl("ipfix", "set", *collector.settings)
        opening = [one_to_one_lab.from_inside(host, UDP(sport=port, dport=port)) for port in range(1025, 2025)]
        for start in range(0, len(opening), 100):
            batch = opening[start : start + 100]
            one_to_one_lab.inside.send(*batch)
            one_to_one_lab.outside.expect_all(one_to_one_lab.going_out(p, block.first_choice(p[UDP].sport)) for p in batch)
        assert mapping_sessions(one_to_one_lab) == 1000

        refused = one_to_one_lab.from_inside(host, UDP(sport=3001, dport=3002) / b"one too many")
        with one_to_one_lab.counting(drop_quota=1, sent_icmp_unreachable=1):
            one_to_one_lab.inside.send(refused)
        answer = one_to_one_lab.inside.packet()
        quote = packets.assert_icmp_error(answer, 3, 1, GATEWAY_IN, host.addr, refused)
        assert quote == bytes(refused[IP]), "the whole packet is quoted"
        assert (answer.src, answer.dst) == (wire.Ether(bytes(refused)).dst, host.mac)
        one_to_one_lab.outside.assert_silent()
        assert mapping_sessions(one_to_one_lab) == 1000

        one_to_one_lab.agent.ctl("ipfix", "flush")
        (record,) = collector.records(1)
        assert record["natEvent"] == 13
        assert record["natQuotaExceededEvent"] == 3
        assert record["maxEntriesPerUser"] == 1000
        assert record["sourceIPv4Address"] == host.addr
